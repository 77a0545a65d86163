// The page of a report: whatever texts a report holds, they stay texts; and it needs nothing else.
#include "client-sim/report/html.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "client-sim/report/charts.h"
#include "client-sim/report/figures.h"
#include "tests/unit/client_sim/report_sample.h"

namespace nightjar::report {
namespace {

size_t Times(const std::string& text, const std::string& part) {
  size_t times = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++times;
  return times;
}

// Puts a text wherever a report has one.
Report Hostile(const std::string& text) {
  Report report = SampleReport();
  report.title = report.command = text;
  report.machine = {{text, text}};
  report.options = {{text, text}};
  report.phases[0].name = text;
  report.phases[0].counts.others = {{text, 1}};
  report.phases[0].cpu_us = {{text, 1}};
  for (Second& second : report.series) second.processes = {{text, {1, 1}}};
  for (Fault& fault : report.faults) fault.process = fault.what = text;
  for (PacketKind& kind : report.packets) kind.name = text;
  for (Process& process : report.processes) process.name = text;
  report.idle.rss_bytes_per_connection = {{text, 1}};
  report.idle.cpu_us_per_login = {{text, 1}};
  report.judge.violations = {{text, text, text}};
  report.judge.tally = {{text, 1}};
  report.troubles = {text};
  return report;
}

TEST(ReportHtml, NoTextOfTheReportBreaksOut) {
  const std::string plain = ToHtml(Hostile("harmless"));
  for (const std::string text :
       {"</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><b>x</b>",
        "' onload='alert(1)", "<!--", "]]></style><svg onload=alert(1)>", "</title><h1>"}) {
    const std::string page = ToHtml(Hostile(text));
    // As many elements as with a harmless text: it made none and ended none.
    EXPECT_EQ(Times(page, "<"), Times(plain, "<")) << text;
    EXPECT_EQ(Times(page, ">"), Times(plain, ">")) << text;
    EXPECT_EQ(Times(page, "\"><"), Times(plain, "\"><")) << text;
  }
}

TEST(ReportHtml, BytesThatAreNoTextDoNotStopIt) {
  const std::string page = ToHtml(Hostile("\xff\xfe\x01\x1b[31m"));
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
  EXPECT_EQ(page.find('\x01'), std::string::npos);
}

TEST(ReportHtml, NeedsNothingFromOutside) {
  const std::string page = ToHtml(SampleReport());
  for (const char* loads : {"src=", "href=", "@import", "url(", "fetch(", "XMLHttpRequest"}) {
    EXPECT_EQ(page.find(loads), std::string::npos) << loads;
  }
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(page.find("unsafe-inline"), std::string::npos);
  // A hash in the policy lets no attribute run or style anything.
  EXPECT_FALSE(std::regex_search(page, std::regex("<[a-z][^>]* (on[a-z]+|style)=")));
}

TEST(ReportHtml, TellsWhatTheReportSays) {
  const std::string page = ToHtml(SampleReport());
  for (const char* part : {"pairs at 500/s", "shown twice", "first\nthen", "SIGSTOP", "kill -9",
                           "nightjar-sim load --profile pairs", "18446744073709551615",
                           "PUBLISH send", "u1: refused", "interrupted"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
  EXPECT_NE(ToHtml(Report{}).find("not judged"), std::string::npos);
}

TEST(ReportCharts, LongRunsAreToldInSteps) {
  Report report;
  for (int64_t t = 0; t < 10'000; ++t) {
    Second second;
    second.t_s = t;
    second.sent = 10;
    second.connected = static_cast<uint64_t>(t);
    second.accepted_latency = SampleLatency(t == 5001 ? 900'000'000 : 1'000'000);
    report.series.push_back(second);
  }
  const Charts charts = MakeCharts(report, 1200);
  EXPECT_EQ(charts.step_s, 10);
  ASSERT_EQ(charts.t_s.size(), 1000u);
  ASSERT_EQ(charts.charts.size(), 3u);
  EXPECT_EQ(charts.charts[0].title, "Latency");
  // The worst second is not averaged away.
  EXPECT_GT(*charts.charts[0].lines[1].values[500], 1000);
  EXPECT_LT(*charts.charts[0].lines[1].values[501], 100);
  EXPECT_EQ(charts.charts[1].lines[0].values[0], 10);
  EXPECT_EQ(charts.charts[2].lines[0].values[0], 9);
}

TEST(ReportCharts, SecondsWithoutMeasurementAreHoles) {
  Report report = SampleReport();
  report.series[1].accepted_latency = {};
  const Charts charts = MakeCharts(report, 100);
  EXPECT_TRUE(charts.charts[0].lines[0].values[0].has_value());
  EXPECT_FALSE(charts.charts[0].lines[0].values[1].has_value());
  EXPECT_TRUE(MakeCharts(Report{}, 100).charts.empty());
}

TEST(ReportFigures, AreShort) {
  EXPECT_EQ(Count(1'234'567), "1,234,567");
  EXPECT_EQ(Count(999), "999");
  EXPECT_EQ(Figure(0), "0");
  EXPECT_EQ(Figure(0.0123), "0.012");
  EXPECT_EQ(Figure(1.234), "1.23");
  EXPECT_EQ(Figure(9.999), "10.0");
  EXPECT_EQ(Figure(12'345.6), "12,346");
  EXPECT_EQ(Figure(-2), "-2.00");
  EXPECT_EQ(Duration(125), "2 min 5 s");
  EXPECT_EQ(UtcTime(0), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(OneLine("a\x1b[31m\nb"), "a?[31m?b");
}

}  // namespace
}  // namespace nightjar::report
