// Fan-out by tasks: append repeated, interrupted, resumed by another holder; the order of a chat.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class TaskTest : public HubTest {
 protected:
  void SetUp() override {
    HubTest::SetUp();
    people_ = Numbered("u", 10);
    names_.uids = people_;
  }
  std::vector<std::string> people_;
};
NIGHTJAR_HUB_SUITE(TaskTest);

TEST_P(TaskTest, TaskHoldsWhatAppendNeeds) {
  const auto created = Create(kGroup, people_);
  ASSERT_EQ(created.outcome, Changed::kDone);
  EXPECT_TRUE(created.task);
  const auto change = TaskAt(kGroup, 0);
  EXPECT_EQ(change.chat_id(), kGroup);
  EXPECT_EQ(change.author(), "");
  EXPECT_EQ(change.author_device(), "");
  EXPECT_EQ(change.msg_id(), created.msg_id);
  EXPECT_EQ(change.shared(), JoinEntry({"created|", "|", "|"}, created.msg_id));
  EXPECT_EQ(change.own(), "");

  const auto sent = Send(kGroup, "u01", 1);
  const auto message = TaskAt(kGroup, 1);
  EXPECT_EQ(message.author(), "u01");
  EXPECT_EQ(message.author_device(), "phone");
  EXPECT_EQ(message.msg_id(), sent.msg_id);
  EXPECT_EQ(message.shared(), Shared(sent.msg_id));
  EXPECT_EQ(message.own(), Own(sent.msg_id));
}

TEST_P(TaskTest, LargeTemplatesAreFramed) {
  Create(kGroup, people_);
  const std::string text(limits::kTextBigChat, 'x');
  const auto sent = Send(kGroup, "u01", 1, text);
  EXPECT_EQ(TaskAt(kGroup, 1).shared(), Shared(sent.msg_id, text));
  EXPECT_EQ(TaskAt(kGroup, 1).own(), Own(sent.msg_id, text));
}

TEST_P(TaskTest, AppendInterruptedAndResumedByAnother) {
  Create(kGroup, people_);
  const uint32_t p = P(kGroup);
  const uint64_t first = TakeLease(Role::kFanOut, "one", p);
  const auto task = TaskAt(kGroup, 0);
  EXPECT_TRUE(Appended(AppendOf(task, {"u00", "u01", "u02", "u03"})).empty());
  EXPECT_EQ(TakeLease(Role::kFanOut, "two", p), 0u);
  world().Advance(5000);  // the first holder has died in the middle
  const uint64_t second = TakeLease(Role::kFanOut, "two", p);
  EXPECT_GT(second, first);
  Do(AppendOf(TaskAt(kGroup, 0), people_));
  EXPECT_EQ(Ask<TrimLogReply>(TrimLog{Log::kTasks, {{p, second, 1}}}).held,
            std::vector<bool>{true});
  // The first one wakes: it repeats its work and its trim, both without effect.
  Send(kGroup, "u00", 1);
  Do(AppendOf(task, people_));
  EXPECT_EQ(Ask<TrimLogReply>(TrimLog{Log::kTasks, {{p, first, 2}}}).held,
            std::vector<bool>{false});
  for (const auto& uid : people_) EXPECT_EQ(Head(uid), 1u) << uid;
  const auto left = ReadAllOf(Log::kTasks, p);
  EXPECT_EQ(left.first, 1u);
  EXPECT_EQ(left.records.size(), 1u);
}

TEST_P(TaskTest, AppendIsIdempotent) {
  Create(kGroup, people_);
  Login("u02");
  const auto append = AppendOf(TaskAt(kGroup, 0), people_);
  EXPECT_EQ(Appended(append), (std::vector<Delivery>{{"u02", 1}}));
  const std::string before = DumpAll();
  EXPECT_TRUE(Appended(append).empty());
  EXPECT_EQ(DumpAll(), before);
}

