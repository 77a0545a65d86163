// Two devices against the fake server, in virtual time, judged by the oracle.
#include "client-sim/device/device.h"

#include <gtest/gtest.h>

#include <functional>

#include "client-sim/judge/oracle.h"
#include "tests/unit/client_sim/fake_server.h"

namespace nightjar::client {
namespace {

class DeviceTest : public ::testing::Test {
 protected:
  DeviceTest() {
    oracle_.Expect("alice", "phone");  // 0
    oracle_.Expect("bob", "phone");    // 1
    alice_.GoOnline(now_);
    bob_.GoOnline(now_);
    Run(100);
  }

  // Lets `ms` of virtual time pass.
  void Run(int64_t ms) {
    const int64_t until = now_.mono_ms + ms;
    for (; now_.mono_ms <= until; now_.mono_ms += 10, now_.unix_ms += 10) {
      for (Device* device : {&alice_, &bob_}) {
        std::vector<Happening> happened;
        device->Step(now_, happened);
        for (const auto& happening : happened) {
          oracle_.Took(device == &alice_ ? 0 : 1, happening, now_);
          if (std::holds_alternative<MessageCame>(happening)) ++came_;
          if (std::holds_alternative<GapSeen>(happening)) ++gaps_;
        }
      }
    }
  }
  void ExpectAllKept() {
    EXPECT_TRUE(oracle_.Settled());
    oracle_.Finish(now_);
    for (const auto& broken : oracle_.violations()) ADD_FAILURE() << broken.what << broken.story;
  }

  FakeServer server_;
  Now now_{.mono_ms = 1000, .unix_ms = 1'700'000'000'000};
  Device alice_{"alice", "phone", server_.MakeLink("alice", "phone"), 1};
  Device bob_{"bob", "phone", server_.MakeLink("bob", "phone"), 2};
  Oracle oracle_;
  int came_ = 0, gaps_ = 0;
};

TEST_F(DeviceTest, AMessageArrivesAndIsMarkedDelivered) {
  alice_.brain().SendToUser("bob", "hello", now_);
  Run(500);
  EXPECT_EQ(came_, 1);
  EXPECT_GT(alice_.brain().Mark("d:alice:bob", "bob"), 0U);
  ExpectAllKept();
}

TEST_F(DeviceTest, ALostAnswerIsMadeGoodByARepeatAfterReconnecting) {
  server_.lose_accepted = 1;
  alice_.brain().SendToUser("bob", "hello", now_);
  Run(3000);
  EXPECT_EQ(server_.sends_seen(), 2U);
  EXPECT_EQ(came_, 1);
  ExpectAllKept();
}

TEST_F(DeviceTest, ALostFrameIsSeenAsAGapAndSentAgain) {
  server_.lose_frames = 1;
  alice_.brain().SendToUser("bob", "one", now_);
  alice_.brain().SendToUser("bob", "two", now_);
  Run(3000);
  EXPECT_EQ(gaps_, 1);
  EXPECT_EQ(came_, 2);
  ExpectAllKept();
}

TEST_F(DeviceTest, RepeatsAreDropped) {
  server_.deliver_twice = 1;
  alice_.brain().SendToUser("bob", "hello", now_);
  Run(1000);
  EXPECT_EQ(came_, 1);
  EXPECT_EQ(oracle_.Count().repeats, 1U);
  ExpectAllKept();
}

TEST_F(DeviceTest, ARefusalForNowIsRepeated) {
  server_.reject_for_now = 2;
  alice_.brain().SendToUser("bob", "hello", now_);
  Run(1000);
  EXPECT_EQ(server_.sends_seen(), 3U);
  ExpectAllKept();
}

TEST_F(DeviceTest, WhoWasAwayGetsWhatWasMissedAndTheAuthorLearnsIt) {
  bob_.GoOffline(now_);
  alice_.brain().SendToUser("bob", "are you there?", now_);
  Run(1000);
  EXPECT_EQ(came_, 0);
  EXPECT_FALSE(oracle_.Settled());
  bob_.GoOnline(now_);
  Run(1000);
  EXPECT_EQ(came_, 1);
  ExpectAllKept();
}

TEST_F(DeviceTest, AMarkMissedWhileAwayIsAskedForOnReturn) {
  alice_.brain().SendToUser("bob", "hello", now_);
  Run(50);  // accepted and received, not acknowledged yet
  alice_.GoOffline(now_);
  Run(1000);
  EXPECT_EQ(alice_.brain().Mark("d:alice:bob", "bob"), 0U);
  alice_.GoOnline(now_);
  Run(1000);
  EXPECT_GT(alice_.brain().Mark("d:alice:bob", "bob"), 0U);
  ExpectAllKept();
}

TEST_F(DeviceTest, EverythingSurvivesCutLines) {
  for (int i = 0; i < 40; ++i) {
    (i % 2 == 0 ? alice_ : bob_)
        .brain()
        .SendToUser(i % 2 == 0 ? "bob" : "alice", std::to_string(i), now_);
    if (i % 7 == 0) server_.CutAll();
    Run(30);
  }
  Run(10'000);
  EXPECT_EQ(came_, 40);
  ExpectAllKept();
}

// The judge must be able to say no.
TEST_F(DeviceTest, TheJudgeSeesALostMessage) {
  server_.forget_message = 1;
  alice_.brain().SendToUser("bob", "hello", now_);
  Run(1000);
  EXPECT_FALSE(oracle_.Settled());
  oracle_.Finish(now_);
  EXPECT_FALSE(oracle_.violations().empty());
}

TEST_F(DeviceTest, TheJudgeSeesAMarkWithoutAcknowledgement) {
  alice_.brain().SendToUser("bob", "first", now_);
  Run(1000);
  bob_.GoOffline(now_);
  alice_.brain().SendToUser("bob", "second", now_);
  Run(1000);
  server_.mark_too_early = 1;
  alice_.brain().SendToUser("bob", "third", now_);
  Run(1000);
  EXPECT_FALSE(oracle_.violations().empty());
}

TEST_F(DeviceTest, TheJudgeSeesAMessageStoredTwice) {
  server_.ignore_repeats = true;
  server_.lose_accepted = 1;
  alice_.brain().SendToUser("bob", "hello", now_);
  Run(3000);
  EXPECT_EQ(came_, 2) << "bob saw it twice";
  oracle_.Finish(now_);
  EXPECT_FALSE(oracle_.violations().empty());
}

}  // namespace
}  // namespace nightjar::client
