// Calls taken apart by partition, over a hub that only writes down what it is asked.
#include "common/hub/split/split_hub.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/hub/split/parts.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

constexpr uint32_t kPartitions = 4;
const BrokerName kBroker = "b1#1";

// The n-th name of a partition.
std::string Uid(uint32_t partition, int n = 0) {
  for (int i = 0;; ++i) {
    const std::string uid = "u" + std::to_string(i);
    if (PartitionOf(uid, kPartitions) == partition && n-- == 0) return uid;
  }
}
std::string Group(uint32_t partition) {
  for (int i = 0;; ++i) {
    const std::string chat = GroupChatId("al", "p", std::to_string(i));
    if (PartitionOf(chat, kPartitions) == partition) return chat;
  }
}

// What was handed down, oldest first; answered by the test.
class Lower : public Hub {
 public:
  void Submit(Call call, Callback done) override {
    calls.push_back(std::move(call));
    dones.push_back(std::move(done));
  }
  template <typename C>
  const C& At(size_t i) const {
    return std::get<C>(calls.at(i));
  }
  void Answer(size_t i, Reply reply) {
    Callback done = std::move(dones.at(i));
    dones[i] = nullptr;
    done(std::move(reply));
  }
  size_t size() const { return calls.size(); }

  std::vector<Call> calls;
  std::vector<Callback> dones;
};

class SplitHubTest : public testing::Test {
 protected:
  // Where the reply will be.
  std::shared_ptr<std::optional<Reply>> Submit(Call call) {
    auto reply = std::make_shared<std::optional<Reply>>();
    hub_.Submit(std::move(call), [reply](Reply r) {
      EXPECT_FALSE(reply->has_value()) << "answered twice";
      *reply = std::move(r);
    });
    return reply;
  }
  template <typename R>
  static R As(const std::shared_ptr<std::optional<Reply>>& reply) {
    EXPECT_TRUE(reply->has_value());
    EXPECT_TRUE(*reply && std::holds_alternative<R>(**reply));
    return *reply && std::holds_alternative<R>(**reply) ? std::get<R>(**reply) : R{};
  }
  static Reply Away(const std::string& why) { return Failure{Failure::Kind::kUnavailable, why}; }
  static Ack MakeAck(const std::string& uid, std::vector<Ack::ChatMark> marks) {
    return Ack{uid, "p", 1, 5, std::move(marks), 0, kBroker};
  }
  static Logout MakeLogout(const std::string& uid) { return Logout{uid, "p", kBroker, 1, 0}; }
  static Reply AckedTo(uint64_t seq) { return AckReply{AckReply::Outcome::kDone, seq, {}}; }

  Lower lower_;
  SplitHub hub_{lower_, kPartitions};
};

// ---- lists
// ---------------------------------------------------------------------------------------

TEST_F(SplitHubTest, AnAppendGoesToEachPartitionOfItsUsers) {
  const std::string a = Uid(2), b = Uid(0), c = Uid(2, 1), d = Uid(1);
  Append append{"g:x", {{1, "", "", "s1", ""}, {2, "", "", "s2", ""}}, {a, b, c, d}, kBroker};
  const auto reply = Submit(append);
  ASSERT_EQ(lower_.size(), 3u);
  EXPECT_EQ(lower_.At<Append>(0).uids, (std::vector<std::string>{a, c}));
  EXPECT_EQ(lower_.At<Append>(1).uids, std::vector<std::string>{b});
  EXPECT_EQ(lower_.At<Append>(2).uids, std::vector<std::string>{d});
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(lower_.At<Append>(i).messages.size(), 2u);
    EXPECT_EQ(lower_.At<Append>(i).chat, "g:x");
    EXPECT_EQ(lower_.At<Append>(i).broker, kBroker);
  }
  using Lists = std::vector<std::vector<Delivery>>;
  lower_.Answer(2, AppendReply{Lists{{{d, 9}}, {}}});
  lower_.Answer(1, AppendReply{Lists{{{b, 3}}, {{b, 4}}}});
  EXPECT_FALSE(reply->has_value());
  lower_.Answer(0, AppendReply{Lists{{{a, 1}, {c, 7}}, {{c, 8}}}});
  EXPECT_EQ(As<AppendReply>(reply).deliveries,
            (Lists{{{a, 1}, {b, 3}, {c, 7}, {d, 9}}, {{b, 4}, {c, 8}}}));
}

