// Two reports beside each other.
#include "client-sim/report/compare.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/client_sim/report_sample.h"

namespace nightjar::report {
namespace {

bool Says(const Comparison& comparison, const std::string& part) {
  return comparison.text.find(part) != std::string::npos;
}

TEST(ReportCompare, TheSameIsNeverTooMuch) {
  Report report = SampleReport();
  const auto same = Compare(report, report, 0.0);
  EXPECT_FALSE(Says(same, "worse"));
  EXPECT_FALSE(Says(same, "better"));
  EXPECT_FALSE(Says(same, "differ"));
  EXPECT_TRUE(same.too_much.empty());
}

TEST(ReportCompare, MarksWhatIsWorseAndWhatIsTooMuch) {
  const Report a = SampleReport();
  Report b = a;
  b.options["rate"] = "600";
  b.options.erase("profile");
  b.phases[0].accepted = SampleLatency(1'200'000);
  b.phases[0].cpu_us["redis"] = 2450;
  const auto told = Compare(a, b);
  EXPECT_TRUE(Says(told, "500 -> 600"));
  EXPECT_TRUE(Says(told, "pairs -> -"));
  EXPECT_TRUE(Says(told, "1.20  worse"));
  EXPECT_TRUE(Says(told, "0.50  better"));
  EXPECT_TRUE(told.too_much.empty());
  EXPECT_TRUE(Compare(a, b, 0.25).too_much.empty());
  const auto limited = Compare(a, b, 0.1);
  ASSERT_EQ(limited.too_much.size(), 1u);
  EXPECT_EQ(limited.too_much[0], "500/s: accepted p99 ms from 8.00 to 9.60, +20.0 %");
  EXPECT_TRUE(Says(limited, "TOO MUCH"));
}

TEST(ReportCompare, CpuOfAllServersCounts) {
  const Report a = SampleReport();
  Report b = a;
  b.phases[0].cpu_us["mosquitto"] *= 2;
  ASSERT_EQ(Compare(a, b, 0.5).too_much.size(), 1u);
  EXPECT_TRUE(Compare(b, a, 0.5).too_much.empty());
}

TEST(ReportCompare, APromiseBrokenOnlyInTheSecondIsTooMuch) {
  const Report b = SampleReport();
  Report a = b;
  a.judge.violation_count = 0;
  a.judge.violations.clear();
  EXPECT_EQ(Compare(a, b, 10).too_much.size(), 1u);
  EXPECT_TRUE(Compare(b, a, 10).too_much.empty());
  EXPECT_TRUE(Says(Compare(a, b), "all promises kept"));
  EXPECT_TRUE(Says(Compare(a, b), "shown twice"));
}

TEST(ReportCompare, NothingToCompareIsNotAPass) {
  EXPECT_EQ(Compare(Report{}, Report{}, 0.1).too_much.size(), 1u);
  EXPECT_TRUE(Compare(Report{}, Report{}).too_much.empty());
}

TEST(ReportCompare, PhasesAreMatchedByName) {
  const Report a = SampleReport();
  Report b = a;
  b.phases[0].name = "other";
  EXPECT_TRUE(Says(Compare(a, b), "the whole runs"));
  b.phases.push_back(a.phases[0]);
  EXPECT_TRUE(Says(Compare(a, b), "only in B: other"));
  EXPECT_FALSE(Says(Compare(a, b), "the whole runs"));
}

TEST(ReportCompare, TextsStayOnTheirLine) {
  Report a = SampleReport();
  a.title = "x\n\x1b[2J";
  EXPECT_FALSE(Says(Compare(a, a), "\x1b"));
}

}  // namespace
}  // namespace nightjar::report
