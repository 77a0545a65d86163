// Who is told of what by relay, and who is not.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class RelayTest : public HubTest {
 protected:
  void SetUp() override {
    HubTest::SetUp();
    Listen({"b1", "b2", "b3"});
  }
  SetPresenceReply Presence(const std::string& uid, bool online, const BrokerName& broker = kB1) {
    return Ask<SetPresenceReply>(SetPresence{uid, online, broker, world().clock()});
  }
  std::vector<PresenceState> Watching(const BrokerName& broker, std::vector<std::string> uids,
                                      bool on = true) {
    return Ask<WatchReply>(Watch{std::move(uids), broker, on}).states;
  }
};
NIGHTJAR_HUB_SUITE(RelayTest);

// ---- entries ----------------------------------------------------------------------------------

TEST_P(RelayTest, AnEntryIsToldOnceToEveryOtherBroker) {
  Create(kGroup, {"alice", "bob", "carol"});
  Login("alice", "phone", kB1, 1);
  Login("bob", "phone", kB2, 1);
  Login("bob", "tablet", kB2, 2);
  Login("bob", "watch", kB3, 1);
  Login("carol", "phone", kB3, 2);
  Told();
  const auto sent = SendGroup(kGroup, "alice", 1);
  EXPECT_TRUE(sent.deliveries.empty());
  const std::string entry = Shared(sent.msg_id);
  EXPECT_EQ(Told(), (Relays{{"b2", {Entry(entry, {{"bob", 2}})}},
                            {"b3", {Entry(entry, {{"bob", 2}, {"carol", 2}})}}}));
}

TEST_P(RelayTest, TheCallersOwnAreToldByTheReplyAlone) {
  Login("alice", "phone", kB1, 1);
  Login("alice", "tablet", kB1, 2);
  Login("bob", "phone", kB1, 3);
  EXPECT_EQ(Send(kDirect, "alice", 1).deliveries,
            (std::vector<Delivery>{{"alice", 1}, {"bob", 1}}));
  EXPECT_TRUE(Told().empty());
}

TEST_P(RelayTest, AuthorsDevicesElsewhereGetTheOwnCopy) {
  Login("alice", "phone", kB1, 1);
  Login("alice", "tablet", kB2, 1);
  Login("bob", "phone", kB2, 2);
  const auto sent = Send(kDirect, "alice", 1);
  EXPECT_EQ(sent.deliveries, (std::vector<Delivery>{{"alice", 1}}));
  EXPECT_EQ(Told(), (Relays{{"b2",
                             {Entry(Shared(sent.msg_id), {{"bob", 1}}),
                              Entry(Own(sent.msg_id), {{"alice", 1}})}}}));
}

TEST_P(RelayTest, TailsElsewhereAreTold) {
  Login("alice", "phone", kB1, 1);
  Do(Tail{"alice", kB2, 1});
  Do(Tail{"bob", kB3, 2});
  auto sent = Send(kDirect, "alice", 1);
  EXPECT_EQ(Told(), (Relays{{"b2", {Entry(Own(sent.msg_id), {{"alice", 1}})}},
                            {"b3", {Entry(Shared(sent.msg_id), {{"bob", 1}})}}}));
  EXPECT_TRUE(IsDue("bob")) << "a tail is no device";
  Do(Tail{"alice", kB2, 0});
  Do(Tail{"bob", kB3, 0});
  sent = Send(kDirect, "alice", 2);
  EXPECT_TRUE(Told().empty());
}

TEST_P(RelayTest, ABrokerIdIsToldOnceWhateverItsIncarnations) {
  Login("bob", "phone", kB2, 1);
  First("b2#2");
  Login("bob", "tablet", "b2#2", 1);
  const auto sent = Send(kDirect, "alice", 1);
  EXPECT_EQ(Told(), (Relays{{"b2", {Entry(Shared(sent.msg_id), {{"bob", 1}})}}}));
}

TEST_P(RelayTest, WhatACallersPredecessorHadIsToldToNobody) {
  Login("bob", "phone", kB1, 1);
  First("b1#2");
  auto send = MakeSend(kDirect, "alice", 1);
  send.broker = "b1#2";
  EXPECT_TRUE(Ask<SendReply>(send).deliveries.empty());
  EXPECT_TRUE(Told().empty());
}

