// Brokers: who lives, who is fenced, who clears whom.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class BrokerTest : public HubTest {
 protected:
  using Names = std::vector<BrokerName>;
  static constexpr int64_t kTtl = 8000;

  void SetUp() override {
    HubTest::SetUp();
    for (const auto& id : {"b1", "b2", "b3"}) world().Listen(id, 1);
  }
  std::map<BrokerName, int64_t> Living() { return world().ReadHidden().living; }
  std::map<BrokerName, int64_t> Dying() { return world().ReadHidden().dying; }
  BeatReply Renew(const BrokerName& broker, Names clearing) {
    hub::Beat beat = MakeBeat(broker);
    beat.clearing = std::move(clearing);
    return Ask<BeatReply>(beat);
  }
  // b2 and b3 have fallen silent, and b1 has claimed them.
  void ClaimTwo() {
    world().Advance(kTtl + 1);
    Beat(kB1);
    EXPECT_EQ(Beat(kB1, true).clear, (Names{kB2, kB3}));
  }
};
NIGHTJAR_HUB_SUITE(BrokerTest);

TEST_P(BrokerTest, WhoBeatsFirstIsOnTheListOfTheLiving) {
  const auto reply = First("b0#7");
  EXPECT_EQ(reply, (BeatReply{Lived::kAlive, Epoch(), 4, {"b0#7", kB1, kB2, kB3}, {}}));
  EXPECT_EQ(First("b0#7"), reply) << "it may not be sure that it has begun";
  world().Advance(2000);
  hub::Beat beat = MakeBeat("b0#7");
  beat.known = 4;
  EXPECT_EQ(Ask<BeatReply>(beat), (BeatReply{Lived::kAlive, Epoch(), 4, {}, {}}));
  beat.known = 3;
  EXPECT_EQ(Ask<BeatReply>(beat).brokers.size(), 4u);
  EXPECT_EQ(Living(),
            (std::map<BrokerName, int64_t>{
                {"b0#7", kStartMs + 2000}, {kB1, kStartMs}, {kB2, kStartMs}, {kB3, kStartMs}}));
}

TEST_P(BrokerTest, WhoIsNotAmongTheLivingIsTurnedAway) {
  Login("bob", "phone", kB2, 4);
  Listen({"b9"});
  const std::string before = DumpAll();
  EXPECT_EQ(Beat("b9#1", true), (BeatReply{Lived::kCleared, Epoch(), 0, {}, {}}));
  EXPECT_EQ(Beat("b1#2", true).outcome, Lived::kCleared) << "another incarnation";
  EXPECT_EQ(DumpAll(), before);
  EXPECT_TRUE(Told().empty()) << "nobody was kicked";
}

TEST_P(BrokerTest, TheDeadAreClaimedByWhoMayClear) {
  world().Advance(kTtl);
  EXPECT_TRUE(Beat(kB1, true).clear.empty()) << "silent for a whole ttl, and not longer";
  world().Advance(1);
  EXPECT_EQ(Beat(kB1), (BeatReply{Lived::kAlive, Epoch(), 3, {kB1, kB2, kB3}, {}}));
  EXPECT_EQ(Beat(kB1, true), (BeatReply{Lived::kAlive, Epoch(), 4, {kB1}, {kB2, kB3}}));
  const int64_t until = kStartMs + 2 * kTtl + 1;
  EXPECT_EQ(Dying(), (std::map<BrokerName, int64_t>{{kB2, until}, {kB3, until}}));
  EXPECT_EQ(Beat(kB2, true), (BeatReply{Lived::kCleared, Epoch(), 0, {}, {}}));
  EXPECT_TRUE(Beat(kB1, true).clear.empty()) << "claimed already";
}

TEST_P(BrokerTest, ABeatThatWasHeldUpJudgesNobody) {
  world().Advance(10 * kTtl);  // as after a hub that stood still: nobody has beaten
  EXPECT_TRUE(Beat(kB1, true).clear.empty());
  EXPECT_TRUE(Beat(kB2, true).clear.empty());
  EXPECT_EQ(Living().size(), 3u);
  EXPECT_EQ(Beat(kB1, true).clear, Names{kB3}) << "it has been silent since, as far as is known";
  hub::Beat begin = MakeBeat("b4#1", true);
  begin.first = true;
  world().Advance(kTtl + 1);
  EXPECT_TRUE(Ask<BeatReply>(begin).clear.empty()) << "who begins judges nobody either";
  EXPECT_EQ(Ask<BeatReply>(begin).clear, (Names{kB3, kB1, kB2}));
}