TEST_P(TaskTest, AnOlderIdIsPassedOver) {
  hub::Append append{kGroup, {{MakeMsgId(kStartMs, 5), "", "", "five", ""}}, {"alice"}, kB1};
  Do(append);
  append.messages[0].msg_id -= 1;
  append.messages[0].shared = "four";
  Do(append);
  EXPECT_EQ(Inbox("alice").entries, std::vector<std::string>{"five"});
  append.chat = kOther;  // another chat counts by itself
  Do(append);
  EXPECT_EQ(Inbox("alice").entries, (std::vector<std::string>{"five", "four"}));
}

TEST_P(TaskTest, AuthorGetsOwnOrNothing) {
  Create(kGroup, people_);
  Login("u01");
  Login("u02");
  Login("u02", "tablet", kB1, 2);
  const auto sent = Send(kGroup, "u01", 1);
  auto append = AppendOf(TaskAt(kGroup, 1), {"u01", "u02", "u03"});
  EXPECT_EQ(Appended(append), (std::vector<Delivery>{{"u02", 1}}));
  EXPECT_EQ(Head("u01"), 0u);
  const auto second = Send(kGroup, "u02", 1);
  append = AppendOf(TaskAt(kGroup, 2), {"u03", "u02", "u01"});
  EXPECT_EQ(Appended(append), (std::vector<Delivery>{{"u02", 2}, {"u01", 1}}));
  EXPECT_EQ(Inbox("u02").entries,
            (std::vector<std::string>{Shared(sent.msg_id), Own(second.msg_id)}));
  EXPECT_FALSE(IsDue("u02"));
  EXPECT_TRUE(IsDue("u03"));
}

TEST_P(TaskTest, WhileATaskIsOpenNothingOvertakesIt) {
  Create(kGroup, Numbered("u", 9));
  const uint32_t p = P(kGroup);
  auto update = MakeUpdate(kGroup, "u00", 1, {}, {"u08", "u07", "u06", "u05"});
  EXPECT_TRUE(Ask<ChangeReply>(update).task);     // the creation is not fanned out yet
  EXPECT_TRUE(SendGroup(kGroup, "u00", 1).task);  // five members, but two tasks are open
  EXPECT_FALSE(Send(kDirect, "alice", 1).task);   // another chat
  const uint64_t token = TakeLease(Role::kFanOut, "one", p);
  Do(TrimLog{Log::kTasks, {{p, token, 2}}});
  EXPECT_TRUE(SendGroup(kGroup, "u00", 2).task);
  Do(TrimLog{Log::kTasks, {{p, token, 4}}});
  EXPECT_FALSE(SendGroup(kGroup, "u00", 3).task);
  EXPECT_EQ(Head("u01"), 1u);
}

TEST_P(TaskTest, WhoComesBackStillGetsWhatIsUnderWay) {
  const auto created = Create(kGroup, people_);
  const auto gone = Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 1, {}, {"u09"}));
  Send(kGroup, "u01", 1);
  const auto back = Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 2, {"u09"}));
  EXPECT_EQ(back.outcome, Changed::kDone);
  using Times = std::vector<Member>;
  const auto times = [&] {
    Times of;
    for (const Member& m : Ask<GetChatReply>(GetChat{kGroup, 0, true}).members) {
      if (m.uid == "u09") of.push_back(m);
    }
    return of;
  };
  const Member before{"u09", created.msg_id, gone.msg_id};
  EXPECT_EQ(times(), (Times{before, {"u09", back.msg_id, 0}}));
  const uint32_t p = P(kGroup);
  Do(TrimLog{Log::kTasks, {{p, TakeLease(Role::kFanOut, "one", p), 4}}});
  const auto again = Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 3, {}, {"u09"}));
  EXPECT_EQ(times(), (Times{before, {"u09", back.msg_id, again.msg_id}}));
  Do(TrimLog{Log::kTasks, {{p, TakeLease(Role::kFanOut, "one", p), 5}}});
  const auto last = Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 4, {"u09"}));
  EXPECT_EQ(times(), (Times{{"u09", last.msg_id, 0}}));  // nothing was under way
}

