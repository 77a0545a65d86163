// Sending: every outcome, ids, inline appends, who gets a copy, who is told, who becomes due.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class SendTest : public HubTest {};
NIGHTJAR_HUB_SUITE(SendTest);

TEST_P(SendTest, FirstMessageCreatesDirectChat) {
  EXPECT_FALSE(Ask<GetChatReply>(GetChat{kDirect, 0, true}).found);
  const auto reply = Send(kDirect, "bob", 7);
  ASSERT_EQ(reply.outcome, Sent::kAccepted);
  EXPECT_EQ(reply.msg_id, MakeMsgId(kStartMs, 0));
  EXPECT_FALSE(reply.task);
  EXPECT_TRUE(reply.deliveries.empty());

  const auto chat = Ask<GetChatReply>(GetChat{kDirect, 0, true});
  EXPECT_TRUE(chat.found);
  EXPECT_TRUE(chat.record.direct);
  EXPECT_EQ(chat.record.created_ms, kStartMs);
  EXPECT_EQ(chat.record.created_by, "bob");
  EXPECT_EQ(chat.record.last_msg_id, reply.msg_id);
  EXPECT_EQ(chat.record.version, 1u);
  EXPECT_EQ(chat.record.member_count, 2u);
  EXPECT_EQ(chat.members,
            (std::vector<Member>{{"alice", reply.msg_id, 0}, {"bob", reply.msg_id, 0}}));
  EXPECT_EQ(Inbox("alice").entries, std::vector<std::string>{Shared(reply.msg_id)});
  EXPECT_EQ(Inbox("bob").entries, std::vector<std::string>{Own(reply.msg_id)});
  EXPECT_EQ(ReadAllOf(Log::kJournal, P(kDirect)).records,
            std::vector<std::string>{Own(reply.msg_id)});
}

TEST_P(SendTest, LaterMessageLeavesTheRecord) {
  const auto first = Send(kDirect, "bob", 7);
  world().Advance(1000);
  const auto second = Send(kDirect, "alice", 7);
  const auto chat = Ask<GetChatReply>(GetChat{kDirect, 0, true});
  EXPECT_EQ(chat.record.created_by, "bob");
  EXPECT_EQ(chat.record.created_ms, kStartMs);
  EXPECT_EQ(chat.record.last_msg_id, second.msg_id);
  EXPECT_EQ(chat.members[0].joined, first.msg_id);
}

TEST_P(SendTest, NotepadHasOneMember) {
  const std::string notepad = DirectChatId("alice", "alice");
  const auto reply = Send(notepad, "alice", 1);
  EXPECT_EQ(reply.outcome, Sent::kAccepted);
  EXPECT_EQ(Inbox("alice").entries, std::vector<std::string>{Own(reply.msg_id)});
  const auto chat = Ask<GetChatReply>(GetChat{notepad, 0, true});
  EXPECT_EQ(chat.record.member_count, 1u);
  EXPECT_EQ(chat.members.size(), 1u);
}

TEST_P(SendTest, RepeatIsAnsweredWithTheFirstId) {
  const auto first = Send(kDirect, "alice", 7);
  const std::string before = DumpAll();
  world().Advance(40LL * 24 * 3600 * 1000);
  const auto repeat = Send(kDirect, "alice", 7, "changed");
  EXPECT_EQ(repeat.outcome, Sent::kRepeat);
  EXPECT_EQ(repeat.msg_id, first.msg_id);
  EXPECT_TRUE(repeat.deliveries.empty());
  EXPECT_EQ(DumpAll(), before);
}

TEST_P(SendTest, RepeatIsRecognisedAfterLeaving) {
  Create(kGroup, {"alice", "bob"});
  const auto first = SendGroup(kGroup, "bob", 7);
  Do(MakeUpdate(kGroup, "alice", 1, {}, {"bob"}));
  EXPECT_EQ(Send(kGroup, "bob", 7).msg_id, first.msg_id);
  EXPECT_EQ(Send(kGroup, "bob", 7).outcome, Sent::kRepeat);
  EXPECT_EQ(Send(kGroup, "bob", 8).outcome, Sent::kDenied);
}

