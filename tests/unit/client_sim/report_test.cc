// Reports: written and read again, bad files, several load processes added up.
#include "client-sim/report/report.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "client-sim/report/file.h"
#include "client-sim/report/json.h"
#include "client-sim/swarm/histogram.h"
#include "tests/unit/client_sim/report_sample.h"

namespace nightjar::report {
namespace {

std::string Refusal(const std::string& text) {
  const auto report = FromJson(text);
  return report.ok() ? "" : report.status().message();
}

TEST(ReportJson, ReadsWhatItWrote) {
  const Report report = SampleReport();
  const auto again = FromJson(ToJson(report, Detail::kForMerging));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(*again == report);
}

TEST(ReportJson, ForReadingLeavesOutOnlyTheBucketsOfSeconds) {
  Report report = SampleReport();
  const auto again = FromJson(ToJson(report));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_FALSE(*again == report);
  for (Second& second : report.series) {
    second.accepted_latency.buckets.clear();
    second.received_latency.buckets.clear();
  }
  EXPECT_TRUE(*again == report);
}

TEST(ReportJson, IsSilentAboutWhatItDoesNotKnow) {
  const auto report = FromJson(R"({"schema": "nightjar-sim-report/1", "title": "t", "new": [1],
                                   "phases": [{"name": "p", "later": {"a": null}}]})");
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->title, "t");
  ASSERT_EQ(report->phases.size(), 1u);
  EXPECT_EQ(report->phases[0].name, "p");
  EXPECT_EQ(report->load_processes, 1u);
}

