#include "plugin/claim.h"

#include <gtest/gtest.h>

#include <variant>
#include <vector>

#include "tests/unit/plugin/fake_broker.h"

namespace nightjar::plugin {
namespace {

using Outcome = hub::BeatReply::Outcome;

// Answers beats from a list, the last of it for ever.
struct BeatHub : hub::Hub {
  void Submit(hub::Call call, hub::Callback done) override {
    beats.push_back(std::get<hub::Beat>(call));
    const size_t at = std::min(beats.size(), answers.size()) - 1;
    done(answers[at]);
  }
  std::vector<hub::Reply> answers;
  std::vector<hub::Beat> beats;
};

hub::Reply Says(Outcome outcome) {
  hub::BeatReply reply;
  reply.outcome = outcome;
  return reply;
}

struct ClaimTest : ::testing::Test {
  test::FakeBroker& broker = test::FakeBroker::Reset();
  BeatHub hub;
  core::Config config;
  int64_t waited_ms = 0;

  ClaimTest() {
    config.broker_id = "b7";
    config.incarnation = 42;
    config.broker_ttl_ms = 3000;
  }
  Status Claim() {
    return ClaimBrokerId(hub, config, [this](int64_t ms) { waited_ms += ms; });
  }
};

TEST_F(ClaimTest, AFreeIdIsTakenAtOnce) {
  hub.answers = {Says(Outcome::kAlive)};
  EXPECT_TRUE(Claim().ok());
  EXPECT_EQ(waited_ms, 0);
  ASSERT_EQ(hub.beats.size(), 1u);
  EXPECT_EQ(hub.beats[0].broker, "b7#42");
  EXPECT_TRUE(hub.beats[0].first);
  EXPECT_FALSE(hub.beats[0].may_clear);
  EXPECT_EQ(hub.beats[0].ttl_ms, 3000);
  EXPECT_TRUE(broker.log.empty());
}

TEST_F(ClaimTest, AnotherOneThatEndsIsWaitedFor) {
  hub.answers = {Says(Outcome::kTaken), Says(Outcome::kTaken), Says(Outcome::kAlive)};
  EXPECT_TRUE(Claim().ok());
  EXPECT_EQ(waited_ms, 400);
  EXPECT_EQ(broker.log.size(), 1u) << "said once";
}

TEST_F(ClaimTest, AnotherOneThatLivesOnIsRespected) {
  hub.answers = {Says(Outcome::kTaken)};
  const Status status = Claim();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("id b7 is alive"), std::string::npos);
  EXPECT_EQ(waited_ms, 5000) << "the ttl and two seconds more";
}

TEST_F(ClaimTest, AHubThatFailsIsSaid) {
  hub.answers = {hub::Failure{hub::Failure::Kind::kUnavailable, "nobody there"}};
  const Status status = Claim();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("nobody there"), std::string::npos);
}

}  // namespace
}  // namespace nightjar::plugin