TEST_P(RelayTest, ALogoutEndsIt) {
  Login("bob", "phone", kB2, 1);
  Login("bob", "tablet", kB3, 1);
  Logout("bob", "phone", kB2, 1);
  const auto sent = Send(kDirect, "alice", 1);
  EXPECT_EQ(Told(), (Relays{{"b3", {Entry(Shared(sent.msg_id), {{"bob", 1}})}}}));
}

TEST_P(RelayTest, WhatWasNotAcceptedIsToldToNobody) {
  Login("bob", "phone", kB2, 1);
  Send(kDirect, "alice", 7);
  Told();
  EXPECT_EQ(Send(kDirect, "alice", 7).outcome, Sent::kRepeat);
  EXPECT_EQ(Send(kDirect, "carol", 1).outcome, Sent::kDenied);
  EXPECT_TRUE(Told().empty());
}

TEST_P(RelayTest, ChatChangesAreTold) {
  Login("bob", "phone", kB2, 1);
  Login("carol", "phone", kB3, 1);
  const auto created = Create(kGroup, {"alice", "bob"});
  EXPECT_EQ(
      Told(),
      (Relays{{"b2", {Entry(JoinEntry({"created|", "|", "|"}, created.msg_id), {{"bob", 1}})}}}));
  const auto changed = Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 1, {"carol"}, {"bob"}));
  const std::string change = JoinEntry({"changed|", "|", "|"}, changed.msg_id);
  EXPECT_EQ(Told(), (Relays{{"b2", {Entry(change, {{"bob", 2}})}},
                            {"b3", {Entry(change, {{"carol", 1}})}}}));
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 1, {"bob"})).outcome, Changed::kStale);
  Create(kGroup, {"alice", "bob"});
  EXPECT_TRUE(Told().empty());
}

TEST_P(RelayTest, WhatNobodyHearsIsLost) {
  Login("bob", "phone", kB2, 1);
  world().Listen("b2", 0);
  EXPECT_EQ(Send(kDirect, "alice", 1).outcome, Sent::kAccepted);
  world().Listen("b2", 1);
  EXPECT_TRUE(Told().empty());
  EXPECT_EQ(HeadsOf({{"bob", "phone", 1}}, kB2).sessions,
            (std::vector<HeadsReply::Stand>{{Epoch(), 1, Standing::kMine}}))
      << "which is how it is made good";
}

TEST_P(RelayTest, EntriesOfAnyBytes) {
  Login("bob", "phone", kB2, 1);
  auto send = MakeSend(kDirect, "alice", 1);
  std::string bytes(300, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i);
  send.shared = {bytes, bytes};
  const auto sent = Ask<SendReply>(send);
  EXPECT_EQ(Told(),
            (Relays{{"b2", {Entry(bytes + MsgIdBytes(sent.msg_id) + bytes, {{"bob", 1}})}}}));
}

TEST_P(RelayTest, LargeSeqsAndManyUsers) {
  const auto people = Numbered("u", 64);
  hub::Append append{kOther, {{MakeMsgId(kStartMs, 0), "", "", "entry", ""}}, people, kB1};
  std::vector<Delivery> deliveries;
  for (uint64_t i = 0; i < people.size(); ++i) {
    Login(people[i], "phone", kB2, i);
    // Some have seen more: seqs of one byte in protobuf, and of two.
    append.chat = kOther;
    append.uids = {people[i]};
    const uint32_t before = i % 32 == 31 ? static_cast<uint32_t>(i) * 5 : 0;
    for (uint32_t n = 0; n < before; ++n) {
      append.messages[0].msg_id = MakeMsgId(kStartMs, n);
      Do(append);
    }
    deliveries.push_back({people[i], before + 1});
  }
  Told();
  append.chat = kGroup;
  append.uids = people;
  Do(append);
  EXPECT_EQ(Told(), (Relays{{"b2", {Entry("entry", deliveries)}}}));
}

// ---- kicks ------------------------------------------------------------------------------------

