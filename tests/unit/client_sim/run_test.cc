// Load runs that end before they began, and say so. The brokers are nowhere.
#include "client-sim/load/run.h"

#include <gtest/gtest.h>

namespace nightjar::load {
namespace {

RunOptions Options() {
  RunOptions options;
  options.profile.users = 4;
  options.brokers = {{"nowhere", "127.0.0.1", 1}};
  options.bare = true;  // needs no keys
  return options;
}

TEST(RunTest, InterruptedWhileConnectingNothingIsProven) {
  RunOptions options = Options();
  options.stop = [] { return true; };
  load::Run run(std::move(options));
  const Status ran = run.Go();
  EXPECT_EQ(ran.code(), Code::kUnavailable);
  EXPECT_NE(ran.message().find("nothing is proven"), std::string::npos) << ran.message();
  EXPECT_NE(run.exit_code(), 0);
}

TEST(RunTest, ADrainThatEndsBeforeHalfOpenLinesAreNoticedIsRefusedWhereItIsJudged) {
  RunOptions options = Options();
  options.bare = false;
  options.profile.line = "lan:0.5,wifi-flaky:0.5";
  options.profile.keep_alive = 20;
  options.profile.drain = 29;
  const Status ran = load::Run(options).Go();
  EXPECT_EQ(ran.code(), Code::kInvalidArgument);
  EXPECT_NE(ran.message().find("drain: 29 s"), std::string::npos) << ran.message();

  options.stop = [] { return true; };
  options.profile.drain = 30;
  EXPECT_EQ(load::Run(options).Go().message().find("drain"), std::string::npos);
  options.profile.drain = 29;
  options.profile.judge = false;
  EXPECT_EQ(load::Run(options).Go().message().find("drain"), std::string::npos);
  options.profile.judge = true;
  options.profile.line = "edge";  // breaks, but nobody is left in the dark
  EXPECT_EQ(load::Run(options).Go().message().find("drain"), std::string::npos);
}

}  // namespace
}  // namespace nightjar::load
