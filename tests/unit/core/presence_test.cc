// Who is online, as others see it; takeovers; what a broker's earlier life left behind.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

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
  const auto list = world.hub().Execute(hub::ListSessions{"b1#9", "", 100});
  for (const auto& record : std::get<hub::ListSessionsReply>(list).sessions) {
    EXPECT_EQ(record.broker, "b1#2") << record.uid;
  }
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