TEST_P(RelayTest, ATakeoverByAnotherBrokerKicks) {
  Login("alice", "phone", kB1, 1);
  Login("alice", "tablet", kB1, 2);
  EXPECT_EQ(Login("alice", "phone", kB2, 7).previous_broker, kB1);
  EXPECT_EQ(Told(), (Relays{{"b1", {RelayedKick{"alice", "phone", 1, kB1}}}}));
  Login("alice", "phone", kB2, 7);  // the same once more
  EXPECT_EQ(Login("alice", "phone", kB2, 8).previous_session, 7u);
  EXPECT_TRUE(Told().empty()) << "its own, told by the reply";
  First("b2#2");
  EXPECT_EQ(Login("alice", "phone", "b2#2", 1).previous_broker, kB2);
  EXPECT_TRUE(Told().empty()) << "a predecessor's session ended with it";
  Login("alice", "phone", kB3, 1);
  EXPECT_EQ(Told(), (Relays{{"b2", {RelayedKick{"alice", "phone", 1, "b2#2"}}}}));
  Logout("alice", "phone", kB3, 1);
  Login("alice", "phone", kB1, 9);
  EXPECT_TRUE(Told().empty());
}

// ---- marks ------------------------------------------------------------------------------------

TEST_P(RelayTest, MarksGoToWhereTheAuthorsAre) {
  Login("alice", "phone", kB1, 1);
  Login("alice", "tablet", kB2, 1);
  Do(Tail{"alice", kB3, 1});
  Login("bob");
  const MsgId id = Send(kDirect, "alice", 1).msg_id;
  Told();
  EXPECT_EQ(Ack("bob", 1, {{kDirect, id, {"alice"}}}).moved.size(), 1u);
  const Relayed mark = RelayedMark{"alice", kDirect, "bob", id};
  EXPECT_EQ(Told(), (Relays{{"b2", {mark}}, {"b3", {mark}}}));
  EXPECT_TRUE(Ack("bob", 1, {{kDirect, id, {"alice"}}}).moved.empty());
  EXPECT_TRUE(Told().empty()) << "it did not move";
}

TEST_P(RelayTest, MarksOfSeveralChatsAndAuthors) {
  Create(kGroup, {"alice", "bob", "carol"});
  Create(kOther, {"bob", "dave"});
  Login("bob");
  Login("alice", "phone", kB2, 1);
  Login("carol", "phone", kB2, 2);
  Login("dave", "phone", kB2, 3);
  Told();
  const MsgId id = Ask<GetChatReply>(GetChat{kGroup, 0, false}).record.last_msg_id;
  const MsgId other = Ask<GetChatReply>(GetChat{kOther, 0, false}).record.last_msg_id;
  Ack("bob", 2, {{kOther, other, {"dave"}}, {kGroup, id, {"carol", "nobody", "alice"}}});
  EXPECT_EQ(
      Told(),
      (Relays{{"b2",
               {RelayedMark{"dave", kOther, "bob", other}, RelayedMark{"carol", kGroup, "bob", id},
                RelayedMark{"alice", kGroup, "bob", id}}}}));
}

TEST_P(RelayTest, MarksOfBigChatsAndRefusedAcksAreToldToNobody) {
  const auto people = Numbered("u", static_cast<int>(limits::kReceiptMembers) + 1);
  const MsgId id = Create(kGroup, people).msg_id;
  Login("u00");
  Login("u01", "phone", kB2, 1);
  EXPECT_EQ(Ack("u00", 0, {{kGroup, id, {"u01"}}}).moved,
            (std::vector<AckReply::Moved>{{0, false}}));
  Login("bob");
  Login("alice", "phone", kB2, 2);
  const MsgId direct = Send(kDirect, "alice", 1).msg_id;
  Told();
  EXPECT_EQ(Ack("bob", 2, {{kDirect, direct, {"alice"}}}).outcome, Acked::kBeyondHead);
  EXPECT_TRUE(Told().empty());
}

// ---- presence ---------------------------------------------------------------------------------