// It finds the last beats of brokers up to a beat apart.
TEST_P(BrokerTest, APauseALittleShorterThanTheTtlMakesNobodyDead) {
  world().Advance(kTtl / 4);
  Beat(kB1);
  world().Advance(kTtl - kTtl / 4 + 1);
  EXPECT_TRUE(Beat(kB1, true).clear.empty()) << "the others have been silent for longer than ttl";
  Beat(kB2);
  world().Advance(kTtl / 2);
  EXPECT_EQ(Beat(kB1, true).clear, Names{kB3}) << "half of ttl is not too late";
}

TEST_P(BrokerTest, WhoMayNotClearClaimsNothing) {
  world().Advance(kTtl + 1);
  Beat(kB1);
  EXPECT_TRUE(Beat(kB1).clear.empty());
  EXPECT_TRUE(First("b4#1").clear.empty());
  EXPECT_EQ(Living().size(), 4u);
}

TEST_P(BrokerTest, ClaimsRunOutUnlessTheyAreRenewed) {
  ClaimTwo();
  First("b4#1");
  world().Advance(kTtl - 1);
  EXPECT_TRUE(Beat("b4#1", true).clear.empty());
  Renew(kB1, {kB2, "b9#1"});
  EXPECT_EQ(Dying().count("b9#1"), 0u) << "only what is still to be cleared";
  world().Advance(1);
  EXPECT_EQ(Beat("b4#1", true).clear, Names{kB3});
  Do(Gone{kB2, true});
  Renew(kB1, {kB2});
  EXPECT_EQ(Dying(), (std::map<BrokerName, int64_t>{{kB3, world().clock() + kTtl}}));
  world().Advance(5);
  Renew(kB2, {kB3});  // the cleared renew nothing
  world().Advance(kTtl - 5);
  Beat(kB1);
  EXPECT_EQ(Beat(kB1, true).clear, (Names{kB3}));
}

TEST_P(BrokerTest, AtMostFourAreClaimedAtOnce) {
  for (const char* name : {"d4#1", "d3#1", "d2#1"}) {
    world().Advance(1);
    First(name);
  }
  world().Advance(kTtl + 1);
  Beat(kB1);
  auto reply = Beat(kB1, true);  // longest silent first
  EXPECT_EQ(reply.clear, (Names{kB2, kB3, "d4#1", "d3#1"}));
  EXPECT_EQ(reply.brokers, (Names{kB1, "d2#1"}));
  EXPECT_EQ(reply.version, 7u) << "one change of the list";
  EXPECT_EQ(Beat(kB1, true).clear, Names{"d2#1"});
  world().Advance(kTtl);
  Beat(kB1);
  EXPECT_EQ(Beat(kB1, true).clear, (Names{kB2, kB3, "d2#1", "d3#1"})) << "all ran out at once";
  EXPECT_EQ(Beat(kB1, true).clear, Names{"d4#1"});
}

TEST_P(BrokerTest, WhoseClaimIsOverGoesBeforeTheDead) {
  ClaimTwo();
  for (const char* name : {"d1#1", "d2#1", "d3#1"}) First(name);
  world().Advance(kTtl + 1);
  Beat(kB1);
  EXPECT_EQ(Beat(kB1, true).clear, (Names{kB2, kB3, "d1#1", "d2#1"}));
}

TEST_P(BrokerTest, TheSecondProcessOfAnIdIsRefused) {
  world().Listen("b1", 2);  // the one that lives, and the one that begins
  const std::string before = DumpAll();
  EXPECT_EQ(First("b1#2"), (BeatReply{Lived::kTaken, Epoch(), 0, {}, {}}));
  world().Advance(kTtl);
  EXPECT_EQ(First("b1#2").outcome, Lived::kTaken);
  world().Advance(-kTtl);
  EXPECT_EQ(DumpAll(), before);
  EXPECT_TRUE(Told().empty()) << "to ask who listens tells nothing";
}

TEST_P(BrokerTest, TheSuccessorOfOneThatNobodyHearsReplacesIt) {
  EXPECT_EQ(First("b1#2"), (BeatReply{Lived::kAlive, Epoch(), 4, {"b1#2", kB2, kB3}, {kB1}}));
  EXPECT_EQ(Dying(), (std::map<BrokerName, int64_t>{{kB1, kStartMs + kTtl}}));
  EXPECT_EQ(First("b1#2"), (BeatReply{Lived::kAlive, Epoch(), 4, {"b1#2", kB2, kB3}, {kB1}}));
  EXPECT_EQ(Beat(kB1).outcome, Lived::kCleared);
  world().Listen("b2", 0);  // whoever listens: the caller may not yet
  EXPECT_EQ(First("b2#2").outcome, Lived::kAlive);
}