TEST_F(SplitHubTest, AtMostOneCallAPartition) {
  Append append{"g:x", {{1, "", "", "s", ""}}, {}, kBroker};
  Heads heads{{}, kBroker};
  GetPresence presence;
  Watch watch{{}, kBroker, true};
  GetReceipts receipts{"al", {}};
  Lease lease{Role::kPersist, "o", {}, 1};
  ReadLog read;
  TrimLog trim;
  for (int i = 0; i < 64; ++i) {
    const std::string uid = "u" + std::to_string(i);
    append.uids.push_back(uid);
    heads.sessions.push_back({uid, "p", 1});
    presence.uids.push_back(uid);
    watch.uids.push_back(uid);
    receipts.chats.push_back(GroupChatId("al", "p", uid));
    lease.partitions.push_back(i % kPartitions);
    read.partitions.push_back(i % kPartitions);
    trim.partitions.push_back({i % kPartitions, 0, 0});
  }
  for (const Call& call :
       std::vector<Call>{append, heads, presence, watch, receipts, lease, read, trim}) {
    const size_t before = lower_.size();
    EXPECT_EQ(PartitionOfCall(call, kPartitions), std::nullopt);
    Submit(call);
    std::set<uint32_t> seen;
    for (size_t i = before; i < lower_.size(); ++i) {
      const auto partition = PartitionOfCall(lower_.calls[i], kPartitions);
      ASSERT_TRUE(partition.has_value());
      EXPECT_TRUE(seen.insert(*partition).second);
      EXPECT_EQ(lower_.calls[i].index(), call.index());
    }
    EXPECT_EQ(seen.size(), kPartitions);
  }
}

TEST_F(SplitHubTest, ResultsComeInTheOrderAsked) {
  const std::string a = Uid(3), b = Uid(1), c = Uid(3, 1);
  const auto presence = Submit(GetPresence{{a, b, c}});
  lower_.Answer(0, GetPresenceReply{{{a, true, 1}, {c, false, 2}}});
  lower_.Answer(1, GetPresenceReply{{{b, true, 3}}});
  EXPECT_EQ(As<GetPresenceReply>(presence).states,
            (std::vector<PresenceState>{{a, true, 1}, {b, true, 3}, {c, false, 2}}));

  const auto lease = Submit(Lease{Role::kFanOut, "one", {2, 0, 3}, 1});
  lower_.Answer(2, LeaseReply{{12}});
  lower_.Answer(3, LeaseReply{{0}});
  lower_.Answer(4, LeaseReply{{13}});
  EXPECT_EQ(As<LeaseReply>(lease).tokens, (std::vector<uint64_t>{12, 0, 13}));

  const auto trim = Submit(TrimLog{Log::kTasks, {{2, 1, 1}, {0, 1, 1}, {2, 1, 2}}});
  lower_.Answer(5, TrimLogReply{{true, false}});
  lower_.Answer(6, TrimLogReply{{true}});
  EXPECT_EQ(As<TrimLogReply>(trim).held, (std::vector<bool>{true, true, false}));
}

TEST_F(SplitHubTest, AFenceStandsInAllPartitionsBeforeItIsDone) {
  const auto reply = Submit(Fence{kBroker, {2, 0}});
  ASSERT_EQ(lower_.size(), 2u);
  EXPECT_EQ(lower_.At<Fence>(0).partitions, std::vector<uint32_t>{2});
  EXPECT_EQ(lower_.At<Fence>(1).partitions, std::vector<uint32_t>{0});
  EXPECT_EQ(lower_.At<Fence>(1).broker, kBroker);
  lower_.Answer(1, Done{});
  EXPECT_FALSE(reply->has_value());
  lower_.Answer(0, Done{});
  As<Done>(reply);

  const auto failed = Submit(Fence{kBroker, {1, 3}});
  lower_.Answer(2, Done{});
  lower_.Answer(3, Away("gone"));
  EXPECT_EQ(As<Failure>(failed).message, "gone");
}