TEST_P(RelayTest, PresenceIsToldToTheOtherBrokersThatWatch) {
  EXPECT_EQ(Watching(kB1, {"alice"}), (std::vector<PresenceState>{{"alice", false, 0}}));
  Watching(kB2, {"bob", "alice"});
  Watching(kB2, {"alice"});  // one interest
  Login("alice");
  EXPECT_TRUE(Presence("alice", true).changed);
  const PresenceState online{"alice", true, kStartMs};
  EXPECT_EQ(Told(), (Relays{{"b2", {online}}}));
  EXPECT_EQ(Watching(kB3, {"bob", "alice"}),
            (std::vector<PresenceState>{{"bob", false, 0}, online}));
  EXPECT_FALSE(Presence("alice", true).changed);
  EXPECT_TRUE(Told().empty());
  world().Advance(4000);
  Logout("alice");
  EXPECT_TRUE(Presence("alice", false).changed);
  const PresenceState offline{"alice", false, kStartMs + 4000};
  EXPECT_EQ(Told(), (Relays{{"b2", {offline}}, {"b3", {offline}}}));
  EXPECT_EQ(Watching(kB2, {"alice"}, false), (std::vector<PresenceState>{offline}));
  Watching(kB3, {"bob"}, false);  // of whom there was none
  Login("alice");
  Presence("alice", true);
  EXPECT_EQ(Told(), (Relays{{"b3", {PresenceState{"alice", true, kStartMs + 4000}}}}));
  EXPECT_TRUE(HiddenUser("bob").watchers.count("b2"));
}

TEST_P(RelayTest, WhoeverNobodyListensForIsForgottenAtTheNextChange) {
  for (const auto& broker : {kB1, kB2, kB3}) Watching(broker, {"alice"});
  world().Listen("b2", 0);
  world().Listen("b1", 0);
  Login("alice");
  const std::set<std::string> all = {"b1", "b2", "b3"};
  EXPECT_EQ(HiddenUser("alice").watchers, all);
  Presence("alice", true, kB1);
  EXPECT_EQ(Told(), (Relays{{"b3", {PresenceState{"alice", true, kStartMs}}}}));
  EXPECT_EQ(HiddenUser("alice").watchers, (std::set<std::string>{"b1", "b3"}))
      << "the caller is not asked";
  world().Listen("b2", 1);
  Logout("alice");
  Presence("alice", false, kB1);
  EXPECT_EQ(Told().count("b2"), 0u) << "until it watches again";
}

TEST_P(RelayTest, InterestIsOfTheIdAndSurvivesIncarnations) {
  Watching(kB2, {"alice"});
  First("b2#2");
  Login("alice");
  Presence("alice", true);
  EXPECT_EQ(Told().count("b2"), 1u);
  Watching("b2#2", {"alice"}, false);
  EXPECT_TRUE(HiddenUser("alice").watchers.empty());
  EXPECT_TRUE(Watching(kB1, {}).empty());
}

// ---- tasks ------------------------------------------------------------------------------------

TEST_P(RelayTest, TheHolderOfTheLeaseIsToldOfATask) {
  const uint32_t p = P(kGroup);
  EXPECT_EQ(TakeLease(Role::kPersist, kB3, p) > 0, true);  // another role
  EXPECT_TRUE(Create(kGroup, Numbered("u", 10)).task);
  EXPECT_TRUE(Told().empty()) << "nobody holds it";
  TakeLease(Role::kFanOut, kB2, p, 5000);
  EXPECT_TRUE(Send(kGroup, "u01", 1).task);
  EXPECT_EQ(Told(), (Relays{{"b2", {RelayedTask{p}}}}));
  EXPECT_TRUE(Send(kGroup, "u01", 1).outcome == Sent::kRepeat);
  EXPECT_TRUE(Told().empty());
  EXPECT_TRUE(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 1, {}, {"u09"})).task);
  EXPECT_EQ(Told(), (Relays{{"b2", {RelayedTask{p}}}}));
  world().Advance(5000);
  Send(kGroup, "u01", 2);
  EXPECT_TRUE(Told().empty()) << "the lease is over";
  TakeLease(Role::kFanOut, kB1, p, 5000);
  Send(kGroup, "u01", 3);
  EXPECT_TRUE(Told().empty()) << "the caller holds it";
  First("b1#2");
  auto send = MakeSend(kGroup, "u01", 4);
  send.broker = "b1#2";
  Do(send);
  EXPECT_TRUE(Told().empty()) << "its predecessor did";
  TakeLease(Role::kFanOut, kB1, p, 0);
  TakeLease(Role::kFanOut, "worker", p, 5000);  // by a name without an incarnation
  Send(kGroup, "u01", 5);
  EXPECT_TRUE(Told().empty());
  Listen({"worker"});
  Send(kGroup, "u01", 6);
  EXPECT_EQ(Told(), (Relays{{"worker", {RelayedTask{p}}}}));
  world().Listen("worker", 0);
}

}  // namespace nightjar::hub::contract
