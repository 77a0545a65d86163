#include "client-sim/chaos/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nightjar::chaos {
namespace {

using testing::HasSubstr;
using testing::Not;

report::Second At(int64_t t_s, uint64_t accepted, uint64_t backlog) {
  report::Second second;
  second.t_s = t_s;
  second.accepted = accepted;
  second.backlog = backlog;
  return second;
}

TEST(ChaosSummary, SilenceIsCountedOnlyWhileSomebodyWaits) {
  report::Report report;
  EXPECT_EQ(LongestSilence(report), 0);
  report.series = {At(0, 0, 5), At(1, 9, 0), At(2, 0, 3), At(3, 0, 7),
                   At(4, 8, 0), At(5, 0, 1), At(6, 1, 0), At(7, 0, 0)};
  EXPECT_EQ(LongestSilence(report), 2);
}

TEST(ChaosSummary, TableNamesEveryVictimWithItsLongestAbsence) {
  const std::string text = FaultTable(
      {{"redis", {.kills = 11, .pauses = 4, .stops = 1, .ended_by_itself = 2}}, {"b1", {}}},
      {{.from_s = 1, .to_s = 3.5, .process = "redis", .what = "kill -9"},
       {.from_s = 5, .to_s = 6, .process = "redis", .what = "pause"}});
  EXPECT_THAT(text, testing::ContainsRegex("redis +11 +4 +1 +2 +2.5 s\n"));
  EXPECT_THAT(text, testing::ContainsRegex("b1 +0 +0 +0 +0 +0.0 s\n"));
}

TEST(ChaosSummary, VerdictTellsTheStoriesOfTheFirstAndCountsTheRest) {
  report::Report report;
  report.judge.judged = true;
  EXPECT_THAT(VerdictLines(report, 1), HasSubstr("all promises held"));
  report.judge.violation_count = 3;
  report.judge.violations = {{"G1", "lost", "one\ntwo"}, {"G2", "doubled", "three"}};
  const std::string text = VerdictLines(report, 1);
  EXPECT_THAT(text, HasSubstr("BROKEN G1: lost\n    one\n    two\n... and 2 more\n"));
  EXPECT_THAT(text, Not(HasSubstr("held")));
  report.judge = {};
  EXPECT_THAT(VerdictLines(report, 1), HasSubstr("nobody judged"));
  report.judge.judged = true;
  report.trouble_count = 1;
  report.troubles = {"b1 ended by itself: signal 11"};
  EXPECT_THAT(VerdictLines(report, 1), HasSubstr("FOUND b1 ended by itself: signal 11\n"));
  EXPECT_THAT(VerdictLines(report, 1), Not(HasSubstr("held")));
}

}  // namespace
}  // namespace nightjar::chaos
