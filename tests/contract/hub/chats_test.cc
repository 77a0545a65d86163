// Groups, membership, records, delivered marks as read.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class ChatsTest : public HubTest {};
NIGHTJAR_HUB_SUITE(ChatsTest);

TEST_P(ChatsTest, CreateTellsEverybody) {
  Login("bob");
  const auto reply = Create(kGroup, {"carol", "alice", "bob"});
  ASSERT_EQ(reply.outcome, Changed::kDone);
  EXPECT_EQ(reply.msg_id, MakeMsgId(kStartMs, 0));
  EXPECT_FALSE(reply.task);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"bob", 1}}));
  const ChatRecord record{kGroup, false, "title", kStartMs, "carol", reply.msg_id, 1, 3};
  EXPECT_EQ(reply.record, record);
  const std::string entry = JoinEntry({"created|", "|", "|"}, reply.msg_id);
  for (const char* uid : {"alice", "bob", "carol"}) {
    EXPECT_EQ(Inbox(uid).entries, std::vector<std::string>{entry});
  }
  EXPECT_TRUE(IsDue("carol"));  // the creator too: no entry of a change is anybody's own
  EXPECT_EQ(ReadAllOf(Log::kJournal, P(kGroup)).records, std::vector<std::string>{entry});
  const auto chat = Ask<GetChatReply>(GetChat{kGroup, 0, true});
  EXPECT_EQ(chat.record, record);
  EXPECT_EQ(chat.members,
            (std::vector<Member>{
                {"alice", reply.msg_id, 0}, {"bob", reply.msg_id, 0}, {"carol", reply.msg_id, 0}}));
}

TEST_P(ChatsTest, CreateRepeatedFindsTheChat) {
  const auto first = Create(kGroup, {"alice", "bob"});
  Do(MakeUpdate(kGroup, "alice", 1, {"carol"}));
  const std::string before = DumpAll();
  const auto repeat = Create(kGroup, {"alice", "bob"});
  EXPECT_EQ(repeat.outcome, Changed::kExists);
  EXPECT_EQ(repeat.msg_id, 0u);
  EXPECT_EQ(repeat.record.version, 2u);
  EXPECT_EQ(repeat.record.member_count, 3u);
  EXPECT_EQ(repeat.record.created_ms, MsgIdMs(first.msg_id));
  EXPECT_EQ(DumpAll(), before);
}

TEST_P(ChatsTest, CreateRefusals) {
  Start({.partitions = 1, .journal_max = 1});
  EXPECT_EQ(Create(kDirect, {"alice", "bob"}).outcome, Changed::kDenied);
  EXPECT_EQ(Create("nonsense", {"alice", "bob"}).outcome, Changed::kDenied);
  EXPECT_EQ(Create(kGroup, {"alice"}).outcome, Changed::kDone);
  const auto full = Create(kOther, {"alice"});
  EXPECT_EQ(full.outcome, Changed::kFull);
  EXPECT_EQ(full.record, ChatRecord{});
  EXPECT_EQ(Create(kGroup, {"alice"}).outcome, Changed::kExists);
  EXPECT_FALSE(Ask<GetChatReply>(GetChat{kOther, 0, true}).found);
}

TEST_P(ChatsTest, BigGroupIsToldByATask) {
  EXPECT_FALSE(Create(kOther, Numbered("u", 8)).task);
  EXPECT_EQ(Head("u07"), 1u);
  EXPECT_TRUE(Create(kGroup, Numbered("u", 9)).task);
  EXPECT_EQ(Head("u08"), 0u);
}

TEST_P(ChatsTest, UpdateChangesMembersAndTitle) {
  Create(kGroup, {"alice", "bob", "carol"});
  Login("bob");
  Login("dave");
  world().Advance(10);
  auto update = MakeUpdate(kGroup, "alice", 1, {"dave"}, {"bob"});
  update.title = "renamed";
  const auto reply = Ask<ChangeReply>(update);
  ASSERT_EQ(reply.outcome, Changed::kDone);
  EXPECT_EQ(reply.deliveries, (std::vector<Delivery>{{"bob", 2}, {"dave", 1}}));  // the removed too
  EXPECT_EQ(reply.record,
            (ChatRecord{kGroup, false, "renamed", kStartMs, "alice", reply.msg_id, 2, 3}));
  const auto chat = Ask<GetChatReply>(GetChat{kGroup, 0, true});
  EXPECT_EQ(chat.record, reply.record);
  EXPECT_EQ(chat.members[1], (Member{"bob", MakeMsgId(kStartMs, 0), reply.msg_id}));
  EXPECT_EQ(chat.members[3], (Member{"dave", reply.msg_id, 0}));
  EXPECT_EQ(Ask<SendReply>(MakeSend(kGroup, "bob", 1)).outcome, Sent::kDenied);
}