TEST_P(TaskTest, HowOftenOneMayComeBackWhileATaskIsOpenIsBounded) {
  Create(kGroup, people_);
  uint64_t version = 1;
  for (size_t i = 0; i < kTimesKept; ++i) {
    Do(MakeUpdate(kGroup, "u00", version++, {}, {"u09"}));
    EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", version++, {"u09"})).outcome,
              Changed::kDone);
  }
  Do(MakeUpdate(kGroup, "u00", version++, {}, {"u09"}));
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", version, {"new", "u09"})).outcome,
            Changed::kFull);
  EXPECT_EQ(Ask<GetChatReply>(GetChat{kGroup, 0, true}).record.version, version);
  const uint32_t p = P(kGroup);
  Do(TrimLog{Log::kTasks, {{p, TakeLease(Role::kFanOut, "one", p), version}}});
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", version, {"u09"})).outcome, Changed::kDone);
}

TEST_P(TaskTest, TimesBeforeAreForgottenADayLater) {
  Create(kGroup, people_);
  Do(MakeUpdate(kGroup, "u00", 1, {}, {"u08", "u09"}));
  Do(MakeUpdate(kGroup, "u00", 2, {"u08", "u09"}));
  world().Advance(1000);
  Do(MakeUpdate(kGroup, "u00", 3, {}, {"u09"}));
  Do(MakeUpdate(kGroup, "u00", 4, {"u09"}));
  const auto rows = [&] { return Ask<GetChatReply>(GetChat{kGroup, 0, true}).members.size(); };
  EXPECT_EQ(rows(), 13u);
  world().Advance(kLeftKeptMs - 999);
  Do(MakeUpdate(kGroup, "u00", 5));
  EXPECT_EQ(rows(), 13u) << "a task is open";
  const uint32_t p = P(kGroup);
  Do(TrimLog{Log::kTasks, {{p, TakeLease(Role::kFanOut, "one", p), 6}}});
  Do(MakeUpdate(kGroup, "u00", 6));
  EXPECT_EQ(rows(), 11u) << "of u09 the time that ended later";
  Do(TrimLog{Log::kTasks, {{p, TakeLease(Role::kFanOut, "one", p), 7}}});
  world().Advance(1000);
  Do(MakeUpdate(kGroup, "u00", 7));
  EXPECT_EQ(rows(), 10u);
}

TEST_P(TaskTest, TasksOfOtherChatsDoNotHoldAChatBack) {
  Start({.partitions = 1});
  Create(kOther, {"alice", "bob"});
  Create(kGroup, people_);  // an open task in the same partition
  EXPECT_FALSE(SendGroup(kOther, "alice", 1).task);
}

TEST_P(TaskTest, AppendReportsTailsAndBoundsInboxes) {
  Do(Tail{"alice", kB1, 1});
  for (uint32_t i = 1; i <= kInboxBound + 3; ++i) {
    const hub::Append append{
        kGroup, {{MakeMsgId(kStartMs, i), "", "", "e" + std::to_string(i), ""}}, {"alice"}, kB1};
    EXPECT_EQ(Appended(append), (std::vector<Delivery>{{"alice", i}}));
  }
  EXPECT_EQ(Inbox("alice").first, 4u);
  EXPECT_EQ(Inbox("alice").entries[0], "e4");
}

// ---- left to a task by the caller
// ----------------------------------------------------------------

TEST_P(TaskTest, ADirectChatByTask) {
  Login("bob");
  hub::Send send = MakeSend(kDirect, "alice", 1);
  send.by_task = true;
  const auto sent = Ask<SendReply>(send);
  EXPECT_EQ(sent.outcome, Sent::kAccepted);
  EXPECT_TRUE(sent.task);
  EXPECT_TRUE(sent.deliveries.empty());
  EXPECT_EQ(Head("bob"), 0u);
  const auto record = Ask<GetChatReply>(GetChat{kDirect, 0, true});
  EXPECT_TRUE(record.record.direct);
  EXPECT_EQ(record.members,
            (std::vector<Member>{{"alice", sent.msg_id, 0}, {"bob", sent.msg_id, 0}}));
  EXPECT_EQ(ReadAllOf(Log::kJournal, P(kDirect)).records.at(0), Own(sent.msg_id));
  const auto task = TaskAt(kDirect, 0);
  EXPECT_EQ(task.shared(), Shared(sent.msg_id));
  EXPECT_EQ(task.own(), Own(sent.msg_id));
  EXPECT_EQ(Appended(AppendOf(task, {"alice", "bob"})), (std::vector<Delivery>{{"bob", 1}}));
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kRepeat);
}

