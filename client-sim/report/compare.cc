#include "client-sim/report/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "client-sim/report/figures.h"

namespace nightjar::report {
namespace {

constexpr double kNoise = 0.05;  // smaller differences are not called better or worse
constexpr int kNameWidth = 34;

// Cut or filled to `width` columns, which in UTF-8 are not bytes.
std::string Fit(const std::string& text, size_t width) {
  const std::string line = OneLine(text);
  size_t columns = 0, at = 0;
  for (; at < line.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(line[at]) & 0xc0) != 0x80;
    if (begins && ++columns > width) break;
  }
  return line.substr(0, at) + std::string(width - std::min(columns, width), ' ');
}

class Comparer {
 public:
  explicit Comparer(std::optional<double> fail_over) : fail_over_(fail_over) {}

  Comparison Run(const Report& a, const Report& b) {
    Heads(a, b);
    Maps("options that differ", a.options, b.options);
    Maps("machines that differ", a.machine, b.machine);
    Phases(a, b);
    Processes(a, b);
    IdleRuns(a.idle, b.idle);
    Judges(a, b);
    if (fail_over_ && !compared_) {
      done_.too_much.push_back("neither a p99 nor a CPU time is in both: nothing was checked");
    }
    return std::move(done_);
  }

 private:
  enum class Kind { kCount, kFigure };
  enum class Check { kNo, kYes };  // whether --fail-over looks at it