TEST_F(SplitHubTest, WhatBelongsToAPartitionGoesThere) {
  EXPECT_EQ(PartitionOfCall(ListSessions{kBroker, 3, ""}, kPartitions), 3u);
  EXPECT_EQ(PartitionOfCall(PutDeadLetter{2, "", ""}, kPartitions), 2u);
  EXPECT_EQ(PartitionOfCall(Fence{kBroker, {1}}, kPartitions), 1u);
  EXPECT_EQ(PartitionOfCall(Fence{kBroker, {1, 2}}, kPartitions), std::nullopt);
  EXPECT_EQ(PartitionOfCall(Gone{kBroker, false}, kPartitions), 0u);
}

TEST_F(SplitHubTest, WhatIsLeftOutOfPartsIsLeftOut) {
  const std::string a = Group(3), b = Group(1), c = Group(0);
  const auto receipts = Submit(GetReceipts{"al", {a, b, c}});
  lower_.Answer(2, GetReceiptsReply{{{c, {{"bo", 3}}}}});
  lower_.Answer(0, GetReceiptsReply{{{a, {}}}});
  lower_.Answer(1, GetReceiptsReply{});
  EXPECT_EQ(As<GetReceiptsReply>(receipts).chats,
            (std::vector<GetReceiptsReply::Chat>{{a, {}}, {c, {{"bo", 3}}}}));

  const auto read = Submit(ReadLog{Log::kJournal, {1, 0, 2}, 0, 10, 3000});
  EXPECT_EQ(lower_.At<ReadLog>(3).bytes, 1000u);
  EXPECT_EQ(lower_.At<ReadLog>(3).count, 10u);
  lower_.Answer(4, ReadLogReply{{{0, 4, 5, {"x"}}}});
  lower_.Answer(3, ReadLogReply{});
  lower_.Answer(5, ReadLogReply{{{2, 1, 2, {"y"}}}});
  EXPECT_EQ(As<ReadLogReply>(read).slices,
            (std::vector<LogSlice>{{0, 4, 5, {"x"}}, {2, 1, 2, {"y"}}}));
}

TEST_F(SplitHubTest, WhatIsOfOnePartitionGoesAsItIs) {
  Submit(GetPresence{{Uid(1), Uid(1, 1)}});
  Submit(ReadLog{Log::kJournal, {2}, 7, 10, 3000});
  Submit(GetPresence{});
  ASSERT_EQ(lower_.size(), 3u);
  EXPECT_EQ(lower_.At<GetPresence>(0).uids.size(), 2u);
  EXPECT_EQ(lower_.At<ReadLog>(1).bytes, 3000u);
}

TEST_F(SplitHubTest, APartThatFailsFailsTheWholeWhenAllAreAnswered) {
  const auto reply = Submit(GetPresence{{Uid(0), Uid(1), Uid(2)}});
  lower_.Answer(2, Away("third"));
  lower_.Answer(1, Away("second"));
  EXPECT_FALSE(reply->has_value());
  lower_.Answer(0, GetPresenceReply{{{Uid(0), true, 1}}});
  EXPECT_EQ(As<Failure>(reply).message, "second");
}

TEST_F(SplitHubTest, APartThatIsAnsweredWronglyIsABug) {
  const auto kind = Submit(GetPresence{{Uid(0), Uid(1)}});
  lower_.Answer(0, Done{});
  lower_.Answer(1, GetPresenceReply{{{Uid(1), true, 1}}});
  EXPECT_EQ(As<Failure>(kind).kind, Failure::Kind::kInternal);
  const auto count = Submit(GetPresence{{Uid(0), Uid(1)}});
  lower_.Answer(2, GetPresenceReply{});
  lower_.Answer(3, GetPresenceReply{{{Uid(1), true, 1}}});
  EXPECT_EQ(As<Failure>(count).kind, Failure::Kind::kInternal);
}

// ---- fan-out by task
// -----------------------------------------------------------------------------

