// Acknowledgements: outcomes, marks, what leaves the inbox, what is settled.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class AckTest : public HubTest {};
NIGHTJAR_HUB_SUITE(AckTest);

TEST_P(AckTest, Outcomes) {
  Login("bob");
  Send(kDirect, "alice", 1);
  EXPECT_EQ(Ack("bob", 2), (AckReply{Acked::kBeyondHead, 0, {}}));
  EXPECT_EQ(Ack("bob", 1, {}, "phone", Epoch() + 1), (AckReply{Acked::kOtherEpoch, 0, {}}));
  EXPECT_EQ(Ack("bob", 9, {}, "phone", 0), (AckReply{Acked::kOtherEpoch, 0, {}}));
  EXPECT_EQ(Ack("bob", 9, {}, "tablet"), (AckReply{Acked::kUnknownDevice, 0, {}}));
  EXPECT_EQ(Ack("nobody", 0), (AckReply{Acked::kUnknownDevice, 0, {}}));
  EXPECT_EQ(Ack("bob", 1), (AckReply{Acked::kDone, 1, {}}));
  EXPECT_EQ(Ack("bob", 0), (AckReply{Acked::kDone, 1, {}}));  // never back
  EXPECT_EQ(Ack("bob", 2), (AckReply{Acked::kBeyondHead, 1, {}}));
  const uint64_t epoch = Epoch();
  world().RaiseEpoch();
  EXPECT_EQ(Ack("bob", 1, {}, "phone", epoch).outcome, Acked::kOtherEpoch);
}

TEST_P(AckTest, RefusedAcksMoveNoMarks) {
  Login("bob");
  const MsgId id = Send(kDirect, "alice", 1).msg_id;
  Ack("bob", 2, {{kDirect, id}});
  Ack("bob", 1, {{kDirect, id}}, "tablet");
  Ack("bob", 1, {{kDirect, id}}, "phone", 7);
  EXPECT_TRUE(Ask<GetReceiptsReply>(GetReceipts{"alice", {kDirect}}).chats[0].marks.empty());
}

TEST_P(AckTest, MarksOnlyGrow) {
  Login("bob");
  const MsgId first = Send(kDirect, "alice", 1).msg_id;
  const MsgId second = Send(kDirect, "alice", 2).msg_id;
  EXPECT_EQ(Ack("bob", 2, {{kDirect, second}}).moved, (std::vector<AckReply::Moved>{{0, true}}));
  EXPECT_TRUE(Ack("bob", 2, {{kDirect, second}}).moved.empty());
  EXPECT_TRUE(Ack("bob", 2, {{kDirect, first}}).moved.empty());
  EXPECT_EQ(Ask<GetReceiptsReply>(GetReceipts{"alice", {kDirect}}).chats[0].marks,
            (std::vector<Mark>{{"bob", second}}));
  const auto journal = ReadAllOf(Log::kJournal, P(kDirect));
  ASSERT_EQ(journal.records.size(), 3u);  // two messages, one mark
  v1::JournalRecord record;
  ASSERT_TRUE(record.ParseFromString(journal.records[2]));
  EXPECT_EQ(record.mark().chat_id(), kDirect);
  EXPECT_EQ(record.mark().uid(), "bob");
  EXPECT_EQ(record.mark().msg_id(), second);
}

TEST_P(AckTest, MarksOfSeveralChats) {
  Create(kGroup, {"alice", "bob"});
  Create(kOther, {"alice", "carol"});
  Login("bob");
  const MsgId id = SendGroup(kGroup, "alice", 1).msg_id;
  const auto reply = Ack("bob", 2,
                         {{kDirect, id},  // does not exist
                          {kGroup, id},
                          {kOther, id},  // no member
                          {"nonsense", id},
                          {DirectChatId("alice", "carol"), id},
                          {kGroup, id + 1},  // moves again
                          {kGroup, id}});
  EXPECT_EQ(reply.moved, (std::vector<AckReply::Moved>{{1, true}, {5, true}}));
}

TEST_P(AckTest, SomebodyElsesDirectChat) {
  Send(kDirect, "alice", 1);
  Login("carol");
  EXPECT_TRUE(Ack("carol", 0, {{kDirect, MakeMsgId(kStartMs, 0)}}).moved.empty());
}

TEST_P(AckTest, WhoLeftMayStillMark) {
  Create(kGroup, {"alice", "bob"});
  Login("bob");
  const MsgId id = SendGroup(kGroup, "alice", 1).msg_id;
  Do(MakeUpdate(kGroup, "alice", 1, {}, {"bob"}));
  EXPECT_EQ(Ack("bob", 3, {{kGroup, id}}).moved, (std::vector<AckReply::Moved>{{0, true}}));
}

TEST_P(AckTest, BigChatsTellNobody) {
  Create(kGroup, Numbered("u", 33));
  Create(kOther, Numbered("u", 32));
  Login("u00");
  EXPECT_EQ(
      Ack("u00", 0, {{kGroup, MakeMsgId(kStartMs, 0)}, {kOther, MakeMsgId(kStartMs, 0)}}).moved,
      (std::vector<AckReply::Moved>{{0, false}, {1, true}}));
}