  template <typename... Args>
  void Say(fmt::format_string<Args...> format, Args&&... args) {
    done_.text += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  void Heads(const Report& a, const Report& b) {
    for (const auto& [name, report] : {std::pair{"A", &a}, std::pair{"B", &b}}) {
      Say("{}  {}, {}, seed {}{}", name, OneLine(report->title), UtcTime(report->started_ms),
          report->seed, report->interrupted ? ", interrupted" : "");
    }
  }

  void Maps(const char* title, const std::map<std::string, std::string>& a,
            const std::map<std::string, std::string>& b) {
    std::set<std::string> names;
    for (const auto& [name, value] : a) names.insert(name);
    for (const auto& [name, value] : b) names.insert(name);
    bool first = true;
    for (const std::string& name : names) {
      const auto left = a.find(name), right = b.find(name);
      if (left != a.end() && right != b.end() && left->second == right->second) continue;
      if (std::exchange(first, false)) Say("\n{}:", title);
      Say("  {} {} -> {}", Fit(name, kNameWidth), left == a.end() ? "-" : OneLine(left->second),
          right == b.end() ? "-" : OneLine(right->second));
    }
  }

  void Phases(const Report& a, const Report& b) {
    std::vector<bool> taken(b.phases.size());
    std::vector<std::pair<const Phase*, const Phase*>> pairs;
    std::vector<std::string> alone;
    for (const Phase& phase : a.phases) {
      const Phase* same = nullptr;
      for (size_t i = 0; i < b.phases.size() && same == nullptr; ++i) {
        if (taken[i] || b.phases[i].name != phase.name) continue;
        taken[i] = true;
        same = &b.phases[i];
      }
      if (same != nullptr) {
        pairs.emplace_back(&phase, same);
      } else {
        alone.push_back("A: " + OneLine(phase.name));
      }
    }
    for (size_t i = 0; i < b.phases.size(); ++i) {
      if (!taken[i]) alone.push_back("B: " + OneLine(b.phases[i].name));
    }
    for (const auto& [left, right] : pairs) {
      if (Talked(*left) || Talked(*right)) OnePhase(left->name, *left, *right);
    }
    if (pairs.empty() && !a.phases.empty() && !b.phases.empty()) {
      OnePhase("the whole runs (no phase is in both)", Whole(a), Whole(b));
    } else if (!alone.empty()) {
      Say("\nonly in {}", fmt::join(alone, ", only in "));
    }
  }

  // Connecting, or a wait: there is nothing to compare.
  static bool Talked(const Phase& phase) {
    return phase.counts.intended > 0 || phase.handled > 0 || phase.accepted.count > 0;
  }

  void OnePhase(const std::string& name, const Phase& a, const Phase& b) {
    phase_ = OneLine(name);
    Say("\n{} {:>12} {:>12} {:>8}", Fit(name, kNameWidth + 2), "A", "B", "B/A");
    Talk(a, b);
    Latencies("accepted", a.accepted, b.accepted);
    Latencies("received", a.received, b.received);
    Latencies("delivered", a.delivered, b.delivered);
    Costs(a, b);
  }

  void Talk(const Phase& a, const Phase& b) {
    const auto count = [this](const char* name, uint64_t left, uint64_t right, bool less = false) {
      Row(name, static_cast<double>(left), static_cast<double>(right), Kind::kCount, less);
    };
    count("messages intended", a.counts.intended, b.counts.intended);
    count("accepted", a.counts.accepted, b.counts.accepted);
    count("received", a.counts.received, b.counts.received);
    count("delivered", a.counts.delivered, b.counts.delivered);
    count("rejected", a.counts.rejected, b.counts.rejected, true);
    count("unanswered", a.counts.unanswered, b.counts.unanswered, true);
    std::set<std::string> names;
    for (const auto& [name, value] : a.counts.others) names.insert(name);
    for (const auto& [name, value] : b.counts.others) names.insert(name);
    for (const std::string& name : names) {
      const auto left = a.counts.others.find(name), right = b.counts.others.find(name);
      count(name.c_str(), left == a.counts.others.end() ? 0 : left->second,
            right == b.counts.others.end() ? 0 : right->second);
    }
  }

  void Latencies(const std::string& name, const Latency& a, const Latency& b) {
    if (a.count == 0 && b.count == 0) return;
    if (a.count == 0 || b.count == 0) {
      Say("  {} only in {}", Fit(name + " latency", kNameWidth), a.count == 0 ? "B" : "A");
      return;
    }
    for (const auto& [quantile, member] :
         {std::pair{"p50", &Latency::p50_ms}, std::pair{"p90", &Latency::p90_ms},
          std::pair{"p99", &Latency::p99_ms}, std::pair{"p99.9", &Latency::p999_ms},
          std::pair{"max", &Latency::max_ms}}) {
      Row(fmt::format("{} {} ms", name, quantile), a.*member, b.*member, Kind::kFigure, true,
          member == &Latency::p99_ms ? Check::kYes : Check::kNo);
    }
  }

  void Costs(const Phase& a, const Phase& b) {
    std::set<std::string> names;
    for (const auto& [name, cpu] : a.cpu_us) names.insert(name);
    for (const auto& [name, cpu] : b.cpu_us) names.insert(name);
    for (const std::string& name : names) {
      Row("CPU " + name + " us/copy", CpuPerMessage(a, name), CpuPerMessage(b, name), Kind::kFigure,
          true);
    }
    if (!a.cpu_us.empty() && !b.cpu_us.empty()) {
      Row("CPU all servers us/copy", CpuPerMessage(a), CpuPerMessage(b), Kind::kFigure, true,
          Check::kYes);
    }
    Row("CPU load generator us/copy", LoadCpuPerMessage(a), LoadCpuPerMessage(b), Kind::kFigure,
        true);
    Row("bytes/copy", BytesPerMessage(a), BytesPerMessage(b), Kind::kFigure, true);
  }

  void Processes(const Report& a, const Report& b) {
    bool first = true;
    for (const Process& left : a.processes) {
      const auto right =
          std::find_if(b.processes.begin(), b.processes.end(),
                       [&left](const Process& process) { return process.name == left.name; });
      if (right == b.processes.end()) continue;
      if (std::exchange(first, false)) {
        Say("\n{} {:>12} {:>12} {:>8}", Fit("most memory of", kNameWidth + 2), "A", "B", "B/A");
      }
      Row(left.name + " MB", static_cast<double>(left.rss_peak_bytes) / 1e6,
          static_cast<double>(right->rss_peak_bytes) / 1e6, Kind::kFigure, true);
    }
  }

  void IdleRuns(const Idle& a, const Idle& b) {
    if (a.connections == 0 || b.connections == 0) return;
    Say("\n{} {:>12} {:>12} {:>8}", Fit("connections that do nothing", kNameWidth + 2), "A", "B",
        "B/A");
    Row("connections", static_cast<double>(a.connections), static_cast<double>(b.connections),
        Kind::kCount, false);
    for (const auto& [name, bytes] : a.rss_bytes_per_connection) {
      const auto other = b.rss_bytes_per_connection.find(name);
      if (other == b.rss_bytes_per_connection.end()) continue;
      Row(name + " bytes each", bytes, other->second, Kind::kFigure, true);
    }
  }

  void Judges(const Report& a, const Report& b) {
    const auto told = [](const Verdict& judge) {
      return !judge.judged                ? std::string("not judged")
             : judge.violation_count == 0 ? std::string("all promises kept")
                                          : Count(judge.violation_count) + " broken";
    };
    Say("\njudge: A {}, B {}", told(a.judge), told(b.judge));
    if (b.judge.violation_count > 0) {
      for (size_t i = 0; i < std::min<size_t>(b.judge.violations.size(), 5); ++i) {
        Say("  B {} {}", OneLine(b.judge.violations[i].promise),
            OneLine(b.judge.violations[i].what));
      }
      if (fail_over_ && a.judge.violation_count == 0) {
        done_.too_much.push_back("promises are broken in B that A kept");
      }
    }
  }

  // `less`: less is better. Without it nothing is said about better or worse.
  void Row(const std::string& name, double a, double b, Kind kind, bool less,
           Check check = Check::kNo) {
    if (a == 0 && b == 0) return;
    const auto figure = [kind](double value) {
      return kind == Kind::kCount ? Count(static_cast<uint64_t>(value)) : Figure(value);
    };
    const std::string ratio = a == 0 ? "new" : b == 0 ? "gone" : fmt::format("{:.2f}", b / a);
    std::string mark;
    if (less && b > a * (1 + kNoise)) mark = "  worse";
    if (less && b < a * (1 - kNoise)) mark = "  better";
    if (check == Check::kYes && a > 0 && b > 0) {
      compared_ = true;
      if (fail_over_ && b > a * (1 + *fail_over_)) {
        mark = "  TOO MUCH";
        done_.too_much.push_back(fmt::format("{}: {} from {} to {}, {:+.1f} %", phase_, name,
                                             figure(a), figure(b), (b / a - 1) * 100));
      }
    }
    Say("  {} {:>12} {:>12} {:>8}{}", Fit(name, kNameWidth), figure(a), figure(b), ratio, mark);
  }

  const std::optional<double> fail_over_;
  std::string phase_;
  bool compared_ = false;
  Comparison done_;
};

}  // namespace

Comparison Compare(const Report& a, const Report& b, std::optional<double> fail_over) {
  return Comparer(fail_over).Run(a, b);
}

}  // namespace nightjar::report