TEST_P(BrokerTest, TheSuccessorOfADeadOneReplacesItWhoeverListens) {
  world().Listen("b1", 2);  // stopped in the middle: its connection is still there
  world().Advance(kTtl + 1);
  EXPECT_EQ(First("b1#2"), (BeatReply{Lived::kAlive, Epoch(), 4, {"b1#2", kB2, kB3}, {kB1}}));
}

TEST_P(BrokerTest, ASuccessorClearsItsOwnIdsDeadWhoeverClaimedThem) {
  ClaimTwo();
  world().Advance(100);
  EXPECT_EQ(First("b2#2").clear, Names{kB2});
  EXPECT_EQ(Dying().at(kB2), world().clock() + kTtl);
  EXPECT_EQ(First("b2#3").clear, (Names{kB2, "b2#2"}));
  EXPECT_TRUE(Beat("b2#3").clear.empty()) << "only when it begins";
}

TEST_P(BrokerTest, ANameThatIsBeingClearedIsNotTakenInAgain) {
  First("b1#2");
  EXPECT_EQ(First(kB1), (BeatReply{Lived::kCleared, Epoch(), 0, {}, {}}));
  EXPECT_EQ(Living().count("b1#2"), 1u);
  Do(Gone{kB1, true});
  EXPECT_EQ(First(kB1).outcome, Lived::kAlive);
  EXPECT_EQ(Living().count("b1#2"), 0u);
}

TEST_P(BrokerTest, AnotherEpochTakesInAsIfFirst) {
  hub::Beat beat = MakeBeat(kB1);
  beat.known = 1;
  world().LoseEverything();
  EXPECT_EQ(Ask<BeatReply>(beat), (BeatReply{Lived::kAlive, Epoch(), 1, {kB1}, {}}))
      << "the list is told: its version is of another epoch";
  beat.epoch = Epoch();
  EXPECT_EQ(Ask<BeatReply>(beat), (BeatReply{Lived::kAlive, Epoch(), 1, {}, {}}));
  world().RaiseEpoch();
  EXPECT_EQ(Ask<BeatReply>(beat), (BeatReply{Lived::kAlive, Epoch(), 1, {kB1}, {}}));
  beat.broker = "b1#2";
  EXPECT_EQ(Ask<BeatReply>(beat), (BeatReply{Lived::kAlive, Epoch(), 2, {"b1#2"}, {kB1}}));
  beat.broker = kB1;  // is being cleared
  EXPECT_EQ(Ask<BeatReply>(beat).outcome, Lived::kCleared);
}

TEST_P(BrokerTest, WhoLeavesWithSessionsIsLeftToOthers) {
  Login("alice", "phone", kB2);
  EXPECT_EQ(Do(Gone{kB2, false}), Reply{Done{}});
  const std::string before = DumpAll();
  EXPECT_EQ(Do(Gone{kB2, false}), Reply{Done{}}) << "repeated by the link";
  EXPECT_EQ(DumpAll(), before);
  EXPECT_EQ(Dying(), (std::map<BrokerName, int64_t>{{kB2, 0}}));
  EXPECT_TRUE(Beat(kB1).clear.empty());
  EXPECT_EQ(Beat(kB1, true), (BeatReply{Lived::kAlive, Epoch(), 4, {kB1, kB3}, {kB2}}));
  Do(Gone{kB2, true});  // cleared; whatever is recorded then
  EXPECT_TRUE(Dying().empty());
  EXPECT_EQ(Beat(kB1).version, 4u) << "the list is as it was";
}

TEST_P(BrokerTest, WhoLeavesWithNothingIsGone) {
  Login("alice", "phone", kB2);
  Do(Tail{"alice", kB2, 1});
  Logout("alice", "phone", kB2);
  Do(Tail{"alice", kB2, 0});
  Do(Gone{kB2, true});
  EXPECT_TRUE(Dying().empty());
  EXPECT_EQ(Beat(kB1).brokers, (Names{kB1, kB3}));
  const std::string before = DumpAll();
  Do(Gone{kB2, true});
  Do(Gone{"nobody#1", true});
  EXPECT_EQ(DumpAll(), before);
  EXPECT_EQ(Beat(kB2).outcome, Lived::kCleared);
}