TEST_F(SplitHubTest, FanOutIsLeftToATaskUnlessAllAreWhereTheChatIs) {
  const std::string chat = Group(1);
  const auto sent = [&](std::vector<std::string> members) {
    Send send;
    send.chat = chat;
    send.members = std::move(members);
    Submit(send);
    return std::get<Send>(lower_.calls.back()).by_task;
  };
  EXPECT_FALSE(sent({Uid(1), Uid(1, 1)}));
  EXPECT_TRUE(sent({Uid(1), Uid(2)}));
  EXPECT_TRUE(sent({})) << "whoever they are";
  Send direct;
  direct.chat = DirectChatId(Uid(0), Uid(1));
  Submit(direct);
  EXPECT_TRUE(std::get<Send>(lower_.calls.back()).by_task);
  CreateChat create;
  create.chat = chat;
  create.members = {Uid(1)};
  Submit(create);
  EXPECT_FALSE(std::get<CreateChat>(lower_.calls.back()).by_task);
  create.members.push_back(Uid(0));
  Submit(create);
  EXPECT_TRUE(std::get<CreateChat>(lower_.calls.back()).by_task);
  UpdateChat update;
  update.chat = chat;
  Submit(update);
  EXPECT_TRUE(std::get<UpdateChat>(lower_.calls.back()).by_task);
}

// ---- acks
// ----------------------------------------------------------------------------------------

TEST_F(SplitHubTest, AnAckIsMarksThenCursorThenTelling) {
  const std::string bob = Uid(0), alice = Uid(1), carol = Uid(2);
  const auto reply = Submit(MakeAck(bob, {{Group(3), 30, {alice}},
                                          {Group(1), 10, {alice, carol}},
                                          {Group(2), 20, {carol}},
                                          {Group(3), 31, {carol}}}));
  ASSERT_EQ(lower_.size(), 4u);
  EXPECT_EQ(lower_.At<MoveMark>(0).chat, Group(3));
  EXPECT_EQ(lower_.At<MoveMark>(3).msg_id, 31u);
  lower_.Answer(1, MoveMarkReply{true, true});
  lower_.Answer(0, MoveMarkReply{false, false});
  lower_.Answer(2, MoveMarkReply{true, false});
  EXPECT_EQ(lower_.size(), 4u) << "a mark is missing";
  lower_.Answer(3, MoveMarkReply{true, true});
  ASSERT_EQ(lower_.size(), 5u);
  EXPECT_TRUE(lower_.At<Ack>(4).marks.empty());
  EXPECT_EQ(lower_.At<Ack>(4).uid, bob);
  EXPECT_EQ(lower_.At<Ack>(4).seq, 5u);
  lower_.Answer(4, AckedTo(5));
  ASSERT_EQ(lower_.size(), 8u);
  EXPECT_EQ(lower_.At<TellMark>(5).author, alice);
  EXPECT_EQ(lower_.At<TellMark>(5).chat, Group(1));
  EXPECT_EQ(lower_.At<TellMark>(5).uid, bob);
  EXPECT_EQ(lower_.At<TellMark>(5).msg_id, 10u);
  EXPECT_EQ(lower_.At<TellMark>(6).author, carol);
  EXPECT_EQ(lower_.At<TellMark>(7).chat, Group(3));
  EXPECT_FALSE(reply->has_value());
  lower_.Answer(6, Done{});
  lower_.Answer(5, Away("nobody there"));
  lower_.Answer(7, Done{});
  const AckReply acked = As<AckReply>(reply);
  EXPECT_EQ(acked.acked, 5u);
  EXPECT_EQ(acked.moved, (std::vector<AckReply::Moved>{{1, true}, {2, false}, {3, true}}));
}

TEST_F(SplitHubTest, AnAckWithoutMarksIsOneCall) {
  const auto reply = Submit(MakeAck(Uid(0), {}));
  ASSERT_EQ(lower_.size(), 1u);
  lower_.Answer(0, AckedTo(5));
  EXPECT_EQ(As<AckReply>(reply).acked, 5u);
}

