// Who may connect, publish and subscribe; tokens that end; stopping; topics of services.
#include <gtest/gtest.h>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

class Sessions : public testing::Test {
 protected:
  Sessions() {
    world.HubUp();
    world.RunHub();
  }
  World world;
};

TEST_F(Sessions, WhoIsRefused) {
  EXPECT_NE(world.Connect("alice", "a"), 0U);
  EXPECT_EQ(world.Connect("alice", "a b"), 0U);
  EXPECT_EQ(world.Connect("al ice", "a", {.token = world.Token("alice", {})}), 0U);
  EXPECT_EQ(world.Connect("alice", ""), 0U);
  EXPECT_EQ(world.Connect("alice", std::string(33, 'x')), 0U);
  EXPECT_EQ(world.Connect("alice", "a", {.clean = false}), 0U);
  EXPECT_EQ(world.Connect("alice", "a", {.user = "bob"}), 0U);
  EXPECT_EQ(world.Connect("alice", "a", {.token = world.Token("bob", {})}), 0U);
  EXPECT_EQ(world.Connect("alice", "a", {.token = "nonsense"}), 0U);
  EXPECT_EQ(world.Connect("alice", "a", {.ttl_ms = -1000}), 0U);
  EXPECT_EQ(world.Connect("alice", "a", {.pinned = "b"}), 0U);
  EXPECT_NE(world.Connect("alice", "a", {.pinned = "a"}), 0U);
  EXPECT_TRUE(world.Logged("connect refused"));
  EXPECT_FALSE(world.Logged("nonsense"));  // never a token
}

TEST_F(Sessions, TopicsOfOthersAreDenied) {
  const SessionId alice = world.Connect("alice", "a");
  for (const char* filter :
       {"inbox/bob", "json/inbox/bob", "tail/bob", "#", "inbox/#", "inbox/+", "presence/+",
        "$SYS/#", "$share/x/inbox/alice", "chat/send", "svc/store/#", "svc/again/#",
        "svc/persister", "$share/store/svc/store/#", "presence/bob/phone", "other", ""}) {
    EXPECT_FALSE(world.Subscribe(alice, filter)) << filter;
  }
  for (const char* filter : {"inbox/alice", "i", "json/inbox/alice", "tail/alice",
                             "json/tail/alice", "presence/bob", "json/presence/bob"}) {
    EXPECT_TRUE(world.Subscribe(alice, filter)) << filter;
  }
  for (const char* topic : {"inbox/alice", "i", "tail/alice", "presence/alice", "svc/reply/b1",
                            "svc/store/1", "chat/other", "$SYS/x", "x"}) {
    EXPECT_FALSE(world.Publish(alice, topic, "x")) << topic;
  }
  for (const char* topic :
       {"chat/send", "s", "chat/ack", "a", "chat/req", "r", "presence/alice/a"}) {
    EXPECT_TRUE(world.Publish(alice, topic, "x")) << topic;
  }
}

TEST_F(Sessions, ServicesHaveTheirOwnTopics) {
  const SessionId service = world.Connect("persister", "p1", {.service = true});
  EXPECT_TRUE(world.Subscribe(service, "$share/store/svc/store/#"));
  EXPECT_TRUE(world.Subscribe(service, "svc/store/#"));
  EXPECT_TRUE(world.Subscribe(service, "svc/again/#"));
  EXPECT_TRUE(world.Subscribe(service, "svc/persister"));
  EXPECT_TRUE(world.Publish(service, "svc/persister", "p1"));
  EXPECT_FALSE(world.Publish(world.Connect("alice", "a"), "svc/persister", "p1"));
  EXPECT_FALSE(world.Subscribe(service, "inbox/alice"));
  EXPECT_TRUE(world.Publish(service, "svc/reply/b1", "not a reply"));
  EXPECT_FALSE(world.Publish(service, "svc/store/1", "x"));
}

TEST_F(Sessions, AnExpiredTokenEndsTheSession) {
  const SessionId alice = world.Connect("alice", "a", {.ttl_ms = 10'000});
  world.Subscribe(alice, "inbox/alice");
  world.RunHub();
  world.Take(alice);
  world.Advance(8000);
  EXPECT_FALSE(world.Kicked(alice));
  world.Advance(3000);
  EXPECT_TRUE(world.Kicked(alice));
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].notice().kind(), v1::Notice::TOKEN_EXPIRED);
}

TEST_F(Sessions, ASessionThatIsBeingClosedIsNotToldOfItsToken) {
  const SessionId alice = world.Connect("alice", "a", {.ttl_ms = 10'000});
  ASSERT_TRUE(world.Subscribe(alice, "json/inbox/alice"));
  world.RunHub();
  const SessionId again = world.Connect("alice", "a");  // its line is silent; the next one is here
  ASSERT_TRUE(world.Subscribe(again, "json/inbox/alice"));
  world.RunHub();
  ASSERT_TRUE(world.Kicked(alice));
  world.TakePackets(alice);
  world.Advance(11'000);
  EXPECT_TRUE(world.TakePackets(alice).empty());
}

TEST_F(Sessions, StoppingIsTold) {
  const SessionId alice = world.Device("alice", "a");
  world.Handle(Stopping{});
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].notice().kind(), v1::Notice::SHUTTING_DOWN);
}

TEST_F(Sessions, BeingAskedAgainChangesNothing) {
  const SessionId alice = world.Device("alice", "a");
  const std::string token = world.Token("alice", {});
  world.Handle(ConnectAsked{alice, "alice:a", "alice", token, true});  // a reload asks for all
  EXPECT_FALSE(world.Kicked(alice));
  world.SendText(alice, 1, "bob", "x");
  world.RunHub();
  EXPECT_EQ(world.Take(alice).size(), 1U);
}

TEST_F(Sessions, ALoginThatFailsIsTriedAgain) {
  const SessionId alice = world.Connect("alice", "a");
  world.Subscribe(alice, "inbox/alice");
  world.SendText(alice, 1, "bob", "x");  // answered after sync, whatever comes first
  world.queue().FailNext();
  world.queue().RunOne();
  EXPECT_TRUE(world.Take(alice).empty());
  world.Advance(2000);
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_TRUE(frames[0].has_sync());
  EXPECT_TRUE(frames[1].has_accepted());
  EXPECT_TRUE(
      frames[2].has_message());  // accepted before the device was known: an entry like others
}

TEST_F(Sessions, AnIdleDeviceHasNoTimers) {
  const size_t before = world.engine().stats().timers;
  for (int i = 0; i < 100; ++i) world.Device("u" + std::to_string(i), "d");
  world.Advance(10'000);
  EXPECT_EQ(world.engine().stats().timers, before);
  EXPECT_EQ(world.engine().stats().devices, 100U);
}

TEST_F(Sessions, NothingIsLeftOfThoseWhoAreGone) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "x");
  world.Disconnect(alice);
  world.Disconnect(bob);
  world.Advance(60'000);
  const Engine::Stats stats = world.engine().stats();
  EXPECT_EQ(stats.sessions, 0U);
  EXPECT_EQ(stats.hub_calls, 0U);
  EXPECT_LE(stats.timers, 4U);  // lease, tasks, beat and routes
}

}  // namespace
}  // namespace nightjar::core
