// Letting go of what is idle: what can be read from the store goes, what is decided by stays.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class RetireTest : public HubTest {
 protected:
  static constexpr int64_t kDay = int64_t{24} * 3600 * 1000;
  void EmptyJournals() {
    for (const uint32_t p : AllPartitions()) {
      const uint64_t token = TakeLease(Role::kPersist, "persister", p);
      const auto slice = ReadAllOf(Log::kJournal, p);
      Do(TrimLog{Log::kJournal, {{p, token, slice.end}}});
    }
  }
  // Over a SplitHub there are some. What they would do does not matter here.
  void EndTasks() {
    for (const uint32_t p : AllPartitions()) {
      const uint64_t token = TakeLease(Role::kFanOut, "b1#1", p);
      const auto slice = ReadAllOf(Log::kTasks, p);
      if (!slice.records.empty()) Do(TrimLog{Log::kTasks, {{p, token, slice.end}}});
    }
  }
  // Idle: since a day ago.
  RetireReply LetGoChat(const std::string& chat) {
    EndTasks();
    return Ask<RetireReply>(Retire{P(chat), {chat}, {}, world().clock() - kDay});
  }
  RetireReply LetGoUser(const std::string& uid) {
    return Ask<RetireReply>(Retire{P(uid), {}, {uid}, world().clock() - kDay});
  }
  ChatRecord RecordOf(const std::string& chat) {
    return Ask<GetChatReply>(GetChat{chat, 0, false}).record;
  }
};
NIGHTJAR_HUB_SUITE(RetireTest);
INSTANTIATE_TEST_SUITE_P(ByPartition, RetireTest, testing::Values("fake-split", "redis-split"),
                         [](const auto& kind) {
                           return std::string(kind.param.substr(0, kind.param.find('-')));
                         });

TEST_P(RetireTest, AGroupLosesItsTitleAndGetsItBack) {
  Create(kGroup, {"alice", "bob"});
  const auto sent = SendGroup(kGroup, "alice", 7);
  world().Advance(2 * kDay);
  EmptyJournals();
  EXPECT_EQ(LetGoChat(kGroup), (RetireReply{1, 0, 0}));
  EXPECT_EQ(LetGoChat(kGroup), (RetireReply{0, 0, 0}));
  EXPECT_TRUE(RecordOf(kGroup).retired);
  EXPECT_EQ(RecordOf(kGroup).title, "");
  EXPECT_EQ(RecordOf(kGroup).member_count, 2u);

  const auto repeat = SendGroup(kGroup, "alice", 7);
  EXPECT_EQ(repeat.outcome, Sent::kRepeat);
  EXPECT_EQ(repeat.msg_id, sent.msg_id);
  EXPECT_EQ(SendGroup(kGroup, "bob", 1).outcome, Sent::kAccepted);
  EXPECT_EQ(SendGroup(kGroup, "carol", 1).outcome, Sent::kDenied);

  const uint64_t version = RecordOf(kGroup).version;
  RestoreChat back;
  back.record.chat = kGroup;
  back.record.title = "title";
  back.record.last_msg_id = sent.msg_id;
  Ask<Done>(back);
  EXPECT_FALSE(RecordOf(kGroup).retired);
  EXPECT_EQ(RecordOf(kGroup).title, "title");
  EXPECT_EQ(RecordOf(kGroup).version, version);
}

TEST_P(RetireTest, ANewTitleIsOne) {
  const uint64_t version = Create(kGroup, {"alice"}).record.version;
  world().Advance(2 * kDay);
  EmptyJournals();
  LetGoChat(kGroup);
  auto update = MakeUpdate(kGroup, "alice", version);
  update.title = "another";
  const auto reply = Ask<ChangeReply>(update);
  EXPECT_EQ(reply.outcome, Changed::kDone);
  EXPECT_FALSE(reply.record.retired);
  EXPECT_EQ(reply.record.title, "another");
}

TEST_P(RetireTest, WhatIsInUseStays) {
  Create(kGroup, {"alice"});
  Send(kDirect, "alice", 1);
  Login("alice");
  EmptyJournals();
  EXPECT_EQ(LetGoChat(kGroup), RetireReply{});
  world().Advance(2 * kDay);
  EXPECT_EQ(LetGoChat(kDirect), RetireReply{});
  EXPECT_FALSE(RecordOf(kDirect).retired);
  EXPECT_EQ(LetGoUser("alice"), RetireReply{});  // connected
}

TEST_P(RetireTest, WhoLeftLongAgoIsForgotten) {
  const uint64_t version = Create(kGroup, {"alice", "bob"}).record.version;
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "alice", version, {}, {"bob"})).outcome,
            Changed::kDone);
  world().Advance(2 * kDay);
  EmptyJournals();
  EXPECT_EQ(LetGoChat(kGroup), (RetireReply{1, 0, 0}));
  EXPECT_EQ(Ask<GetChatReply>(GetChat{kGroup, 0, true}).members.size(), 1u);
}

TEST_P(RetireTest, OldEntriesOfAnIdleUserGo) {
  if (GetParam().ends_with("-split")) GTEST_SKIP() << "entries come by tasks there";
  Login("bob");
  Logout("bob");
  Send(kDirect, "alice", 1);
  world().Advance(20 * kDay);
  Send(kDirect, "alice", 2);
  world().Advance(11 * kDay);
  EmptyJournals();
  EXPECT_EQ(LetGoUser("bob"), (RetireReply{0, 1, 1}));
  EXPECT_EQ(HiddenUser("bob").base, 1u);
  EXPECT_EQ(HiddenUser("bob").owed, 2u);
  EXPECT_TRUE(IsDue("bob"));
  EXPECT_EQ(Head("bob"), 2u);
  world().Advance(20 * kDay);
  EXPECT_EQ(LetGoUser("bob"), (RetireReply{0, 1, 1}));
  EXPECT_EQ(HiddenUser("bob").owed, 0u);
  EXPECT_FALSE(IsDue("bob"));
  EXPECT_TRUE(Login("bob").resync);
}

TEST_P(RetireTest, NamesGoUntilTheNextLogin) {
  Ask<LoginReply>(hub::Login{"bob", "phone", kB1, 1, world().clock(), "Bob", "b@example.org"});
  Logout("bob");
  world().Advance(2 * kDay);
  EmptyJournals();
  EXPECT_EQ(LetGoUser("bob"), (RetireReply{0, 1, 0}));
  EXPECT_EQ(HiddenUser("bob").other, (std::map<std::string, std::string>{}));
  Ask<LoginReply>(hub::Login{"bob", "phone", kB1, 2, world().clock(), "Bob", ""});
  EXPECT_EQ(ReadAllOf(Log::kJournal, P("bob")).records.size(), 1u);
}

}  // namespace nightjar::hub::contract