TEST_F(SplitHubTest, AMarkThatFailsFailsTheAckAndTheCursorStays) {
  const auto reply = Submit(MakeAck(Uid(0), {{Group(1), 1, {"a"}}, {Group(2), 2, {"a"}}}));
  lower_.Answer(0, Away("away"));
  EXPECT_FALSE(reply->has_value());
  lower_.Answer(1, MoveMarkReply{true, true});
  EXPECT_EQ(As<Failure>(reply).message, "away");
  EXPECT_EQ(lower_.size(), 2u);
  EXPECT_EQ(hub_.held(), 0u);
}

TEST_F(SplitHubTest, ACursorThatFailsOrIsRefusedTellsNobody) {
  for (const Reply& outcome :
       {Away("away"), Reply{AckReply{AckReply::Outcome::kOtherEpoch, 0, {}}}}) {
    const size_t at = lower_.size();
    const auto reply = Submit(MakeAck(Uid(0), {{Group(1), 1, {"a"}}}));
    lower_.Answer(at, MoveMarkReply{true, true});
    lower_.Answer(at + 1, outcome);
    EXPECT_EQ(**reply, outcome);
    EXPECT_EQ(lower_.size(), at + 2);
  }
}

// ---- order -----------------------------------------------------------------------------------

TEST_F(SplitHubTest, WhatIsAboutAUserWaitsBehindTheUsersAck) {
  const std::string bob = Uid(0);
  Submit(MakeAck(bob, {{Group(1), 1, {}}}));
  Submit(MakeLogout(bob));
  Submit(MakeLogout(Uid(0, 1)));
  Submit(GetPresence{{Uid(1), bob}});
  EXPECT_EQ(hub_.held(), 3u) << "the cursor, the logout, a part of the presence";
  ASSERT_EQ(lower_.size(), 3u);
  EXPECT_EQ(lower_.At<Logout>(1).uid, Uid(0, 1)) << "another user's";
  EXPECT_EQ(lower_.At<GetPresence>(2).uids[0], Uid(1));
  lower_.Answer(0, MoveMarkReply{});
  ASSERT_EQ(lower_.size(), 6u);
  EXPECT_EQ(lower_.At<Ack>(3).uid, bob);
  EXPECT_EQ(lower_.At<Logout>(4).uid, bob);
  EXPECT_EQ(lower_.At<GetPresence>(5).uids[0], bob);
  EXPECT_EQ(hub_.held(), 0u);
}

TEST_F(SplitHubTest, TwoAcksOfOneUserKeepTheirOrderAndTheirMarksDoNotWait) {
  const std::string bob = Uid(0);
  Submit(MakeAck(bob, {{Group(1), 1, {}}}));
  Ack second = MakeAck(bob, {{Group(2), 2, {}}});
  second.seq = 6;
  Submit(second);
  ASSERT_EQ(lower_.size(), 2u);
  EXPECT_EQ(lower_.At<MoveMark>(1).chat, Group(2));
  lower_.Answer(1, MoveMarkReply{});
  EXPECT_EQ(lower_.size(), 2u) << "the first one's cursor is missing";
  lower_.Answer(0, MoveMarkReply{});
  ASSERT_EQ(lower_.size(), 4u);
  EXPECT_EQ(lower_.At<Ack>(2).seq, 5u);
  EXPECT_EQ(lower_.At<Ack>(3).seq, 6u);
}

TEST_F(SplitHubTest, WhatWaitsHoldsBackWhatIsAboutItsOthers) {
  const std::string bob = Uid(0), carol = Uid(0, 1), dave = Uid(0, 2);
  Submit(MakeAck(bob, {{Group(1), 1, {}}}));
  Submit(Append{"g:x", {{1, "", "", "s", ""}}, {bob, carol}, kBroker});
  Submit(MakeLogout(carol));
  Submit(Append{"g:x", {{2, "", "", "s", ""}}, {carol, dave}, kBroker});
  Submit(MakeLogout(dave));
  EXPECT_EQ(lower_.size(), 1u);
  lower_.Answer(0, Away("gone"));  // the ack fails; what is behind it goes on
  ASSERT_EQ(lower_.size(), 5u);
  EXPECT_EQ(lower_.At<Append>(1).uids[0], bob);
  EXPECT_EQ(lower_.At<Logout>(2).uid, carol);
  EXPECT_EQ(lower_.At<Append>(3).uids[0], carol);
  EXPECT_EQ(lower_.At<Logout>(4).uid, dave);
  EXPECT_EQ(hub_.held(), 0u);
}

