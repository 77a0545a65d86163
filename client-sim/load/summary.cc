#include "client-sim/load/summary.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

namespace nightjar::load {
namespace {

constexpr double kBusy = 0.1;  // of all cores
constexpr size_t kStories = 3;

void PrintLatency(std::ostream& out, const char* what, const report::Latency& latency) {
  if (latency.count == 0) return;
  fmt::print(out,
             "  send -> {:<10} p50 {:.2f}  p90 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} ms\n",
             what, latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms);
}

void PrintPhase(std::ostream& out, const report::Phase& phase) {
  const auto& counts = phase.counts;
  fmt::print(out,
             "{}: {:g}/s for {:.1f} s, {} messages: {} accepted, {} copies received, {} marked "
             "delivered, {} rejected, {} unanswered\n",
             phase.name, phase.rate, phase.seconds, counts.intended, counts.accepted,
             counts.received, counts.delivered, counts.rejected, counts.unanswered);
  PrintLatency(out, "accepted", phase.accepted);
  PrintLatency(out, "received", phase.received);
  PrintLatency(out, "delivered", phase.delivered);
  std::string cpu;
  for (const auto& [name, us] : phase.cpu_us) {
    cpu += fmt::format("{} {:.1f}, ", name, report::CpuPerMessage(phase, name));
  }
  fmt::print(out,
             "  CPU us a copy: {}simulator and judge {:.1f}; TCP payload {:.0f} bytes a copy\n",
             cpu, report::LoadCpuPerMessage(phase), report::BytesPerMessage(phase));
  if (!counts.others.empty()) {
    std::string others;
    for (const auto& [name, count] : counts.others) {
      others += fmt::format("{}{} {}", others.empty() ? "" : ", ", name, count);
    }
    fmt::print(out, "  {}\n", others);
  }
  if (phase.others_share > kBusy) {
    fmt::print(out,
               "  (other programs used {:.0f} % of the machine meanwhile: latencies say little)\n",
               phase.others_share * 100);
  }
}

}  // namespace

void PrintSummary(std::ostream& out, const report::Report& report) {
  if (report.interrupted) fmt::print(out, "interrupted before its end\n");
  for (const auto& phase : report.phases) PrintPhase(out, phase);
  if (report.idle.connections > 0) {
    fmt::print(out, "{} idle connections for {:g} s\n", report.idle.connections,
               report.idle.settle_s);
    for (const auto& [name, bytes] : report.idle.rss_bytes_per_connection) {
      fmt::print(out, "  {:<12} {:7.0f} bytes of RSS a connection, {:6.1f} us of CPU a login\n",
                 name, bytes, report.idle.cpu_us_per_login.at(name));
    }
  }
  fmt::print(out, "simulator: {:.1f} MB at most in {} process{}\n",
             static_cast<double>(report.load_rss_peak_bytes) / 1e6, report.load_processes,
             report.load_processes == 1 ? "" : "es");
  for (const auto& trouble : report.troubles) fmt::print(out, "trouble: {}\n", trouble);
  if (report.trouble_count > report.troubles.size()) {
    fmt::print(out, "trouble: and {} more\n", report.trouble_count - report.troubles.size());
  }
  if (!report.judge.judged) return;
  const auto& tally = report.judge.tally;
  const auto of = [&](const char* name) {
    const auto it = tally.find(name);
    return it == tally.end() ? 0 : it->second;
  };
  if (report.judge.violation_count == 0) {
    fmt::print(out,
               "judge: every promise kept: {} accepted, {} of {} deliveries, {} of {} marks, "
               "{} repeats, {} gaps, {} read back\n",
               of("accepted"), of("delivered"), of("owed"), of("marks"), of("marks_owed"),
               of("repeats"), of("gaps"), of("history_read"));
    return;
  }
  fmt::print(out, "judge: {} PROMISES BROKEN\n", report.judge.violation_count);
  for (size_t i = 0; i < report.judge.violations.size(); ++i) {
    const auto& violation = report.judge.violations[i];
    fmt::print(out, "{}: {}\n", violation.promise, violation.what);
    if (i < kStories && !violation.story.empty()) fmt::print(out, "{}\n", violation.story);
  }
}

}  // namespace nightjar::load
