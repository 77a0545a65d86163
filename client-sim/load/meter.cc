#include "client-sim/load/meter.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "client-sim/swarm/probe.h"

namespace nightjar::load {
namespace {

constexpr size_t kMostTroubles = 20;

int64_t OwnCpuUs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 + usage.ru_utime.tv_usec +
         usage.ru_stime.tv_usec;
}

uint64_t Passed(int64_t from_ns, int64_t to_ns) {
  return static_cast<uint64_t>(std::max<int64_t>(to_ns - from_ns, 0));
}

}  // namespace

std::map<std::string, report::ProcessSecond> ProcessMeter::Sample(
    const std::vector<WatchedProcess>& watched) {
  std::map<std::string, report::ProcessSecond> samples;
  for (const auto& process : watched) {
    auto [it, fresh] = known_.try_emplace(process.name);
    Known& known = it->second;
    auto& sample = samples[process.name];
    const auto usage = swarm::UsageOf(process.pid);
    if (!usage.ok()) continue;
    if (known.pid != process.pid) {
      if (fresh) {
        known.total.name = process.name;
        known.cpu_us = usage->cpu_us;  // what it used before we came is not ours
      } else {
        ++known.total.starts;
        known.cpu_us = 0;
      }
      known.pid = process.pid;
    }
    sample.cpu_us = std::max<int64_t>(usage->cpu_us - known.cpu_us, 0);
    sample.rss_bytes = static_cast<uint64_t>(usage->rss_bytes);
    known.cpu_us = usage->cpu_us;
    known.total.cpu_us += sample.cpu_us;
    known.total.rss_peak_bytes = std::max(known.total.rss_peak_bytes, sample.rss_bytes);
  }
  return samples;
}

std::vector<report::Process> ProcessMeter::All() const {
  std::vector<report::Process> all;
  for (const auto& [name, known] : known_) all.push_back(known.total);
  return all;
}

Meter::Meter(int64_t start_ns) : start_ns_(start_ns), second_from_ns_(start_ns) {}

Meter::Live* Meter::PhaseOf(int64_t intended_ns) {
  for (auto it = phases_.rbegin(); it != phases_.rend(); ++it) {
    if (intended_ns >= it->from_ns) return intended_ns < it->until_ns ? &*it : nullptr;
  }
  return nullptr;
}

void Meter::Open(const std::string& name, double rate, int64_t from_ns, int64_t until_ns) {
  Live live;
  live.phase.name = name;
  live.phase.rate = rate;
  live.phase.from_s = static_cast<double>(from_ns - start_ns_) / 1e9;
  live.from_ns = from_ns;
  live.until_ns = until_ns;
  phases_.push_back(std::move(live));
}

void Meter::TakeSample(const Gauges& gauges) {
  for (const auto& [name, sample] : processes_.Sample(gauges.watched)) {
    auto& of_second = second_.processes[name];
    of_second.cpu_us += sample.cpu_us;
    of_second.rss_bytes = sample.rss_bytes;
    if (!phases_.empty() && phases_.back().costs_run) {
      phases_.back().phase.cpu_us[name] += sample.cpu_us;
    }
  }
  if (const auto own = swarm::UsageOf(getpid()); own.ok()) {
    own_rss_peak_ = std::max(own_rss_peak_, static_cast<uint64_t>(own->rss_bytes));
  }
}

void Meter::CostsFrom(int64_t now_ns, const Gauges& gauges) {
  TakeSample(gauges);
  Live& live = phases_.back();
  live.costs_run = true;
  live.own_us = OwnCpuUs();
  live.machine_us = swarm::MachineBusyUs();
  live.bytes_up = gauges.bytes_up;
  live.bytes_down = gauges.bytes_down;
  live.others_before = totals_.others;
  live.phase.seconds = -static_cast<double>(now_ns) / 1e9;
  live.phase.handled = totals_.received;
}

void Meter::CostsTo(int64_t now_ns, const Gauges& gauges) {
  TakeSample(gauges);
  Live& live = phases_.back();
  report::Phase& phase = live.phase;
  live.costs_run = false;
  live.until_ns = std::min(live.until_ns, now_ns);
  phase.load_cpu_us = OwnCpuUs() - live.own_us;
  phase.seconds += static_cast<double>(now_ns) / 1e9;
  phase.handled = totals_.received - phase.handled;
  phase.bytes_up = gauges.bytes_up - live.bytes_up;
  phase.bytes_down = gauges.bytes_down - live.bytes_down;
  int64_t ours = phase.load_cpu_us;
  for (const auto& [name, cpu_us] : phase.cpu_us) ours += cpu_us;
  const double all = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN)) * 1e6 * phase.seconds;
  const auto others = static_cast<double>(swarm::MachineBusyUs() - live.machine_us - ours);
  phase.others_share = all > 0 ? std::max(0.0, others / all) : 0;
  for (const auto& [name, count] : totals_.others) {
    if (const uint64_t more = count - live.others_before[name]; more > 0) {
      phase.counts.others[name] = more;
    }
  }
}