TEST_F(SplitHubTest, WhatWaitsForTwoAcksGoesOnceBothAreThere) {
  const std::string bob = Uid(0), carol = Uid(0, 1);
  Submit(MakeAck(bob, {{Group(1), 1, {}}}));
  Submit(MakeAck(carol, {{Group(1), 1, {}}}));
  Submit(GetPresence{{bob, carol}});
  lower_.Answer(1, MoveMarkReply{});
  EXPECT_EQ(lower_.size(), 3u);
  lower_.Answer(0, MoveMarkReply{});
  ASSERT_EQ(lower_.size(), 5u);
  EXPECT_EQ(lower_.At<Ack>(2).uid, carol);
  EXPECT_EQ(lower_.At<Ack>(3).uid, bob);
  EXPECT_EQ(lower_.At<GetPresence>(4).uids.size(), 2u);
}

TEST_F(SplitHubTest, AChatIsInOrderToo) {
  const std::string bob = Uid(1), chat = Group(1);
  Submit(MakeAck(bob, {{Group(2), 1, {}}}));
  Send send;
  send.chat = chat;
  send.members = {bob};
  Submit(send);           // inline, and so about bob: waits
  Submit(GetChat{chat});  // and this behind it
  Submit(MakeAck(Uid(2), {{chat, 1, {}}}));
  EXPECT_EQ(lower_.size(), 1u);
  lower_.Answer(0, MoveMarkReply{});
  ASSERT_EQ(lower_.size(), 5u);
  EXPECT_TRUE(std::holds_alternative<Ack>(lower_.calls[1]));
  EXPECT_TRUE(std::holds_alternative<Send>(lower_.calls[2]));
  EXPECT_TRUE(std::holds_alternative<GetChat>(lower_.calls[3]));
  EXPECT_TRUE(std::holds_alternative<MoveMark>(lower_.calls[4]));
}

TEST_F(SplitHubTest, WhatWouldWaitBeyondTheBoundIsRefused) {
  const std::string bob = Uid(0);
  Submit(MakeAck(bob, {{Group(1), 1, {}}}));
  for (size_t i = 1; i < SplitHub::kHeldMost; ++i) Submit(MakeLogout(bob));
  EXPECT_EQ(hub_.held(), SplitHub::kHeldMost);
  const auto refused = Submit(MakeLogout(bob)), ack = Submit(MakeAck(Uid(1), {{Group(1), 1, {}}}));
  Submit(MakeLogout(Uid(1)));
  EXPECT_EQ(lower_.size(), 2u) << "what need not wait goes on";
  EXPECT_FALSE(refused->has_value()) << "not within Submit";
  lower_.Answer(0, MoveMarkReply{});
  EXPECT_EQ(As<Failure>(refused).kind, Failure::Kind::kFull);
  EXPECT_EQ(As<Failure>(ack).kind, Failure::Kind::kFull);
  EXPECT_EQ(lower_.size(), 2 + SplitHub::kHeldMost);
  EXPECT_EQ(hub_.held(), 0u);
}

// A lower hub that has been stopped answers within Submit.
TEST(SplitHub, ALowerHubThatAnswersWithinSubmit) {
  class Stopped : public Hub {
   public:
    void Submit(Call, Callback done) override {
      done(Failure{Failure::Kind::kUnavailable, "stopped"});
    }
  } stopped;
  SplitHub hub(stopped, kPartitions);
  int answered = 0;
  const auto count = [&](const Reply& reply) {
    answered += std::holds_alternative<Failure>(reply) ? 1 : 0;
  };
  hub.Submit(GetPresence{{Uid(0), Uid(1)}}, count);
  hub.Submit(Ack{Uid(0), "p", 1, 5, {{Group(1), 1, {}}, {Group(2), 1, {}}}, 0, kBroker}, count);
  hub.Submit(Info{}, count);
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(hub.held(), 0u);
}

}  // namespace
}  // namespace nightjar::hub