TEST_P(SendTest, WithoutClientIdNothingIsARepeat) {
  const auto first = Send(kDirect, "alice", 0);
  const auto second = Send(kDirect, "alice", 0);
  EXPECT_EQ(second.outcome, Sent::kAccepted);
  EXPECT_GT(second.msg_id, first.msg_id);
  EXPECT_EQ(Head("bob"), 2u);
}

TEST_P(SendTest, Denied) {
  EXPECT_EQ(Send(kDirect, "carol", 1).outcome, Sent::kDenied);
  EXPECT_EQ(Send(kGroup, "alice", 1).outcome, Sent::kDenied);
  Create(kGroup, {"alice", "bob"});
  EXPECT_EQ(SendGroup(kGroup, "carol", 1).outcome, Sent::kDenied);
  EXPECT_EQ(Send("nonsense", "alice", 1).outcome, Sent::kDenied);
  EXPECT_EQ(Send("d:alice", "alice", 1).outcome, Sent::kDenied);
  EXPECT_EQ(Send("", "alice", 1).outcome, Sent::kDenied);
  const auto update = MakeUpdate(kGroup, "alice", 1, {}, {"alice", "bob"});
  EXPECT_EQ(Ask<ChangeReply>(update).outcome, Changed::kDone);
  EXPECT_EQ(SendGroup(kGroup, "alice", 1).outcome, Sent::kDenied);  // nobody is left
}

TEST_P(SendTest, TooLongInBigChatsOnly) {
  const auto members = Numbered("u", 65);
  Create(kGroup, members);
  auto send = MakeSend(kGroup, "u00", 1);
  send.text_bytes = limits::kTextBigChat + 1;
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kTooLong);
  send.text_bytes = limits::kTextBigChat;
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kAccepted);
  Create(kOther, Numbered("u", 64));
  send.chat = kOther;
  send.text_bytes = limits::kText;
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kAccepted);
}

TEST_P(SendTest, StaleMembersAreReturned) {
  Create(kGroup, {"bob", "alice", "carol"});
  Do(MakeUpdate(kGroup, "bob", 1, {}, {"carol"}));
  auto send = MakeSend(kGroup, "alice", 1);
  for (const uint64_t version : {0, 1, 3}) {
    send.version = version;
    send.members = {"alice", "bob", "carol"};
    const auto reply = Ask<SendReply>(send);
    EXPECT_EQ(reply.outcome, Sent::kStale);
    EXPECT_EQ(reply.version, 2u);
    EXPECT_EQ(reply.members, (std::vector<std::string>{"alice", "bob"}));
    EXPECT_EQ(reply.msg_id, 0u);
  }
  EXPECT_EQ(Head("bob"), 2u);  // nothing but the two changes
  send.version = 2;
  send.members = {"alice", "bob"};
  EXPECT_EQ(Ask<SendReply>(send).outcome, Sent::kAccepted);
}

TEST_P(SendTest, BigGroupsNeedNoVersion) {
  Create(kGroup, Numbered("u", 9));
  const auto reply = Send(kGroup, "u03", 1);
  EXPECT_EQ(reply.outcome, Sent::kAccepted);
  EXPECT_TRUE(reply.task);
  EXPECT_TRUE(reply.deliveries.empty());
  EXPECT_EQ(Head("u01"), 0u);  // the creation is a task too
}

TEST_P(SendTest, JournalAtItsBound) {
  Start({.partitions = 1, .journal_max = 2});
  Send(kDirect, "alice", 1);
  Send(kDirect, "alice", 2);
  const std::string before = DumpAll();
  EXPECT_EQ(Send(kDirect, "alice", 3).outcome, Sent::kFull);
  EXPECT_EQ(Send(kDirect, "alice", 2).outcome, Sent::kRepeat);
  EXPECT_EQ(DumpAll(), before);
  const uint64_t token = TakeLease(Role::kPersist, "p", 0);
  Do(TrimLog{Log::kJournal, {{0, token, 1}}});
  EXPECT_EQ(Send(kDirect, "alice", 3).outcome, Sent::kAccepted);
}

