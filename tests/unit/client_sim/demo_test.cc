#include "client-sim/people/demo.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/client_sim/fake_server.h"

namespace nightjar::client {
namespace {

struct Played {
  bool good = false;
  std::string text;
  int64_t took_ms = 0;
};

Played Play(FakeServer& server, uint64_t seed) {
  std::ostringstream out;
  Terminal terminal(out, /*colours=*/false);
  Now now{.mono_ms = 1, .unix_ms = 1'700'000'000'000};
  OracleOptions judge;
  judge.presence = false;  // the fake server shows every change of presence at once
  Demo demo(
      WriteScript(seed), seed,
      [&](const auto& uid, const auto& device) { return server.MakeLink(uid, device); }, &terminal,
      judge);
  while (!demo.done()) {
    demo.Step(now);
    now.mono_ms += 10;
    now.unix_ms += 10;
  }
  Played run;
  run.good = demo.Conclude(now);
  run.text = out.str();
  run.took_ms = now.mono_ms;
  return run;
}

TEST(Demo, TellsItsStoryAndFindsEverythingDelivered) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    FakeServer server;
    const Played run = Play(server, seed);
    EXPECT_TRUE(run.good) << run.text;
    EXPECT_GE(run.took_ms, 15'000);
    EXPECT_LE(run.took_ms, 25'000);
    EXPECT_NE(run.text.find("bob loses the network"), std::string::npos);
    EXPECT_NE(run.text.find("bob gets what was missed, 6 messages"), std::string::npos);
    EXPECT_NE(run.text.find("✓✓ all 4"), std::string::npos);
    EXPECT_NE(run.text.find("○ bob is offline"), std::string::npos);
  }
}

TEST(Demo, TheSameSeedIsTheSameStory) {
  FakeServer one, two, three;
  EXPECT_EQ(Play(one, 4).text, Play(two, 4).text);
  EXPECT_NE(Play(one, 4).text, Play(three, 5).text);
}

TEST(Demo, FailsWithTheStoryWhenAMessageIsLost) {
  FakeServer server;
  server.forget_message = 1;
  const Played run = Play(server, 0);
  EXPECT_FALSE(run.good);
  EXPECT_NE(run.text.find("never came"), std::string::npos) << run.text;
}

}  // namespace
}  // namespace nightjar::client