TEST(ReportJson, SaysInOneLineWhatIsWrong) {
  const auto with = [](const std::string& fields) {
    return Refusal(R"({"schema": "nightjar-sim-report/1", )" + fields + "}");
  };
  EXPECT_EQ(Refusal(""), "not JSON, at byte 1");
  EXPECT_EQ(Refusal("{\"schema\": "), "not JSON, at byte 12");
  EXPECT_EQ(Refusal(std::string(100'000, '[')), "not JSON, at byte 100001");
  EXPECT_EQ(Refusal("[]"), "the report: not a JSON object");
  EXPECT_EQ(Refusal("{}"), "schema: missing: not a report of nightjar-sim");
  EXPECT_EQ(Refusal(R"({"schema": "nightjar-sim-report/2"})"),
            "schema: another one than this program reads (nightjar-sim-report/1)");
  EXPECT_EQ(with(R"("title": 1)"), "title: not a text");
  EXPECT_EQ(with(R"("phases": {})"), "phases: not a list");
  EXPECT_EQ(with(R"("phases": [{}, {"counts": {"sent": -1}}])"),
            "phases[1].counts.sent: not a whole number from 0 on");
  EXPECT_EQ(with(R"("phases": [{"counts": {"sent": 1.5}}])"),
            "phases[0].counts.sent: not a whole number from 0 on");
  EXPECT_EQ(with(R"("phases": [{"accepted": {"buckets": [[1]]}}])"),
            "phases[0].accepted.buckets[0]: not a pair [upper_ns, count]");
  EXPECT_EQ(with(R"("phases": [{"accepted": {"buckets": [[2, 1], [1, 1]]}}])"),
            "phases[0]: buckets that do not ascend");
  EXPECT_EQ(with(R"("phases": [{"cpu_us": {"redis": "1"}}])"),
            "phases[0].cpu_us.redis: not a whole number");
  EXPECT_EQ(with(R"("started_ms": 18446744073709551615)"), "started_ms: too large a number");
  EXPECT_EQ(with(R"("started_ms": -9000000000000000000)"), "started_ms: too large a number");
  EXPECT_EQ(with(R"("started_ms": 1e3)"), "started_ms: not a whole number");
  EXPECT_EQ(with(R"("series": [{"t_s": 1000000001}])"), "series[0]: t_s is beyond all runs");
  EXPECT_EQ(with(R"("series": [{"t_s": 2}, {"t_s": 2}])"), "series[1]: t_s does not ascend");
  EXPECT_EQ(with(R"("interrupted": 0)"), "interrupted: neither true nor false");
  EXPECT_EQ(with(R"("machine": [])"), "machine: not an object");
  EXPECT_EQ(with(R"("phases": [{"rate": "fast"}])"), "phases[0].rate: not a number");
}

TEST(ReportJson, BytesThatAreNoTextDoNotStopIt) {
  Report report;
  report.title = "a\xff\x80z";
  const auto again = FromJson(ToJson(report));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again->title, "a\xef\xbf\xbd\xef\xbf\xbdz");
}

TEST(ReportLatency, SummarisesAHistogram) {
  swarm::Histogram histogram;
  for (uint64_t i = 1; i <= 1000; ++i) histogram.Record(i * 1'000'000);
  const Latency latency = Summarise(histogram);
  EXPECT_EQ(latency.count, 1000u);
  EXPECT_NEAR(latency.p50_ms, 500, 5);
  EXPECT_NEAR(latency.p90_ms, 900, 9);
  EXPECT_NEAR(latency.p99_ms, 990, 10);
  EXPECT_NEAR(latency.p999_ms, 999, 10);
  EXPECT_EQ(latency.max_ms, 1000);
}

TEST(ReportLatency, AddsUpAsIfOneHistogramHadTakenAll) {
  swarm::Histogram all, even, odd;
  for (uint64_t i = 1; i <= 5000; ++i) {
    const uint64_t value = i * i * 100;
    all.Record(value);
    (i % 2 == 0 ? even : odd).Record(value);
  }
  Latency sum = Summarise(even);
  Merge(sum, Summarise(odd));
  EXPECT_TRUE(sum == Summarise(all));
}

TEST(ReportLatency, WithoutBucketsTellsTheLarger) {
  Latency sum = SampleLatency(1'000'000);
  Latency other = SampleLatency(2'000'000);
  other.buckets.clear();
  Merge(sum, other);
  EXPECT_EQ(sum.count, 200u);
  EXPECT_EQ(sum.p99_ms, other.p99_ms);
  EXPECT_TRUE(sum.buckets.empty());

  Latency none;
  Merge(none, SampleLatency(1'000'000));
  Merge(none, Latency{});
  EXPECT_TRUE(none == SampleLatency(1'000'000));
}

TEST(ReportMerge, AddsWhatEachDidAndCountsServersOnce) {
  Report sum = SampleReport();
  Report other = SampleReport();
  other.phases[0].cpu_us["mosquitto"] = 9900;
  other.series.push_back(other.series.back());
  other.series.back().t_s = 9;
  other.packets.push_back({"PINGREQ", true, 1, 2});
  other.judge.violations[0].what = "lost";
  Merge(sum, other);

  EXPECT_EQ(sum.load_processes, 4u);
  ASSERT_EQ(sum.phases.size(), 1u);
  const Phase& phase = sum.phases[0];
  EXPECT_EQ(phase.rate, 1000);
  EXPECT_EQ(phase.from_s, 3);
  EXPECT_EQ(phase.seconds, 2.5);
  EXPECT_EQ(phase.counts.accepted, 196u);
  EXPECT_EQ(phase.counts.others.at("resends"), 6u);
  EXPECT_EQ(phase.accepted.count, 200u);
  EXPECT_EQ(phase.cpu_us.at("mosquitto"), 9900);
  EXPECT_EQ(phase.load_cpu_us, 1960);
  ASSERT_EQ(sum.series.size(), 4u);
  EXPECT_EQ(sum.series[0].connected, 400u);
  EXPECT_EQ(sum.series[0].accepted_latency.count, 200u);
  EXPECT_EQ(sum.series[0].processes.at("redis").cpu_us, 50'000);
  EXPECT_EQ(sum.series[3].t_s, 9);
  EXPECT_EQ(sum.series[3].connected, 200u);
  EXPECT_EQ(sum.faults.size(), 2u);
  ASSERT_EQ(sum.packets.size(), 3u);
  EXPECT_EQ(sum.packets[0].bytes, 18'000u);
  EXPECT_EQ(sum.processes.size(), 2u);
  EXPECT_EQ(sum.idle.connections, 400u);
  EXPECT_DOUBLE_EQ(sum.idle.rss_bytes_per_connection.at("mosquitto"), 900.5 / 2);
  EXPECT_EQ(sum.judge.violation_count, 14u);
  EXPECT_EQ(sum.judge.violations.size(), 2u);
  EXPECT_EQ(sum.trouble_count, 2u);
}

TEST(ReportWhole, TellsCostsPerMessageOverAllPhases) {
  Report report = SampleReport();
  report.phases.push_back(report.phases[0]);
  report.phases[1].handled = 102;
  const Phase whole = Whole(report);
  EXPECT_EQ(whole.handled, 200u);
  EXPECT_EQ(whole.seconds, 5);
  EXPECT_EQ(whole.rate, 40);
  EXPECT_DOUBLE_EQ(CpuPerMessage(whole, "mosquitto"), 2 * 9800 / 200.0);
  EXPECT_DOUBLE_EQ(CpuPerMessage(whole), 2 * 14'700 / 200.0);
  EXPECT_DOUBLE_EQ(BytesPerMessage(whole), 2 * 29'400 / 200.0);
  EXPECT_EQ(CpuPerMessage(whole, "nobody"), 0);
  EXPECT_EQ(CpuPerMessage(Phase{}), 0);
}

TEST(ReportClean, OnlyIfNothingIsMissing) {
  EXPECT_TRUE(Clean(Report{}));
  EXPECT_FALSE(Clean(SampleReport()));
  Report report;
  report.phases.emplace_back().counts.unanswered = 1;
  EXPECT_FALSE(Clean(report));
}

class ReportFile : public ::testing::Test {
 protected:
  ReportFile() {
    char name[] = "/tmp/nightjar-report-test.XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~ReportFile() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  static std::string Content(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
};

TEST_F(ReportFile, IsReplacedAsAWhole) {
  const std::string path = Path("a.json");
  ASSERT_TRUE(WriteFile(path, "first").ok());
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  ASSERT_TRUE(WriteFile(path, "second").ok());
  EXPECT_EQ(Content(path), "second");
  struct stat there {};
  ASSERT_EQ(stat(path.c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 0777, 0640u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(ReportFile, ALinkStaysALink) {
  ASSERT_TRUE(WriteFile(Path("real"), "first").ok());
  std::filesystem::create_symlink("real", Path("link"));
  ASSERT_TRUE(WriteFile(Path("link"), "second").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link")));
  EXPECT_EQ(Content(Path("real")), "second");
}

TEST_F(ReportFile, ErrorsNameThePath) {
  EXPECT_EQ(WriteFile("/dev/full", "x").message(),
            "/dev/full: cannot write: No space left on device");
  EXPECT_EQ(WriteFile(Path("no/such"), "x").message(),
            Path("no/such") + ": cannot write: No such file or directory");
  EXPECT_EQ(WriteFile(Path(""), "x").message(), Path("") + ": cannot write: Is a directory");
  for (const std::string& path : {Path("no/such"), Path("")}) {
    EXPECT_EQ(CheckWritable(path).message(), WriteFile(path, "x").message());
  }
  EXPECT_TRUE(CheckWritable(Path("new")).ok());
  EXPECT_TRUE(CheckWritable("new-in-this-folder").ok());
  EXPECT_EQ(ReadReport(Path("none")).status().code(), Code::kNotFound);
  EXPECT_EQ(ReadReport(Path("")).status().message(), Path("") + ": cannot read: Is a directory");
  ASSERT_TRUE(WriteFile(Path("bad"), "{}").ok());
  EXPECT_EQ(ReadReport(Path("bad")).status().message(),
            Path("bad") + ": schema: missing: not a report of nightjar-sim");
  ASSERT_TRUE(WriteFile(Path("good"), ToJson(SampleReport(), Detail::kForMerging)).ok());
  const auto good = ReadReport(Path("good"));
  ASSERT_TRUE(good.ok()) << good.status().message();
  EXPECT_TRUE(*good == SampleReport());
}

}  // namespace
}  // namespace nightjar::report
