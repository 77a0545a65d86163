#include "client-sim/chaos/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace nightjar::chaos {
namespace {

uint64_t Tally(const report::Report& report, const std::string& name) {
  const auto found = report.judge.tally.find(name);
  return found == report.judge.tally.end() ? 0 : found->second;
}

double LongestAway(const std::string& name, const std::vector<report::Fault>& faults) {
  double longest = 0;
  for (const report::Fault& fault : faults) {
    if (fault.process == name) longest = std::max(longest, fault.to_s - fault.from_s);
  }
  return longest;
}

std::string Indented(const std::string& text, std::string_view margin) {
  std::string lines;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines += fmt::format("{}{}\n", margin, text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

std::string FaultTable(const std::vector<Victim>& victims,
                       const std::vector<report::Fault>& faults) {
  std::string text = fmt::format("{:<12}{:>8}{:>8}{:>12}{:>12}{:>15}\n", "process", "kill -9",
                                 "paused", "clean stop", "by itself", "longest away");
  for (const Victim& victim : victims) {
    const Injector::Counts& counts = victim.counts;
    text += fmt::format("{:<12}{:>8}{:>8}{:>12}{:>12}{:>13.1f} s\n", victim.name, counts.kills,
                        counts.pauses, counts.stops, counts.ended_by_itself,
                        LongestAway(victim.name, faults));
  }
  return text;
}

int64_t LongestSilence(const report::Report& report) {
  int64_t longest = 0, run = 0;
  bool begun = false;
  for (const report::Second& second : report.series) {
    begun = begun || second.accepted > 0;
    const bool silent = begun && second.accepted == 0 && second.backlog > 0;
    run = silent ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

std::string MessageLines(const report::Report& report) {
  // An author who is away waits until the return, however well the servers are; a reader's wait is
  // measured only while connected, and so shows how long the servers were of no use.
  const report::Phase whole = report::Whole(report);
  return fmt::format(
      "messages    {} written, {} accepted, {} finally refused, {} unanswered\n"
      "copies      {} owed to devices, {} delivered; {} repeats recognised, {} gaps healed, {} "
      "resyncs\n"
      "marks       {} owed, {} there; presence shown {} times; {} messages of history compared\n"
      "outage      {:.1f} s the longest wait of a connected reader; {} s in a row nobody was "
      "answered\n"
      "answers     after {:.2f} s (p50), {:.1f} s (p99), {:.1f} s (longest), times away included\n",
      Tally(report, "written"), Tally(report, "accepted"), Tally(report, "refused"),
      Tally(report, "unanswered"), Tally(report, "owed"), Tally(report, "delivered"),
      Tally(report, "repeats"), Tally(report, "gaps"), Tally(report, "resyncs"),
      Tally(report, "marks_owed"), Tally(report, "marks"), Tally(report, "presence"),
      Tally(report, "history_read"), whole.received.max_ms / 1000, LongestSilence(report),
      whole.accepted.p50_ms / 1000, whole.accepted.p99_ms / 1000, whole.accepted.max_ms / 1000);
}

std::string VerdictLines(const report::Report& report, size_t most) {
  std::string text;
  const report::Verdict& judge = report.judge;
  for (size_t i = 0; i < std::min(most, judge.violations.size()); ++i) {
    const report::Violation& violation = judge.violations[i];
    text += fmt::format("BROKEN {}: {}\n", violation.promise, violation.what);
    text += Indented(violation.story, "    ");
  }
  if (judge.violation_count > most) {
    text += fmt::format("... and {} more\n", judge.violation_count - most);
  }
  for (const std::string& trouble : report.troubles) text += fmt::format("FOUND {}\n", trouble);
  if (!judge.judged) return text + "verdict     nobody judged\n";
  if (judge.violation_count == 0 && report.trouble_count == 0) {
    return text + "verdict     all promises held\n";
  }
  return text + fmt::format("verdict     broken promises: {}, other findings: {}\n",
                            judge.violation_count, report.trouble_count);
}

}  // namespace nightjar::chaos