TEST_P(SendTest, TasksAtTheirBoundRefuseWhatNeedsATask) {
  Start({.partitions = 1, .tasks_max = 2});
  Create(kGroup, Numbered("u", 9));
  EXPECT_EQ(Send(kGroup, "u00", 1).outcome, Sent::kAccepted);
  EXPECT_EQ(Send(kGroup, "u00", 2).outcome, Sent::kFull);
  EXPECT_EQ(Create(kOther, Numbered("u", 9)).outcome, Changed::kFull);
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 1)).outcome, Changed::kFull);
  EXPECT_EQ(Send(kDirect, "alice", 1).outcome, Sent::kAccepted);
  EXPECT_EQ(Create(kOther, Numbered("u", 8)).outcome, Changed::kDone);
}

TEST_P(SendTest, IdsFollowReceptionWithinTheHubsClock) {
  auto send = MakeSend(kDirect, "alice", 1);
  send.received_ms = kStartMs + 60'000;  // a clock ahead
  EXPECT_EQ(Ask<SendReply>(send).msg_id, MakeMsgId(kStartMs, 0));
  send.client_msg_id = 2;
  send.received_ms = kStartMs - 60'000;  // far behind; and never back
  EXPECT_EQ(Ask<SendReply>(send).msg_id, MakeMsgId(kStartMs, 1));
  world().Advance(20'000);
  send.client_msg_id = 3;
  send.received_ms = 0;
  EXPECT_EQ(Ask<SendReply>(send).msg_id, MakeMsgId(kStartMs + 10'000, 0));
  send.client_msg_id = 4;
  send.received_ms = kStartMs + 15'000;
  EXPECT_EQ(Ask<SendReply>(send).msg_id, MakeMsgId(kStartMs + 15'000, 0));
  world().Advance(-3'600'000);  // the hub's clock steps back
  send.client_msg_id = 5;
  EXPECT_EQ(Ask<SendReply>(send).msg_id, MakeMsgId(kStartMs + 15'000, 1));
}

TEST_P(SendTest, FullSequenceCarriesIntoMilliseconds) {
  Send(kDirect, "alice", 1);
  world().PokeLast(kDirect, MakeMsgId(kStartMs, (1u << 20) - 2));
  EXPECT_EQ(Send(kDirect, "alice", 2).msg_id, MakeMsgId(kStartMs, (1u << 20) - 1));
  EXPECT_EQ(Send(kDirect, "alice", 3).msg_id, MakeMsgId(kStartMs + 1, 0));
  EXPECT_EQ(Send(kDirect, "alice", 4).msg_id, MakeMsgId(kStartMs + 1, 1));
  // Where the carry crosses the lower 32 bits of the id.
  const int64_t edge = (kStartMs / 4096 + 1) * 4096 - 1;
  world().PokeLast(kDirect, MakeMsgId(edge, (1u << 20) - 1));
  EXPECT_EQ(Send(kDirect, "alice", 5).msg_id, MakeMsgId(edge + 1, 0));
  EXPECT_EQ(Inbox("bob").entries.back(), Shared(MakeMsgId(edge + 1, 0)));
}

TEST_P(SendTest, OwnCopyOnlyForOtherDevices) {
  Login("alice");
  Login("bob");
  auto reply = Send(kDirect, "alice", 1);
  EXPECT_EQ(Head("alice"), 0u);  // the only device sent it
  EXPECT_EQ(Ask<UserChatsReply>(UserChats{"alice"}).chats[0].second, reply.msg_id);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"bob", 1}}));

  auto other = MakeSend(kDirect, "alice", 2);
  other.device = "tablet";  // not the device that is known
  reply = Ask<SendReply>(other);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"alice", 1}, {"bob", 2}}));
  EXPECT_EQ(Inbox("alice").entries.back(), Own(reply.msg_id));

  Login("alice", "tablet", kB2, 2);
  reply = Send(kDirect, "alice", 3);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"alice", 2}, {"bob", 3}}));
}

TEST_P(SendTest, OwnCopyForTails) {
  Login("alice");
  Do(Tail{"alice", kB2, 1});
  EXPECT_TRUE(Send(kDirect, "alice", 1).deliveries.size() == 1u);  // her route is on this broker
  EXPECT_EQ(Head("alice"), 1u);
  Do(Tail{"alice", kB2, 0});
  EXPECT_TRUE(Send(kDirect, "alice", 2).deliveries.empty());
  EXPECT_EQ(Head("alice"), 1u);
}