TEST_P(BrokerTest, TheDeadOnesSessionsAreEndedByTheLiving) {
  Do(Watch{{"alice", "bob"}, kB3, true});
  Login("alice", "phone", kB2, 1);
  Login("bob", "phone", kB2, 2);
  Do(Tail{"carol", kB2, 1});
  Ask<SetPresenceReply>(SetPresence{"alice", true, kB2, world().clock()});
  Told();
  const MsgId id = Send(kDirect, "bob", 1).msg_id;
  world().Advance(kTtl + 1);
  Login("bob", "phone", kB3, 5);  // has come back already
  EXPECT_EQ(
      Told(),
      (Relays{{"b2",
               {RelayedEntry{Shared(id), {{"alice", 1}}}, RelayedKick{"bob", "phone", 2, kB2}}}}));
  Beat(kB3);
  Beat(kB1);
  EXPECT_EQ(Beat(kB1, true).clear, Names{kB2});
  EXPECT_EQ(Do(Fence{kB2, AllPartitions()}), Reply{Done{}});
  for (const auto& s : SessionsOf(kB2)) {
    if (s.device.empty()) {
      Do(Tail{s.uid, s.broker, 0});
      continue;
    }
    const auto out = Logout(s.uid, s.device, s.broker, s.session);
    if (out.online && out.routes == 0) Do(SetPresence{s.uid, false, s.broker, world().clock()});
  }
  Do(Gone{kB2, true});
  EXPECT_TRUE(SessionsOf(kB2).empty());
  EXPECT_EQ(Told(), (Relays{{"b3", {PresenceState{"alice", false, world().clock()}}}}));
  EXPECT_TRUE(IsDue("alice"));
  EXPECT_EQ(HiddenUser("bob").devices.at("phone").route, "5 b3#1");
  EXPECT_TRUE(HiddenUser("carol").tails.empty());
  EXPECT_TRUE(First("b2#2").clear.empty());
}

TEST_P(BrokerTest, WhoIsFencedWritesNothing) {
  Login("alice", "phone", kB2, 1);
  EXPECT_EQ(Do(Fence{kB2, {P("alice")}}), Reply{Done{}});
  const std::string before = DumpAll();
  EXPECT_TRUE(Login("alice", "laptop", kB2, 2).cleared);
  Do(Tail{"alice", kB2, 1});
  EXPECT_EQ(DumpAll(), before);
  EXPECT_FALSE(Login("alice", "laptop", "b2#2", 1).cleared) << "its next life";
  EXPECT_TRUE(Logout("alice", "phone", kB2, 1).removed) << "what ends something works";
  for (const char* uid : {"bob", "carol", "dave", "eve"}) {
    EXPECT_EQ(Login(uid, "phone", kB2, 3).cleared, P(uid) == P("alice")) << uid;
  }
}

// Whoever clears it may have said Gone by then.
TEST_P(BrokerTest, WhoIsFencedIsNotTakenInAgain) {
  Do(Fence{kB2, AllPartitions()});
  EXPECT_EQ(Beat(kB2).outcome, Lived::kCleared);
  Do(Gone{kB2, true});
  EXPECT_EQ(First(kB2).outcome, Lived::kCleared);
  hub::Beat beat = MakeBeat(kB2);
  beat.epoch = Epoch() - 1;
  EXPECT_EQ(Ask<BeatReply>(beat).outcome, Lived::kCleared);
  EXPECT_EQ(First("b2#2").outcome, Lived::kAlive);
}

TEST_P(BrokerTest, FencesAreForgottenAfterADay) {
  const auto fenced = [&] { return world().ReadHidden().partitions.at(P("alice")).fenced; };
  const int64_t start = world().clock();
  Do(Fence{kB2, {P("alice")}});
  world().Advance(kFencedMs);
  Do(Fence{kB2, {P("alice")}});
  Do(Fence{kB3, {P("alice")}});
  EXPECT_EQ(fenced(), (std::map<BrokerName, int64_t>{{kB2, start}, {kB3, start + kFencedMs}}))
      << "a repeat does not begin it anew";
  world().Advance(1);
  Do(Fence{kB1, {P("alice")}});
  EXPECT_EQ(fenced().size(), 2u);
  EXPECT_FALSE(Login("alice", "phone", kB2, 1).cleared);
}

}  // namespace nightjar::hub::contract
