// Several brokers on one hub: what one's calls mean for devices on another, who clears whom, and
// what a cleared one does.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

class Brokers : public testing::Test {
 protected:
  Brokers() {
    for (World* world : {&b1, &b2}) {
      world->HubUp();
      world->Handle(RelayUp{});
    }
    b1.RunHub();
  }
  static std::string Told(World& world, SessionId session) {
    std::string out;
    for (const Packet& packet : world.TakePackets(session)) {
      v1::Presence presence;
      EXPECT_TRUE(presence.ParseFromString(packet.payload));
      out += presence.online() ? '+' : '-';
    }
    return out;
  }
  SessionId Watch(World& world, const std::string& watcher, const std::string& uid) {
    const SessionId session = world.Connect(watcher, "watch");
    EXPECT_TRUE(world.Subscribe(session, "presence/" + uid));
    world.RunHub();
    return session;
  }
  bool Living(const std::string& name) { return b1.hub().state().living.contains(name); }
  size_t Recorded(const std::string& id) { return b1.hub().mutable_state().sessions[id].size(); }
  static std::string Texts(const std::vector<v1::ServerFrame>& frames) {
    std::string out;
    for (const auto& frame : frames) out += frame.message().text();
    return out;
  }

  World b1;
  World b2{b1, "b2"};
};

// ---- messages and marks -----------------------------------------------------------------------

TEST_F(Brokers, AMessageAndItsReceiptCross) {
  const SessionId alice = b1.Device("alice", "a"), bob = b2.Device("bob", "b");
  b1.SendText(alice, 1, "bob", "hello");
  b1.RunHub();
  EXPECT_TRUE(b1.Take(alice).at(0).has_accepted());
  const auto frames = b2.Take(bob);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].message().text(), "hello");
  EXPECT_EQ(frames[0].seq(), 1U);
  b2.Ack(bob, 1);
  b1.RunHub();
  const auto told = b1.Take(alice);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].delivered().marks(0).uid(), "bob");
}

TEST_F(Brokers, AuthorsOtherDevicesAndTailsElsewhereGetTheirCopy) {
  const SessionId phone = b1.Device("alice", "phone"), desk = b2.Device("alice", "desk");
  const SessionId tail = b2.Connect("bob", "tail");
  ASSERT_TRUE(b2.Subscribe(tail, "tail/bob"));
  b1.RunHub();
  b1.SendText(phone, 7, "bob", "x");
  b1.RunHub();
  const auto own = b2.Take(desk);
  ASSERT_EQ(own.size(), 1U);
  EXPECT_EQ(own[0].message().client_msg_id(), 7U) << "the author's own copy";
  EXPECT_EQ(b2.Take(tail).size(), 1U);
}

TEST_F(Brokers, WhatARelayLostIsReadWhenTheNextComesOrTheRelayIsBack) {
  const SessionId alice = b1.Device("alice", "a"), bob = b2.Device("bob", "b");
  b1.SendText(alice, 1, "bob", "1");
  while (b1.queue().RunOne()) {
  }
  EXPECT_EQ(b2.relay().Overflow(), 1U);
  b1.SendText(alice, 2, "bob", "2");
  b1.RunHub();
  EXPECT_EQ(Texts(b2.Take(bob)), "12");
  b2.relay().Cut();
  b1.SendText(alice, 3, "bob", "3");
  b1.RunHub();
  EXPECT_EQ(Texts(b2.Take(bob)), "");
  b2.relay().Connect();
  b2.Handle(RelayUp{});
  b2.RunHub();
  EXPECT_EQ(Texts(b2.Take(bob)), "3");
}

TEST_F(Brokers, ARelayBehindOrAheadOfARepliedReadHarmsNothing) {
  const SessionId alice = b1.Device("alice", "a"), bob = b2.Device("bob", "b");
  for (uint64_t i = 1; i <= 3; ++i) b1.SendText(alice, i, "bob", std::to_string(i));
  while (b1.queue().RunOne()) {
  }
  b2.Handle(RelayUp{});  // heads are compared and the inbox is read before the relays are taken
  while (b2.queue().RunOne()) {
  }
  b2.RunHub();
  EXPECT_EQ(Texts(b2.Take(bob)), "123");
}