TEST_P(ChatsTest, AReturningMemberStartsAnew) {
  Create(kGroup, {"alice", "bob"});
  Do(MakeUpdate(kGroup, "alice", 1, {}, {"bob"}));
  const auto back = Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 2, {"bob"}));
  const auto chat = Ask<GetChatReply>(GetChat{kGroup, 0, true});
  EXPECT_EQ(chat.members[1], (Member{"bob", back.msg_id, 0}));
  EXPECT_EQ(chat.record.member_count, 2u);
  EXPECT_EQ(Head("bob"), 3u);
}

TEST_P(ChatsTest, UpdateRefusals) {
  Create(kGroup, {"alice", "bob"});
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "carol", 1)).outcome, Changed::kDenied);
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kOther, "alice", 1)).outcome, Changed::kDenied);
  Send(kDirect, "alice", 1);
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kDirect, "alice", 1)).outcome, Changed::kDenied);
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate("", "alice", 1)).outcome, Changed::kDenied);
  const auto stale = Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 2));
  EXPECT_EQ(stale.outcome, Changed::kStale);
  EXPECT_EQ(stale.record.version, 1u);
  EXPECT_EQ(stale.record.member_count, 2u);
  Do(MakeUpdate(kGroup, "alice", 1, {}, {"alice"}));
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 2)).outcome, Changed::kDenied);
}

TEST_P(ChatsTest, UpdateAtTheJournalsBound) {
  Start({.partitions = 1, .journal_max = 2});
  Create(kGroup, {"alice", "bob"});
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 1)).outcome, Changed::kDone);
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 2)).outcome, Changed::kFull);
  EXPECT_EQ(Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 1)).outcome, Changed::kStale);
  EXPECT_EQ(Ask<GetChatReply>(GetChat{kGroup, 0, false}).record.version, 2u);
}

TEST_P(ChatsTest, TheRemovedCountForInlineOrTask) {
  Create(kGroup, Numbered("u", 8));
  EXPECT_FALSE(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 1, {}, {"u06", "u07"})).task);
  EXPECT_TRUE(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 2, {"v1", "v2", "v3"}, {"u05"})).task);
  EXPECT_EQ(Ask<GetChatReply>(GetChat{kGroup, 0, false}).record.member_count, 8u);
}

TEST_P(ChatsTest, MembersOnlyWhenNeeded) {
  Create(kGroup, {"alice", "bob"});
  EXPECT_FALSE(Ask<GetChatReply>(GetChat{kGroup, 1, true}).members_included);
  EXPECT_FALSE(Ask<GetChatReply>(GetChat{kGroup, 0, false}).members_included);
  EXPECT_TRUE(Ask<GetChatReply>(GetChat{kGroup, 2, true}).members_included);
  EXPECT_FALSE(Ask<GetChatReply>(GetChat{kOther, 0, true}).found);
  EXPECT_FALSE(Ask<GetChatReply>(GetChat{"nonsense", 0, true}).found);
  Send(kDirect, "alice", 1);
  EXPECT_FALSE(Ask<GetChatReply>(GetChat{kDirect, 1, true}).members_included);
}

TEST_P(ChatsTest, AnEmptiedChatIsStillThere) {
  Create(kGroup, {"alice", "bob"});
  Do(MakeUpdate(kGroup, "alice", 1, {}, {"alice", "bob"}));
  const auto chat = Ask<GetChatReply>(GetChat{kGroup, 0, true});
  EXPECT_TRUE(chat.found);
  EXPECT_EQ(chat.record.member_count, 0u);
  EXPECT_EQ(chat.members.size(), 2u);
}

TEST_P(ChatsTest, ReceiptsOnlyOfOnesOwnChats) {
  Create(kGroup, {"alice", "bob", "carol"});
  Login("carol");
  Login("bob");
  const MsgId sent = SendGroup(kGroup, "alice", 1).msg_id;
  EXPECT_EQ(Ack("carol", 2, {{kGroup, sent}}).moved.size(), 1u);
  EXPECT_EQ(Ack("bob", 1, {{kGroup, sent - 1}}).moved.size(), 1u);
  const auto reply = Ask<GetReceiptsReply>(GetReceipts{"alice", {kOther, kDirect, kGroup, "x"}});
  ASSERT_EQ(reply.chats.size(), 1u);
  EXPECT_EQ(reply.chats[0].chat, kGroup);
  EXPECT_EQ(reply.chats[0].marks, (std::vector<Mark>{{"bob", sent - 1}, {"carol", sent}}));
  EXPECT_TRUE(Ask<GetReceiptsReply>(GetReceipts{"dave", {kGroup}}).chats.empty());
  Do(MakeUpdate(kGroup, "alice", 1, {}, {"carol"}));
  EXPECT_TRUE(Ask<GetReceiptsReply>(GetReceipts{"carol", {kGroup}}).chats.empty());
  EXPECT_EQ(Ask<GetReceiptsReply>(GetReceipts{"bob", {kGroup}}).chats[0].marks.size(), 2u);
}