// The author's copy: left out if the sending device is the only one and nobody watches, as inline.
TEST_P(TaskTest, TheAuthorsCopyByTaskIsAsInline) {
  Login("alice", "phone", kB1, 1);
  Login("bob", "phone", kB1, 2);
  Login("bob", "tablet", kB1, 3);
  for (const char* author : {"alice", "bob"}) {
    hub::Send send = MakeSend(kDirect, author, 1);
    send.by_task = true;
    Do(send);
  }
  EXPECT_EQ(Appended(AppendOf(TaskAt(kDirect, 0), {"alice", "bob"})),
            (std::vector<Delivery>{{"bob", 1}}));
  EXPECT_EQ(Appended(AppendOf(TaskAt(kDirect, 1), {"alice", "bob"})),
            (std::vector<Delivery>{{"alice", 1}, {"bob", 2}}));
  Do(Tail{"alice", kB1, 1});
  hub::Send send = MakeSend(kDirect, "alice", 2);
  send.by_task = true;
  Do(send);
  EXPECT_EQ(Appended(AppendOf(TaskAt(kDirect, 2), {"alice", "bob"})),
            (std::vector<Delivery>{{"alice", 2}, {"bob", 3}}));
}

// Nobody overtakes: while a task of the chat is open, what could be done inline follows it.
TEST_P(TaskTest, WhatFollowsATaskOfADirectChatIsATaskToo) {
  hub::Send send = MakeSend(kDirect, "alice", 1);
  send.by_task = true;
  Do(send);
  EXPECT_TRUE(Send(kDirect, "bob", 1).task);
  const uint64_t token = TakeLease(Role::kFanOut, "one", P(kDirect));
  Do(TrimLog{Log::kTasks, {{P(kDirect), token, 2}}});
  EXPECT_FALSE(Send(kDirect, "bob", 2).task);
}

TEST_P(TaskTest, SmallGroupsByTask) {
  CreateChat create{
      kGroup, "alice", "phone", "title", {"alice", "bob"}, world().clock(), {"created|", "|", "|"},
      kB1,    true};
  const auto created = Ask<ChangeReply>(create);
  EXPECT_TRUE(created.task);
  EXPECT_TRUE(created.deliveries.empty());
  const uint64_t token = TakeLease(Role::kFanOut, "one", P(kGroup));
  Do(TrimLog{Log::kTasks, {{P(kGroup), token, 1}}});
  hub::Send send = MakeSend(kGroup, "alice", 1);  // knows nothing of version and members
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kStale);
  send.by_task = true;
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kAccepted);
  send.author = "carol";
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kDenied);
  Do(TrimLog{Log::kTasks, {{P(kGroup), token, 2}}});
  UpdateChat update = MakeUpdate(kGroup, "alice", 1, {"carol"}, {"bob"});
  update.by_task = true;
  const auto updated = Ask<ChangeReply>(update);
  EXPECT_TRUE(updated.task);
  EXPECT_EQ(updated.record.member_count, 2u);
  EXPECT_EQ(Head("carol"), 0u);
}

TEST_P(TaskTest, ByTaskNeedsRoomForTasks) {
  Start({.partitions = 1, .tasks_max = 1});
  hub::Send send = MakeSend(kDirect, "alice", 1);
  send.by_task = true;
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kAccepted);
  send.client_msg_id = 2;
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kFull);
  EXPECT_EQ(ReadAllOf(Log::kJournal, 0).records.size(), 1u);
}

}  // namespace nightjar::hub::contract
