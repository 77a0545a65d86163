#include "common/base/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

namespace nightjar::log {
namespace {

std::string Captured(Level lowest, void (*write)()) {
  testing::internal::CaptureStderr();
  Start("persister", lowest);
  write();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesTimeLevelComponentAndEventInOneLine) {
  const std::string line = Captured(Level::kInfo, [] { Warning("journal {} is behind", 7); });
  EXPECT_TRUE(std::regex_match(
      line, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning persister: journal 7 is behind\n)")))
      << line;
}

TEST(Log, LeavesOutWhatIsBelowTheLevel) {
  EXPECT_EQ(Captured(Level::kWarning, [] { Notice("nothing"); }), "");
  EXPECT_NE(Captured(Level::kNotice, [] { Notice("something"); }), "");
}

TEST(Log, CannotBeMadeToForgeALine) {
  const std::string line =
      Captured(Level::kInfo, [] { Error("from {}", "eve\n2026 error hub: all is lost\x1b[2J"); });
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

TEST(Log, TakesTextWithBracesAsItIs) {
  const std::string line = Captured(Level::kInfo, [] { Line(Level::kInfo, "{} {0} {"); });
  EXPECT_NE(line.find("info persister: {} {0} {\n"), std::string::npos) << line;
}

TEST(Log, KnowsItsLevelsByName) {
  EXPECT_EQ(ParseLevel("debug"), Level::kDebug);
  EXPECT_EQ(ParseLevel("error"), Level::kError);
  EXPECT_EQ(ParseLevel("Error"), std::nullopt);
  EXPECT_EQ(ParseLevel(""), std::nullopt);
}

}  // namespace
}  // namespace nightjar::log