TEST_P(ChatsTest, ReceiptsOfDirectChats) {
  EXPECT_TRUE(Ask<GetReceiptsReply>(GetReceipts{"alice", {kDirect}}).chats.empty());
  Login("bob");
  const MsgId sent = Send(kDirect, "alice", 1).msg_id;
  EXPECT_TRUE(Ask<GetReceiptsReply>(GetReceipts{"alice", {kDirect}}).chats.at(0).marks.empty());
  Ack("bob", 1, {{kDirect, sent}});
  EXPECT_EQ(Ask<GetReceiptsReply>(GetReceipts{"alice", {kDirect, kDirect}}).chats.at(1).marks,
            (std::vector<Mark>{{"bob", sent}}));
  EXPECT_TRUE(Ask<GetReceiptsReply>(GetReceipts{"carol", {kDirect}}).chats.empty());
}

TEST_P(ChatsTest, UserChatsInOrderOfIds) {
  EXPECT_TRUE(Ask<UserChatsReply>(UserChats{"alice"}).chats.empty());
  const MsgId direct = Send(kDirect, "alice", 1).msg_id;
  const MsgId other = Create(kOther, {"alice"}).msg_id;
  const MsgId group = Create(kGroup, {"alice"}).msg_id;
  Do(MakeUpdate(kGroup, "alice", 1, {}, {"alice"}));
  std::vector<std::pair<std::string, MsgId>> chats = {
      {kDirect, direct}, {kOther, other}, {kGroup, group + 1}};
  std::sort(chats.begin(), chats.end());
  EXPECT_EQ(Ask<UserChatsReply>(UserChats{"alice"}).chats, chats);
}

// ---- who left is forgotten --------------------------------------------------------------------

TEST_P(ChatsTest, WhoLeftIsForgottenADayLater) {
  const MsgId created = Create(kGroup, {"alice", "bob", "carol"}).msg_id;
  Login("bob");
  Login("carol");
  Ack("bob", 1, {{kGroup, created}});
  const MsgId removal = Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 1, {}, {"bob"})).msg_id;
  world().Advance(1000);
  Do(MakeUpdate(kGroup, "alice", 2, {}, {"carol"}));
  const auto members = [&] {
    std::vector<std::string> uids;
    for (const auto& m : Ask<GetChatReply>(GetChat{kGroup, 0, true}).members) uids.push_back(m.uid);
    return uids;
  };
  using V = std::vector<std::string>;
  // What was said to them before is still acknowledged, and marked.
  EXPECT_EQ(Ack("bob", 2, {{kGroup, removal}}).moved.size(), 1u);
  world().Advance(kLeftKeptMs - 1000);
  Do(MakeUpdate(kGroup, "alice", 3));
  EXPECT_EQ(members(), (V{"alice", "bob", "carol"}));
  world().Advance(1);
  Do(MakeUpdate(kGroup, "alice", 4));
  EXPECT_EQ(members(), (V{"alice", "carol"}));
  EXPECT_TRUE(Ask<GetReceiptsReply>(GetReceipts{"alice", {kGroup}}).chats.at(0).marks.empty());
  EXPECT_TRUE(Ack("bob", 2, {{kGroup, removal + 1}}).moved.empty());
  const MsgId back = Ask<ChangeReply>(MakeUpdate(kGroup, "alice", 5, {"bob"})).msg_id;
  EXPECT_EQ(Ask<GetChatReply>(GetChat{kGroup, 0, true}).members.at(1), (Member{"bob", back, 0}));
  world().Advance(1000);  // of whom only carol left, and that a day ago
  Do(MakeUpdate(kGroup, "alice", 6, {}, {"bob"}));
  EXPECT_EQ(members(), (V{"alice", "bob"}));
}

TEST_P(ChatsTest, WhoLeftIsKeptWhileATaskIsOpen) {
  const auto people = Numbered("u", 10);
  Create(kGroup, people);
  EXPECT_TRUE(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 1, {}, {"u05"})).task);
  world().Advance(2 * kLeftKeptMs);
  Do(MakeUpdate(kGroup, "u00", 2));
  const auto count = [&] { return Ask<GetChatReply>(GetChat{kGroup, 0, true}).members.size(); };
  EXPECT_EQ(count(), 10u);
  const uint64_t token = TakeLease(Role::kFanOut, "one", P(kGroup));
  Do(TrimLog{Log::kTasks, {{P(kGroup), token, 3}}});
  EXPECT_EQ(count(), 10u);
  EXPECT_TRUE(Ask<ChangeReply>(MakeUpdate(kGroup, "u00", 3, {}, {"u06"})).task);
  EXPECT_EQ(count(), 9u) << "u05 is forgotten; u06 is told of the removal by the task";
}

}  // namespace nightjar::hub::contract