TEST_P(AckTest, MarksGoBeyondTheJournalsBound) {
  Start({.partitions = 1, .journal_max = 1});
  Login("bob");
  const MsgId id = Send(kDirect, "alice", 1).msg_id;
  EXPECT_EQ(Ack("bob", 1, {{kDirect, id}}), (AckReply{Acked::kDone, 1, {{0, true}}}));
  EXPECT_EQ(ReadAllOf(Log::kJournal, 0).records.size(), 2u);
}

TEST_P(AckTest, EntriesLeaveWhenAllDevicesHaveThem) {
  Login("bob", "phone", kB1, 1);
  Login("bob", "tablet", kB1, 2);
  for (uint64_t i = 1; i <= 4; ++i) Send(kDirect, "alice", i);
  Ack("bob", 3);
  EXPECT_EQ(Inbox("bob").first, 1u);
  Ack("bob", 2, {}, "tablet");
  EXPECT_EQ(Inbox("bob").first, 3u);
  EXPECT_EQ(Inbox("bob").entries.size(), 2u);
  Ack("bob", 4, {}, "tablet");
  EXPECT_EQ(Inbox("bob").first, 4u);
  Ack("bob", 4);
  EXPECT_EQ(Inbox("bob"), (ReadInboxReply{5, 4, {}}));
  Send(kDirect, "alice", 5);
  EXPECT_EQ(Inbox("bob").first, 5u);
  EXPECT_EQ(Head("bob"), 5u);
}

TEST_P(AckTest, AForgottenDeviceHoldsNothingBack) {
  const auto devices = Numbered("d", 17);
  for (int d = 0; d < 16; ++d) {
    world().Advance(1);
    Login("bob", devices[d]);
  }
  Send(kDirect, "alice", 1);
  for (int d = 1; d < 16; ++d) Ack("bob", 1, {}, devices[d]);
  EXPECT_EQ(Inbox("bob").entries.size(), 1u);
  Login("bob", devices[16]);
  Ack("bob", 0, {}, devices[16]);  // nothing new, but d00 is forgotten
  EXPECT_EQ(Inbox("bob").entries.size(), 0u);
}

TEST_P(AckTest, WhatIsOwedIsSettled) {
  Login("bob");
  Logout("bob");
  for (uint64_t i = 1; i <= 4; ++i) Send(kDirect, "alice", i);
  EXPECT_EQ(HiddenUser("bob").owed, 1u);
  Ack("bob", 2);  // in flight when it went
  EXPECT_EQ(HiddenUser("bob").owed, 3u);
  EXPECT_TRUE(IsDue("bob"));
  Ack("bob", 4);
  EXPECT_EQ(HiddenUser("bob").owed, 0u);
  EXPECT_FALSE(IsDue("bob"));
  Send(kDirect, "alice", 5);
  EXPECT_EQ(HiddenUser("bob").owed, 5u);
}

TEST_P(AckTest, OwnEntriesBehindWhatIsOwed) {
  Login("bob", "phone", kB1, 1);
  Logout("bob");
  Send(kDirect, "alice", 1);
  auto own = MakeSend(kDirect, "bob", 1);
  own.device = "other";
  Do(own);
  EXPECT_EQ(Head("bob"), 2u);
  Ack("bob", 1);
  EXPECT_EQ(HiddenUser("bob").owed, 2u);
  Ack("bob", 2);
  EXPECT_EQ(HiddenUser("bob").owed, 0u);
}

// ---- its parts alone
// ------------------------------------------------------------------------------

TEST_P(AckTest, AMarkAlone) {
  const MsgId id = Send(kDirect, "alice", 1).msg_id;
  const auto move = [&](const std::string& uid, const std::string& chat, MsgId to) {
    return Ask<MoveMarkReply>(MoveMark{uid, chat, to});
  };
  EXPECT_EQ(move("bob", kDirect, id), (MoveMarkReply{true, true}));
  EXPECT_EQ(move("bob", kDirect, id), MoveMarkReply{});
  EXPECT_EQ(move("bob", kDirect, id - 1), MoveMarkReply{});
  EXPECT_EQ(move("carol", kDirect, id), MoveMarkReply{});
  EXPECT_EQ(move("bob", "nonsense", id), MoveMarkReply{});
  EXPECT_EQ(ReadAllOf(Log::kJournal, P(kDirect)).records.size(), 2u);
  EXPECT_EQ(Inbox("bob").entries.size(), 1u);
  Create(kGroup, Numbered("u", 33));
  EXPECT_EQ(move("u00", kGroup, id), (MoveMarkReply{true, false}));
}

TEST_P(AckTest, AnAuthorsOtherBrokersAreToldOfAMark) {
  Listen({"b1", "b2"});
  Login("alice", "phone", kB1, 1);
  Login("alice", "tablet", kB2, 2);
  EXPECT_EQ(Do(TellMark{"alice", kDirect, "bob", 7, kB1}), Reply{Done{}});
  EXPECT_EQ(Told(), (Relays{{"b2", {RelayedMark{"alice", kDirect, "bob", 7}}}}));
  EXPECT_EQ(Do(TellMark{"alice", kDirect, "bob", 7, kB3}), Reply{Done{}});
  EXPECT_EQ(Told(), (Relays{{"b1", {RelayedMark{"alice", kDirect, "bob", 7}}},
                            {"b2", {RelayedMark{"alice", kDirect, "bob", 7}}}}));
  EXPECT_EQ(Do(TellMark{"nobody", kDirect, "bob", 7, kB3}), Reply{Done{}});
  EXPECT_TRUE(Told().empty());
}

}  // namespace nightjar::hub::contract