TEST_P(SendTest, DeliveriesOnlyForTheCallingBroker) {
  Create(kGroup, {"alice", "bob", "carol"});
  Login("alice", "phone", kB1, 1);
  Login("bob", "phone", kB2, 1);
  Do(Tail{"carol", kB1, 2});
  auto reply = SendGroup(kGroup, "alice", 1);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"carol", 2}}));
  Login("bob", "tablet", kB1, 2);
  reply = SendGroup(kGroup, "alice", 2);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"bob", 3}, {"carol", 3}}));
  Do(Tail{"carol", kB1, 0});
  Login("carol", "phone", kB1, 9);
  First("b1#2");  // another life of the same broker
  Login("bob", "tablet", "b1#2", 2);
  reply = SendGroup(kGroup, "alice", 3);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"carol", 4}}));
}

TEST_P(SendTest, DeliveriesInTheOrderOfMembers) {
  Create(kGroup, {"alice", "bob", "carol"});
  for (const char* uid : {"alice", "bob", "carol"}) Login(uid);
  auto send = MakeSend(kGroup, "alice", 1);
  send.version = 1;
  send.members = {"carol", "alice", "bob"};
  const auto reply = Ask<SendReply>(send);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"carol", 2}, {"bob", 2}}));
}

TEST_P(SendTest, PeopleWithoutARouteBecomeDue) {
  Login("alice");
  Do(Tail{"bob", kB1, 1});  // a tail is no route
  Send(kDirect, "alice", 1);
  EXPECT_TRUE(IsDue("bob"));
  EXPECT_EQ(HiddenUser("bob").owed, 1u);
  world().Advance(500);
  Send(kDirect, "alice", 2);
  const auto hidden = world().ReadHidden();
  EXPECT_EQ(hidden.partitions.at(P("bob")).due.at("bob"), kStartMs);  // keeps its time
  EXPECT_EQ(HiddenUser("bob").owed, 1u);
  EXPECT_FALSE(IsDue("alice"));
}

TEST_P(SendTest, OwnEntriesOweNothing) {
  Send(kDirect, "alice", 1);  // alice has neither device nor route
  EXPECT_EQ(Head("alice"), 1u);
  EXPECT_FALSE(IsDue("alice"));
  EXPECT_EQ(HiddenUser("alice").owed, 0u);
}

TEST_P(SendTest, InboxBoundDropsTheOldest) {
  std::vector<MsgId> ids;
  for (uint64_t i = 1; i <= kInboxBound + 5; ++i) ids.push_back(Send(kDirect, "alice", i).msg_id);
  const auto inbox = Inbox("bob");
  EXPECT_EQ(inbox.first, 6u);
  EXPECT_EQ(inbox.head, kInboxBound + 5);
  ASSERT_EQ(inbox.entries.size(), kInboxBound);
  EXPECT_EQ(inbox.entries[0], Shared(ids[5]));
}

TEST_P(SendTest, OldEntriesGoAFewAtATime) {
  for (uint64_t i = 1; i <= 14; ++i) Send(kDirect, "alice", i);
  world().Advance(limits::kInboxMs + 1);
  Send(kDirect, "alice", 15);
  EXPECT_EQ(Inbox("bob").first, 1u);
  Send(kDirect, "alice", 16);
  EXPECT_EQ(Inbox("bob").first, 15u);
  EXPECT_EQ(Head("bob"), 16u);
}

TEST_P(SendTest, AtMostThirtyTwoOldEntriesGoAtOnce) {
  Start({.inbox = 50});
  for (uint64_t i = 1; i <= 47; ++i) Send(kDirect, "alice", i);
  world().Advance(limits::kInboxMs + 1);
  Send(kDirect, "alice", 48);
  EXPECT_EQ(Inbox("bob").first, 33u);
  for (uint64_t i = 49; i <= 64; ++i) Send(kDirect, "alice", i);
  EXPECT_EQ(Inbox("bob").first, 48u);
  EXPECT_EQ(Head("bob"), 64u);
}

TEST_P(SendTest, EntriesOfExactlyThirtyDaysStay) {
  for (uint64_t i = 1; i <= 15; ++i) Send(kDirect, "alice", i);
  world().Advance(limits::kInboxMs);
  Send(kDirect, "alice", 16);
  EXPECT_EQ(Inbox("bob").first, 1u);
}

}  // namespace nightjar::hub::contract