// ---- routes -----------------------------------------------------------------------------------

TEST_F(Brokers, ADeviceThatComesElsewhereEndsItsOldSession) {
  const SessionId eve = Watch(b1, "eve", "alice");
  const SessionId old = b1.Device("alice", "a");
  b1.Advance(5000);
  EXPECT_EQ(Told(b1, eve), "-+");
  const SessionId fresh = b2.Device("alice", "a");
  b1.RunHub();
  const auto frames = b1.Take(old);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].notice().kind(), v1::Notice::SESSION_REPLACED);
  EXPECT_TRUE(b1.Kicked(old));
  b1.Disconnect(old);
  b1.Advance(20'000);
  EXPECT_EQ(Told(b1, eve), "") << "a takeover never shows";
  EXPECT_FALSE(b2.Kicked(fresh));
}

TEST_F(Brokers, ALostKickIsMadeGoodByTheRouteCheck) {
  const SessionId old = b1.Device("alice", "a");
  b1.relay().Cut();
  const SessionId fresh = b2.Device("alice", "a");
  b1.Advance(31'000);
  EXPECT_TRUE(b1.Kicked(old));
  EXPECT_FALSE(b2.Kicked(fresh));
}

TEST_F(Brokers, AKickOfAnEarlierLifeOrOfSomebodyElseIsNotForThisSession) {
  const SessionId alice = b1.Device("alice", "a");
  b1.Handle(Relayed{hub::RelayedKick{"alice", "a", alice, "b1#0"}});
  b1.Handle(Relayed{hub::RelayedKick{"bob", "a", alice, "b1#1"}});
  b1.Handle(Relayed{hub::RelayedKick{"alice", "b", alice, "b1#1"}});
  EXPECT_FALSE(b1.Kicked(alice));
  b1.Handle(Relayed{hub::RelayedKick{"alice", "a", alice, "b1#1"}});
  EXPECT_TRUE(b1.Kicked(alice));
}

TEST_F(Brokers, ARouteThatWasLostIsWrittenAgain) {
  const SessionId bob = b2.Device("bob", "b");
  b1.hub().mutable_state().users["bob"].devices["b"].route.reset();
  b1.Advance(31'000);
  EXPECT_TRUE(b1.hub().state().users.at("bob").devices.at("b").route.has_value());
  EXPECT_FALSE(b2.Kicked(bob));
  EXPECT_TRUE(b2.Take(bob).at(0).has_sync());
}

// ---- presence ---------------------------------------------------------------------------------

TEST_F(Brokers, PresenceCrossesAndInterestIsPerBroker) {
  const SessionId eve = Watch(b2, "eve", "alice"), dan = Watch(b2, "dan", "alice");
  const SessionId alice = b1.Device("alice", "a");
  b1.Advance(4000);
  EXPECT_EQ(Told(b2, eve), "-+");
  EXPECT_EQ(Told(b2, dan), "-+");
  b1.Disconnect(alice);
  b1.Advance(6000);
  EXPECT_EQ(Told(b2, eve), "-");
  EXPECT_EQ(b1.hub().state().users.at("alice").watchers.size(), 1U);
  b2.Unsubscribe(eve, "presence/alice");
  b1.RunHub();
  EXPECT_EQ(b1.hub().state().users.at("alice").watchers.size(), 1U);
  b2.Disconnect(dan);
  b1.RunHub();
  EXPECT_TRUE(b1.hub().state().users.at("alice").watchers.empty());
}

TEST_F(Brokers, AMoveToAnotherBrokerNeverShows) {
  const SessionId eve = Watch(b2, "eve", "alice");
  SessionId alice = b1.Device("alice", "a");
  b1.Advance(4000);
  EXPECT_EQ(Told(b2, eve), "-+");
  for (int i = 0; i < 3; ++i) {
    b1.Disconnect(alice);
    b1.Advance(2000);
    const SessionId there = b2.Device("alice", "a");
    b1.Advance(6000);
    b2.Disconnect(there);
    b1.Advance(2000);
    alice = b1.Device("alice", "a");
    b1.Advance(6000);
  }
  EXPECT_EQ(Told(b2, eve), "");
}

TEST_F(Brokers, AReplyOlderThanWhatWasRelayedIsNotTheLastWord) {
  b1.Device("alice", "a");
  const SessionId eve = b2.Connect("eve", "watch");
  ASSERT_TRUE(b2.Subscribe(eve, "presence/alice"));
  ASSERT_TRUE(b2.queue().TakeEffect());  // she is offline; the answer is under way
  b2.Pause();
  b1.Advance(3500);
  ASSERT_EQ(b2.relay().size(), 1U);
  b2.Handle(Relayed{*b2.relay().Take()});
  b2.Wake();
  EXPECT_EQ(Told(b2, eve).back(), '+');
}

TEST_F(Brokers, WatchesAreSaidAgainInBatchesWhenTheRelayIsBack) {
  const SessionId eve = b2.Connect("eve", "watch");
  for (int i = 0; i < 600; ++i) b2.Subscribe(eve, "presence/u" + std::to_string(i));
  b1.RunHub();
  b1.Advance(10);  // what is shown is shown in steps
  EXPECT_EQ(b2.TakePackets(eve).size(), 600U);
  const SessionId u = b1.Device("u7", "d");
  b1.Advance(4000);
  EXPECT_EQ(Told(b2, eve), "+");
  b2.relay().Cut();
  b1.Disconnect(u);
  b1.Advance(6000);
  EXPECT_EQ(Told(b2, eve), "");
  EXPECT_TRUE(b1.hub().state().users.at("u7").watchers.empty()) << "nobody listened";
  size_t watched = 0, batches = 0;
  b2.on_action = [&](const Action& action) {
    const auto* ask = std::get_if<AskHub>(&action);
    const auto* watch = ask != nullptr ? std::get_if<hub::Watch>(&ask->call) : nullptr;
    if (watch == nullptr) return;
    EXPECT_LE(watch->uids.size(), 128U);
    EXPECT_LE(b2.queue().size(), 1U) << "one at a time";
    watched += watch->uids.size();
    ++batches;
  };
  b2.relay().Connect();
  b2.Handle(RelayUp{});
  b1.RunHub();
  EXPECT_EQ(watched, 600U);
  EXPECT_EQ(batches, 5U);
  EXPECT_EQ(Told(b2, eve), "-");
  EXPECT_EQ(b1.hub().state().users.at("u7").watchers.size(), 1U);
}

// ---- brokers that die, or seemed to -----------------------------------------------------------

TEST_F(Brokers, ADeadBrokerIsClearedByAnother) {
  const SessionId eve = Watch(b2, "eve", "alice");
  b1.Device("alice", "a");
  for (int i = 0; i < 600; ++i) b1.Device("u" + std::to_string(i), "d");
  const SessionId tail = b1.Connect("carol", "c");
  b1.Subscribe(tail, "tail/carol");
  b1.Advance(10'000);
  EXPECT_EQ(Told(b2, eve), "-+");
  const SessionId bob = b2.Device("bob", "b");
  b2.SendText(bob, 1, "alice", "are you there");
  b1.RunHub();
  b1.Die();
  b2.Advance(15'000);
  EXPECT_EQ(Told(b2, eve), "-") << "offline within 15 s";
  EXPECT_FALSE(Living("b1#1"));
  EXPECT_TRUE(b2.hub().state().dying.empty()) << "Gone was said";
  EXPECT_EQ(Recorded("b1"), 0U);
  bool due = false;
  for (const auto& [p, partition] : b2.hub().state().partitions) {
    due = due || partition.due.contains("alice");
  }
  EXPECT_TRUE(due);
}

TEST_F(Brokers, WhoHasComeElsewhereStaysOnlineWhenTheDeadOneIsCleared) {
  const SessionId eve = Watch(b2, "eve", "alice");
  b1.Device("alice", "a");
  b1.Advance(10'000);
  EXPECT_EQ(Told(b2, eve), "-+");
  b1.Die();
  b2.Advance(1000);
  const SessionId there = b2.Device("alice", "a");
  b2.Advance(20'000);
  EXPECT_EQ(Told(b2, eve), "");
  EXPECT_FALSE(b2.Kicked(there));
  EXPECT_EQ(Recorded("b1"), 0U);
}

TEST_F(Brokers, WhereBrokersAreFoundDeadWithinTheGraceItIsWaitedOut) {
  Config quick;
  quick.broker_ttl_ms = 2000;
  quick.beat_ms = 500;
  World c1(quick);
  World c2(c1, "b2", quick);
  for (World* world : {&c1, &c2}) world->HubUp();
  c1.RunHub();
  const SessionId eve = Watch(c2, "eve", "alice");
  c1.Device("alice", "a");
  c1.Device("bob", "b");
  c1.Advance(10'000);
  EXPECT_EQ(Told(c2, eve), "-+");
  c1.Die();
  c2.Advance(4500);
  EXPECT_FALSE(c2.hub().state().users.at("alice").devices.at("a").route) << "it is cleared";
  const SessionId there = c2.Device("alice", "a");
  c2.Advance(10'000);
  EXPECT_EQ(Told(c2, eve), "") << "back within the grace";
  EXPECT_FALSE(c2.Kicked(there));
  EXPECT_FALSE(c2.hub().state().users.at("bob").online);
  EXPECT_TRUE(c2.hub().state().dying.empty()) << "Gone was said";
}

TEST_F(Brokers, ClearingGoesOnThroughFailures) {
  b1.Device("alice", "a");
  b1.Advance(10'000);
  b1.Die();
  b2.Advance(9000);
  for (int i = 0; i < 10; ++i) {
    b2.AdvanceAlone(1000);
    b2.queue().RunOne();
    while (b2.queue().FailNext()) {
    }
  }
  b2.Advance(40'000);
  EXPECT_EQ(Recorded("b1"), 0U);
  EXPECT_TRUE(b2.hub().state().dying.empty());
}

TEST_F(Brokers, APausedBrokerFindsItselfClearedAndBeginsAnew) {
  const SessionId eve = Watch(b2, "eve", "alice");
  const SessionId alice = b1.Device("alice", "a"), carol = b1.Device("carol", "c");
  b1.Advance(10'000);
  Told(b2, eve);
  b1.Pause();
  b2.Advance(60'000);
  EXPECT_EQ(Told(b2, eve), "-");
  const SessionId there = b2.Device("alice", "a");
  b2.Advance(4000);
  EXPECT_EQ(Told(b2, eve), "+");
  b1.Wake();
  for (const SessionId session : {alice, carol}) {
    EXPECT_TRUE(b1.Kicked(session));
    const auto frames = b1.Take(session);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].notice().kind(), v1::Notice::SHUTTING_DOWN);
    b1.Disconnect(session);
  }
  b1.Advance(20'000);
  EXPECT_TRUE(Living("b1#2"));
  EXPECT_FALSE(b2.Kicked(there));
  EXPECT_EQ(Told(b2, eve), "") << "it has harmed nobody";
  EXPECT_EQ(Recorded("b1"), 0U);
  const SessionId dan = b1.Device("dan", "d");
  b2.SendText(there, 1, "dan", "hi");
  b2.RunHub();
  EXPECT_EQ(Texts(b1.Take(dan)), "hi");
}

TEST_F(Brokers, NobodyIsLetInUntilTheNextLifeIsConfirmed) {
  b1.Advance(10'000);
  b1.Pause();
  b2.Advance(20'000);
  b1.Wake();  // the beat that is answered "cleared", and the first of the next life
  b1.Advance(100);
  b1.Pause();
  b2.Advance(20'000);
  ASSERT_FALSE(Living("b1#2"));
  b1.Handle(Tick{});
  while (b1.engine().stats().registered && b1.queue().RunOne()) {
  }
  EXPECT_EQ(b1.Connect("alice", "a"), 0U);
  EXPECT_EQ(b1.verdict(), Verdict::kLater);
  b1.Wake();
  b1.Device("alice", "a");
  EXPECT_TRUE(Living("b1#3"));
}

TEST_F(Brokers, ALoginThatIsRefusedLeadsToTheNextLife) {
  b1.Advance(10'000);
  b1.Pause();
  b2.Advance(20'000);
  const SessionId alice = b1.Connect("alice", "a");
  b1.Subscribe(alice, "inbox/alice");
  b1.Wake();
  EXPECT_TRUE(b1.Kicked(alice));
  EXPECT_TRUE(Living("b1#2"));
}

// A hub that stands still longer than every TTL, and calls that were on their way to it.
TEST_F(Brokers, APauseOfTheHubClearsNobody) {
  const SessionId eve = Watch(b2, "eve", "alice");
  const SessionId alice = b1.Device("alice", "a");
  b1.Advance(20'000);
  Told(b2, eve);
  b1.AdvanceAlone(30'000);
  b2.queue().RunOne();  // b2 is heard first, with a beat from before
  b1.Advance(60'000);
  EXPECT_TRUE(Living("b1#1"));
  EXPECT_TRUE(Living("b2#1"));
  EXPECT_FALSE(b1.Kicked(alice));
  EXPECT_EQ(Told(b2, eve), "");
}

TEST_F(Brokers, TheSecondOfAnIdCannotGoOn) {
  b1.Advance(4000);
  Config config;
  config.incarnation = 9;
  World twin(b1, "b1", config);
  twin.HubUp();
  b1.RunHub();
  EXPECT_NE(twin.cannot_go_on().find("b1"), std::string::npos);
  EXPECT_EQ(twin.Connect("alice", "a"), 0U);
  EXPECT_TRUE(b1.cannot_go_on().empty());
}

// A balancer sees it, and so do clients: they get in where the hub can be reached. Who is connected
// stays.
TEST_F(Brokers, CutOffFromTheHubForLongItLetsNobodyNewIn) {
  const SessionId alice = b1.Device("alice", "a");
  b1.Handle(HubDown{"cut"});
  b1.Advance(4900);
  EXPECT_NE(b1.Connect("bob", "b"), 0U);
  b1.Advance(200);
  EXPECT_EQ(b1.Connect("carol", "c"), 0U);
  EXPECT_EQ(b1.verdict(), Verdict::kLater);
  EXPECT_NE(b2.Connect("carol", "c"), 0U);
  EXPECT_FALSE(b1.Kicked(alice));
  b1.HubUp();
  EXPECT_NE(b1.Connect("dave", "d"), 0U);
}

TEST_F(Brokers, AHubThatIsPartlyThereTakesNewOnesIn) {
  b1.Handle(HubDown{"one of its servers"});
  b1.Handle(HubDown{"one of its servers", true});
  b1.Advance(10'000);
  EXPECT_NE(b1.Connect("bob", "b"), 0U);
  b1.Handle(HubDown{"the others too", false});
  b1.Advance(4900);
  EXPECT_NE(b1.Connect("carol", "c"), 0U);
  b1.Advance(200);
  EXPECT_EQ(b1.Connect("dave", "d"), 0U);
  b1.Handle(HubDown{"one is back", true});
  EXPECT_NE(b1.Connect("dave", "d"), 0U);
}

TEST_F(Brokers, AHubThatLostEverythingTakesAllInAgain) {
  const SessionId alice = b1.Device("alice", "a"), bob = b2.Device("bob", "b");
  b1.Advance(10'000);
  b1.hub().LoseEverything();
  for (World* world : {&b1, &b2}) {
    world->Handle(HubDown{"gone"});
    world->HubUp();
    world->Handle(RelayUp{});
  }
  b1.Advance(3000);
  EXPECT_FALSE(b1.Kicked(alice));
  EXPECT_FALSE(b2.Kicked(bob));
  b1.Take(alice);
  b2.Take(bob);
  b1.SendText(alice, 1, "bob", "after");
  b1.RunHub();
  EXPECT_EQ(Texts(b2.Take(bob)), "after");
}

}  // namespace
}  // namespace nightjar::core