void Meter::Intended(int64_t intended_ns) {
  ++totals_.intended;
  if (Live* live = PhaseOf(intended_ns)) ++live->phase.counts.intended;
}

bool Meter::Complete() const {
  if (phases_.empty()) return true;
  const auto& counts = phases_.back().phase.counts;
  return counts.accepted + counts.rejected >= counts.intended &&
         counts.received >= phases_.back().copies_owed;
}

void Meter::Sent(int64_t intended_ns) {
  ++totals_.sent;
  ++second_.sent;
  if (Live* live = PhaseOf(intended_ns)) ++live->phase.counts.sent;
}

void Meter::Accepted(int64_t intended_ns, int64_t now_ns, uint32_t copies) {
  ++totals_.accepted;
  ++second_.accepted;
  copies_owed_ += copies;
  const uint64_t took = Passed(intended_ns, now_ns);
  second_accepted_.Record(took);
  Live* live = PhaseOf(intended_ns);
  if (live == nullptr) return;
  ++live->phase.counts.accepted;
  live->copies_owed += copies;
  live->accepted.Record(took);
}

void Meter::Received(int64_t intended_ns, int64_t now_ns, bool waited) {
  ++totals_.received;
  ++second_.received;
  const uint64_t took = Passed(intended_ns, now_ns);
  if (waited) second_received_.Record(took);
  Live* live = PhaseOf(intended_ns);
  if (live == nullptr) return;
  ++live->phase.counts.received;
  if (waited) live->received.Record(took);
}

void Meter::Delivered(int64_t intended_ns, int64_t now_ns) {
  ++totals_.delivered;
  ++second_.delivered;
  Live* live = PhaseOf(intended_ns);
  if (live == nullptr) return;
  ++live->phase.counts.delivered;
  live->delivered.Record(Passed(intended_ns, now_ns));
}

void Meter::Rejected(int64_t intended_ns) {
  ++totals_.rejected;
  ++second_.rejected;
  if (Live* live = PhaseOf(intended_ns)) ++live->phase.counts.rejected;
}

void Meter::Count(const char* what) { ++totals_.others[what]; }

void Meter::Trouble(const std::string& what) {
  ++trouble_count_;
  if (troubles_.size() < kMostTroubles) troubles_.push_back(what);
}

void Meter::Second(int64_t now_ns, const Gauges& gauges) {
  TakeSample(gauges);
  second_.t_s = (second_from_ns_ - start_ns_) / kSecond;
  second_.connected = gauges.connected;
  second_.backlog = backlog();
  second_.accepted_latency = report::Summarise(second_accepted_);
  second_.received_latency = report::Summarise(second_received_);
  second_.bytes_up = gauges.bytes_up - std::exchange(second_bytes_up_, gauges.bytes_up);
  second_.bytes_down = gauges.bytes_down - std::exchange(second_bytes_down_, gauges.bytes_down);
  series_.push_back(std::move(second_));
  second_ = {};
  second_accepted_.Clear();
  second_received_.Clear();
  // Whole seconds since the start; a loop that was held up skips some.
  second_from_ns_ = start_ns_ + (now_ns - start_ns_) / kSecond * kSecond;
}

void Meter::Fill(report::Report& report) const {
  report.phases.clear();
  for (const auto& live : phases_) {
    report::Phase phase = live.phase;
    phase.accepted = report::Summarise(live.accepted);
    phase.received = report::Summarise(live.received);
    phase.delivered = report::Summarise(live.delivered);
    phase.counts.unanswered = phase.counts.sent - phase.counts.accepted - phase.counts.rejected;
    phase.counts.others["copies_owed"] = live.copies_owed;
    report.phases.push_back(std::move(phase));
  }
  report.series = series_;
  report.processes = processes_.All();
  report.load_rss_peak_bytes = own_rss_peak_;
  report.trouble_count = trouble_count_;
  report.troubles = troubles_;
}

}  // namespace nightjar::load
