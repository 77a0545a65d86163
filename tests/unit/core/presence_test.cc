// Who is online, as others see it; takeovers; what a broker's earlier life left behind.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

// What the hub records of sessions and tails of the broker under test, in all its lives.
std::vector<hub::SessionRecord> Recorded(World& world) {
  std::vector<hub::SessionRecord> all;
  for (uint32_t p = 0; p < world.config().partitions; ++p) {
    const auto list = world.hub().Execute(hub::ListSessions{"b1", p, "", 10'000});
    const auto& some = std::get<hub::ListSessionsReply>(list).sessions;
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

class PresenceTest : public testing::Test {
 protected:
  PresenceTest() { Start(); }

  void Start() {
    world.HubUp();
    world.RunHub();
    eve = world.Connect("eve", "watch");
    EXPECT_TRUE(world.Subscribe(eve, "presence/alice"));
    world.RunHub();
  }
  // What eve was told since the last time: '+' online, '-' offline.
  std::string Told() {
    std::string out;
    for (const Packet& packet : world.TakePackets(eve)) {
      EXPECT_EQ(packet.topic, "presence/alice");
      v1::Presence presence;
      EXPECT_TRUE(presence.ParseFromString(packet.payload));
      EXPECT_EQ(presence.uid(), "alice");
      out += presence.online() ? '+' : '-';
    }
    return out;
  }

  World world;
  SessionId eve = 0;
};

TEST_F(PresenceTest, ThePresentStateIsSentAtOnce) { EXPECT_EQ(Told(), "-"); }

TEST_F(PresenceTest, OnlineAfterThreeSecondsOfflineAfterFive) {
  Told();
  const SessionId alice = world.Device("alice", "a");
  world.Advance(2900);
  EXPECT_EQ(Told(), "");
  world.Advance(200);
  EXPECT_EQ(Told(), "+");
  world.Disconnect(alice);
  world.RunHub();
  world.Advance(4900);
  EXPECT_EQ(Told(), "");
  world.Advance(200);
  EXPECT_EQ(Told(), "-");
}

TEST_F(PresenceTest, AQuickVisitNeverShows) {
  Told();
  for (int i = 0; i < 5; ++i) {
    world.Disconnect(world.Device("alice", "a"));
    world.Advance(1000);
  }
  world.Advance(20'000);
  EXPECT_EQ(Told(), "");
}

TEST_F(PresenceTest, AQuickReconnectNeverShows) {
  SessionId alice = world.Device("alice", "a");
  world.Advance(5000);
  EXPECT_EQ(Told(), "-+");
  for (int i = 0; i < 5; ++i) {
    world.Disconnect(alice);
    world.Advance(4000);
    alice = world.Device("alice", "a");
    world.Advance(500);
  }
  world.Advance(20'000);
  EXPECT_EQ(Told(), "");
}

TEST_F(PresenceTest, ATakeoverNeverShowsAndTheOldOneIsTold) {
  const SessionId old = world.Device("alice", "a");
  world.Advance(5000);
  EXPECT_EQ(Told(), "-+");
  const SessionId fresh = world.Connect("alice", "a");
  ASSERT_NE(fresh, 0U);
  const auto frames = world.Take(old);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].notice().kind(), v1::Notice::SESSION_REPLACED);
  world.Disconnect(old);
  world.Subscribe(fresh, "inbox/alice");
  world.RunHub();
  world.Advance(20'000);
  EXPECT_EQ(Told(), "");
  const auto reply = world.hub().Execute(hub::GetPresence{{"alice"}});
  EXPECT_TRUE(std::get<hub::GetPresenceReply>(reply).states[0].online);
}

TEST_F(PresenceTest, WhoIsTakenOverIsToldAsTheySubscribed) {
  for (const char* filter : {"json/inbox/alice", "i", "inbox/alice"}) {
    const SessionId old = world.Connect("alice", "a");
    world.Subscribe(old, filter);
    world.RunHub();
    world.TakePackets(old);
    world.Connect("alice", "a");
    const auto packets = world.TakePackets(old);
    ASSERT_EQ(packets.size(), 1U);
    EXPECT_EQ(packets[0].topic, filter);
    EXPECT_EQ(Parse(packets[0]).notice().kind(), v1::Notice::SESSION_REPLACED);
    world.Disconnect(old);
  }
}

TEST_F(PresenceTest, AnotherDeviceKeepsTheUserOnline) {
  const SessionId a = world.Device("alice", "a"), b = world.Device("alice", "b");
  world.Advance(5000);
  EXPECT_EQ(Told(), "-+");
  world.Disconnect(a);
  world.Advance(20'000);
  EXPECT_EQ(Told(), "");
  world.Disconnect(b);
  world.Advance(6000);
  EXPECT_EQ(Told(), "-");
}

TEST_F(PresenceTest, TheWillByHandMeansGoing) {
  const SessionId alice = world.Device("alice", "a");
  world.Advance(5000);
  Told();
  EXPECT_FALSE(world.Publish(alice, "presence/alice/other", "x"));
  EXPECT_FALSE(world.Publish(alice, "presence/bob/a", "x"));
  EXPECT_TRUE(world.Publish(alice, "presence/alice/a", "x"));
  world.Advance(6000);
  EXPECT_EQ(Told(), "-");
}

TEST_F(PresenceTest, AHubPauseTakesNobodyOffline) {
  world.Device("alice", "a");
  world.Advance(5000);
  Told();
  world.Handle(HubDown{"away"});
  world.AdvanceAlone(30'000);
  world.HubUp();
  world.RunHub();
  world.Advance(20'000);
  EXPECT_EQ(Told(), "");
}

TEST_F(PresenceTest, OfflineIsToldEvenIfTheHubWasAwayMeanwhile) {
  const SessionId alice = world.Device("alice", "a");
  world.Advance(5000);
  Told();
  world.Disconnect(alice);
  for (int i = 0; i < 5; ++i) {
    while (world.queue().FailNext()) {
    }
    world.AdvanceAlone(1000);
  }
  world.Advance(20'000);
  EXPECT_EQ(Told(), "-");
}

TEST_F(PresenceTest, OfflineIsToldEvenIfItsReplyWasLost) {
  const SessionId alice = world.Device("alice", "a");
  world.Advance(5000);
  Told();
  world.Disconnect(alice);
  world.RunHub();
  world.AdvanceAlone(5100);
  while (world.queue().LoseNext()) {
  }
  EXPECT_EQ(Told(), "");
  world.Advance(20'000);
  EXPECT_EQ(Told(), "-");
}

TEST_F(PresenceTest, OnlineIsToldThoughItsReplyWasLostAndTheyWentAndCameBack) {
  Told();
  const SessionId alice = world.Device("alice", "a");
  world.AdvanceAlone(3100);
  world.Disconnect(alice);
  while (world.queue().LoseNext()) {  // shown as online by the hub, and nobody was told
  }
  world.AdvanceAlone(100);
  while (world.queue().RunOne()) {
  }
  EXPECT_EQ(Told(), "");
  world.Device("alice", "a");
  world.Advance(20'000);
  EXPECT_EQ(Told(), "+");
}

TEST_F(PresenceTest, TheGraceBeginsWithTheLastGoingHoweverSlowTheHub) {
  SessionId alice = world.Device("alice", "a");
  world.Advance(5000);
  EXPECT_EQ(Told(), "-+");
  world.Disconnect(alice);
  world.Advance(1000);
  alice = world.Device("alice", "a");
  world.Advance(3800);
  world.Disconnect(alice);  // 200 ms before the first grace ends; the hub hears of it later
  world.AdvanceAlone(2000);
  world.RunHub();
  EXPECT_EQ(Told(), "");
  world.Advance(3000);
  EXPECT_EQ(Told(), "");
  world.Advance(2100);
  EXPECT_EQ(Told(), "-");
}

TEST_F(PresenceTest, AFailedOfflineWaitsForANewGrace) {
  const SessionId alice = world.Device("alice", "a");
  world.Advance(5000);
  EXPECT_EQ(Told(), "-+");
  world.Disconnect(alice);
  world.RunHub();
  world.AdvanceAlone(5100);  // offline is asked for, and the hub does not answer
  const SessionId again = world.Connect("alice", "a");
  world.Subscribe(again, "inbox/alice");
  world.AdvanceAlone(4000);
  world.Disconnect(again);
  while (world.queue().FailNext()) {
  }
  world.AdvanceAlone(1000);
  world.RunHub();
  EXPECT_EQ(Told(), "");
  world.Advance(10'000);
  EXPECT_EQ(Told(), "-");
}

TEST_F(PresenceTest, JsonAndUnsubscribing) {
  const SessionId dan = world.Connect("dan", "d");
  world.Subscribe(dan, "json/presence/alice", 1);
  world.RunHub();
  auto packets = world.TakePackets(dan);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].topic, "json/presence/alice");
  EXPECT_EQ(packets[0].qos, 1);
  v1::Presence presence;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(packets[0].payload, &presence).ok());
  world.Unsubscribe(dan, "json/presence/alice");
  world.Device("alice", "a");
  world.Advance(5000);
  EXPECT_TRUE(world.TakePackets(dan).empty());
  EXPECT_EQ(Told(), "-+");
}

TEST_F(PresenceTest, ABrokerClearsWhatItsEarlierLifeLeft) {
  world.Device("alice", "a");
  world.Device("bob", "b");
  const SessionId tail = world.Connect("carol", "c");
  world.Subscribe(tail, "tail/carol");
  world.Advance(5000);
  world.Restart();
  Start();                   // eve watches again
  world.Device("bob", "b");  // is back at once
  EXPECT_EQ(Told(), "+") << "not known to be gone yet";
  world.Advance(6000);
  EXPECT_EQ(Told(), "-");
  const auto reply = world.hub().Execute(hub::GetPresence{{"bob"}});
  EXPECT_TRUE(std::get<hub::GetPresenceReply>(reply).states[0].online);
  for (const auto& record : Recorded(world)) {
    EXPECT_EQ(record.broker, "b1#2") << record.uid;
  }
}

// ---- calls that fail --------------------------------------------------------------------------

void FailAll(World& world) {
  while (world.queue().FailNext()) {
  }
}

TEST_F(PresenceTest, LogoutsThatFailAreMadeGoodAndNothingPilesUpMeanwhile) {
  Told();
  std::vector<SessionId> sessions = {world.Device("alice", "a")};
  for (int i = 0; i < 300; ++i) sessions.push_back(world.Device("u" + std::to_string(i), "d"));
  world.Advance(5000);
  EXPECT_EQ(Told(), "+");
  world.Handle(HubDown{"away"});
  for (const SessionId session : sessions) world.Disconnect(session);
  // Who comes and goes while the hub is away cannot make it remember either.
  for (int i = 0; i < 300; ++i) {
    const SessionId brief = world.Connect("mallory", "m" + std::to_string(i));
    ASSERT_TRUE(world.Subscribe(brief, "inbox/mallory"));
    world.Disconnect(brief);
  }
  FailAll(world);
  for (int i = 0; i < 20; ++i) {
    world.AdvanceAlone(1000);
    FailAll(world);
  }
  EXPECT_EQ(world.engine().stats().hub_calls, 0U);
  EXPECT_LT(world.engine().stats().timers, 10U);
  EXPECT_EQ(Recorded(world).size(), 301U);
  EXPECT_EQ(Told(), "");
  world.HubUp();
  world.Advance(5100);
  EXPECT_EQ(Told(), "-");
  EXPECT_TRUE(Recorded(world).empty());
}

TEST_F(PresenceTest, AnEndingThatFailsIsTriedUntilItIsDone) {
  const SessionId alice = world.Device("alice", "a");
  world.Disconnect(alice);
  FailAll(world);
  for (int i = 0; i < 4; ++i) {  // the list comes, what it leads to fails
    world.AdvanceAlone(10'000);
    world.queue().RunOne();
    FailAll(world);
  }
  EXPECT_EQ(Recorded(world).size(), 1U);
  world.Advance(20'000);
  EXPECT_TRUE(Recorded(world).empty());
}

TEST_F(PresenceTest, ALogoutThatFailedDoesNotEndTheSessionThatCameBack) {
  const SessionId alice = world.Device("alice", "a");
  world.Unsubscribe(alice, "inbox/alice");
  FailAll(world);
  world.Subscribe(alice, "inbox/alice");
  world.RunHub();
  world.Advance(30'000);
  EXPECT_EQ(world.hub().state().users.at("alice").routes(), 1U);
  EXPECT_EQ(Told(), "-+");
}

TEST_F(PresenceTest, TheLastWordAboutATailIsTheTrueOne) {
  const auto has_tail = [&] { return !world.hub().state().users.at("carol").tails.empty(); };
  const SessionId carol = world.Connect("carol", "c");
  world.Subscribe(carol, "tail/carol");
  FailAll(world);  // told again after a while
  world.Unsubscribe(carol, "tail/carol");
  world.RunHub();
  world.Advance(30'000);
  EXPECT_FALSE(has_tail()) << "the repeat overtook";
  world.Subscribe(carol, "tail/carol");
  FailAll(world);
  EXPECT_FALSE(has_tail());
  world.Advance(30'000);
  EXPECT_TRUE(has_tail());
  world.Unsubscribe(carol, "tail/carol");
  FailAll(world);
  world.Advance(30'000);
  EXPECT_FALSE(has_tail());
  world.Subscribe(carol, "tail/carol");
  world.RunHub();
  world.Disconnect(carol);  // nobody is left to remember this
  FailAll(world);
  world.Advance(30'000);
  EXPECT_FALSE(has_tail());
  EXPECT_TRUE(Recorded(world).empty());
}

TEST_F(PresenceTest, ThePresentStateComesOnceHoweverOftenItWasAskedFor) {
  const SessionId dan = world.Connect("dan", "d");
  for (int i = 0; i < 50; ++i) {
    world.Subscribe(dan, "presence/alice");
    FailAll(world);
    world.Unsubscribe(dan, "presence/alice");
  }
  world.Subscribe(dan, "presence/alice");
  FailAll(world);
  world.AdvanceAlone(5000);
  EXPECT_LT(world.engine().stats().hub_calls, 10U);
  FailAll(world);
  world.Advance(5000);
  EXPECT_EQ(world.TakePackets(dan).size(), 1U);
}

TEST_F(PresenceTest, WhoHasNothingAcknowledgedIsDueAfterABrokersDeath) {
  const SessionId alice = world.Device("alice", "a");
  world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "hello");
  world.RunHub();
  world.Restart();
  world.HubUp();
  world.RunHub();
  bool due = false;
  for (const auto& [p, partition] : world.hub().state().partitions) {
    due = due || partition.due.contains("bob");
  }
  EXPECT_TRUE(due);
}

}  // namespace
}  // namespace nightjar::core
