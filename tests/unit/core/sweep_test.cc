// What the core makes of a hub that has lost something.
#include <gtest/gtest.h>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

class Sweep : public testing::Test {
 protected:
  void BackUp() {
    world.Handle(HubDown{"gone"});
    world.HubUp();
    world.RunHub();
  }
  static size_t Syncs(const std::vector<v1::ServerFrame>& frames) {
    return static_cast<size_t>(std::count_if(frames.begin(), frames.end(),
                                             [](const auto& frame) { return frame.has_sync(); }));
  }
  World world;
};

TEST_F(Sweep, AHubThatLostEverythingIsSyncedAnewAndChatGoesOn) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  for (uint64_t i = 1; i <= 3; ++i) world.SendText(alice, i, "bob", "before");
  world.RunHub();
  world.Take(alice);
  world.Take(bob);
  const uint64_t before = world.epoch();
  world.hub().LoseEverything();
  BackUp();
  for (const SessionId session : {alice, bob}) {
    const auto frames = world.Take(session);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_GT(frames[0].sync().epoch(), before);
    EXPECT_EQ(frames[0].sync().start(), 0U);
    EXPECT_EQ(frames[0].sync().head(), 0U);
  }
  world.SendText(alice, 4, "bob", "after");
  world.RunHub();
  EXPECT_TRUE(world.Take(alice).at(0).has_accepted());
  const auto frames = world.Take(bob);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].seq(), 1U);
  EXPECT_EQ(frames[0].message().text(), "after");
  world.Ack(bob, 1);
  world.Advance(1000);
  EXPECT_TRUE(world.Take(alice).at(0).has_delivered());
}

// The epoch is the same, but a restart took back what was told: the numbers begin anew at what is
// left.
TEST_F(Sweep, AHeadThatWentBackMeansSyncAgain) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.Device("carol", "c");
  for (uint64_t i = 1; i <= 3; ++i) world.SendText(alice, i, "bob", "before");
  world.RunHub();
  world.Take(alice);
  world.Take(bob);
  world.hub().mutable_state().users["bob"].inbox.pop_back();
  BackUp();
  EXPECT_TRUE(world.Take(alice).empty());
  const auto frames = world.Take(bob);
  ASSERT_EQ(Syncs(frames), 1U);
  EXPECT_EQ(frames[0].sync().head(), 2U);
  EXPECT_EQ(frames.size(), 3U) << "what bob has not acknowledged comes again";
  world.SendText(alice, 9, "bob", "after");
  world.RunHub();
  EXPECT_EQ(world.Take(bob).at(0).seq(), 3U);
}

TEST_F(Sweep, AHeadThatGrowsWhileItIsAskedForIsNoLoss) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.Handle(HubDown{"gone"});
  world.SendText(alice, 1, "bob", "x");
  world.HubUp();  // the question comes after the send, and so does its answer
  world.SendText(alice, 2, "bob", "y");
  world.RunHub();
  EXPECT_EQ(Syncs(world.Take(bob)), 0U);
}

TEST_F(Sweep, TailsAreToldAgain) {
  const SessionId watch = world.Connect("bob", "watch");
  ASSERT_TRUE(world.Subscribe(watch, "tail/bob"));
  world.RunHub();
  world.Take(watch);
  world.hub().LoseEverything();
  BackUp();
  EXPECT_EQ(world.hub().state().users.at("bob").tails.size(), 1U);
  world.SendText(world.Device("alice", "a"), 1, "bob", "hello");
  world.RunHub();
  EXPECT_EQ(world.Take(watch).size(), 1U);
}

}  // namespace
}  // namespace nightjar::core
