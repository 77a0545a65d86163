#include "client-sim/report/report.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace nightjar::report {
namespace {

template <typename T>
void AddEach(std::map<std::string, T>& into, const std::map<std::string, T>& other) {
  for (const auto& [name, value] : other) into[name] += value;
}

template <typename T>
void LargerEach(std::map<std::string, T>& into, const std::map<std::string, T>& other) {
  for (const auto& [name, value] : other) {
    const auto [at, added] = into.try_emplace(name, value);
    if (!added) at->second = std::max(at->second, value);
  }
}

void Add(Counts& into, const Counts& other) {
  into.intended += other.intended;
  into.sent += other.sent;
  into.accepted += other.accepted;
  into.received += other.received;
  into.delivered += other.delivered;
  into.rejected += other.rejected;
  into.unanswered += other.unanswered;
  AddEach(into.others, other.others);
}

// What of two phases is summed, whether they ran beside each other or one after the other.
void AddTalk(Phase& into, const Phase& other) {
  Add(into.counts, other.counts);
  into.handled += other.handled;
  into.bytes_up += other.bytes_up;
  into.bytes_down += other.bytes_down;
  Merge(into.accepted, other.accepted);
  Merge(into.received, other.received);
  Merge(into.delivered, other.delivered);
  into.load_cpu_us += other.load_cpu_us;
}

void MergePhase(Phase& into, const Phase& other) {
  AddTalk(into, other);
  into.rate += other.rate;
  const double end = std::max(into.from_s + into.seconds, other.from_s + other.seconds);
  into.from_s = std::min(into.from_s, other.from_s);
  into.seconds = end - into.from_s;
  LargerEach(into.cpu_us, other.cpu_us);
  // Each took the other for a stranger; the smaller is nearer to the truth.
  into.others_share = std::min(into.others_share, other.others_share);
}

void MergeSecond(Second& into, const Second& other) {
  into.connected += other.connected;
  into.sent += other.sent;
  into.accepted += other.accepted;
  into.received += other.received;
  into.delivered += other.delivered;
  into.rejected += other.rejected;
  into.backlog += other.backlog;
  Merge(into.accepted_latency, other.accepted_latency);
  Merge(into.received_latency, other.received_latency);
  into.bytes_up += other.bytes_up;
  into.bytes_down += other.bytes_down;
  for (const auto& [name, process] : other.processes) {
    ProcessSecond& here = into.processes[name];
    here.cpu_us = std::max(here.cpu_us, process.cpu_us);
    here.rss_bytes = std::max(here.rss_bytes, process.rss_bytes);
  }
}

void MergeSeries(std::vector<Second>& into, const std::vector<Second>& other) {
  std::map<int64_t, Second> by_time;
  for (Second& second : into) by_time.emplace(second.t_s, std::move(second));
  for (const Second& second : other) {
    const auto [at, added] = by_time.try_emplace(second.t_s, second);
    if (!added) MergeSecond(at->second, second);
  }
  into.clear();
  for (auto& [t_s, second] : by_time) into.push_back(std::move(second));
}

void MergeFaults(std::vector<Fault>& into, const std::vector<Fault>& other) {
  for (const Fault& fault : other) {
    if (std::find(into.begin(), into.end(), fault) == into.end()) into.push_back(fault);
  }
  std::stable_sort(into.begin(), into.end(),
                   [](const Fault& a, const Fault& b) { return a.from_s < b.from_s; });
}

void MergePackets(std::vector<PacketKind>& into, const std::vector<PacketKind>& other) {
  for (const PacketKind& kind : other) {
    const auto same = std::find_if(into.begin(), into.end(), [&kind](const PacketKind& have) {
      return have.name == kind.name && have.up == kind.up;
    });
    if (same == into.end()) {
      into.push_back(kind);
    } else {
      same->packets += kind.packets;
      same->bytes += kind.bytes;
    }
  }
}

void MergeProcesses(std::vector<Process>& into, const std::vector<Process>& other) {
  for (const Process& process : other) {
    const auto same = std::find_if(into.begin(), into.end(), [&process](const Process& have) {
      return have.name == process.name;
    });
    if (same == into.end()) {
      into.push_back(process);
    } else {
      same->cpu_us = std::max(same->cpu_us, process.cpu_us);
      same->rss_peak_bytes = std::max(same->rss_peak_bytes, process.rss_peak_bytes);
      same->starts = std::max(same->starts, process.starts);
    }
  }
}

// Both saw a process grow by the connections of both, and divided that by their own.
void MergeShares(std::map<std::string, double>& into, uint64_t connections,
                 const std::map<std::string, double>& other, uint64_t others) {
  std::map<std::string, double> all;
  for (const auto& [name, each] : into) all[name] = each * static_cast<double>(connections);
  for (const auto& [name, each] : other) {
    all[name] = std::max(all[name], each * static_cast<double>(others));
  }
  into.clear();
  for (const auto& [name, sum] : all) into[name] = sum / static_cast<double>(connections + others);
}

void MergeIdle(Idle& into, const Idle& other) {
  if (into.connections + other.connections == 0) return;
  MergeShares(into.rss_bytes_per_connection, into.connections, other.rss_bytes_per_connection,
              other.connections);
  MergeShares(into.cpu_us_per_login, into.connections, other.cpu_us_per_login, other.connections);
  into.connections += other.connections;
  into.settle_s = std::max(into.settle_s, other.settle_s);
}

std::string FirstAfter(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (line.starts_with(key) && colon != std::string::npos) {
      const size_t begin = line.find_first_not_of(" \t", colon + 1);
      return begin == std::string::npos ? "" : line.substr(begin);
    }
  }
  return "";
}

double PerMessage(const Phase& phase, double sum) {
  return phase.handled == 0 ? 0 : sum / static_cast<double>(phase.handled);
}

}  // namespace

std::map<std::string, std::string> ThisMachine() {
  std::map<std::string, std::string> machine;
  machine["cores"] = std::to_string(sysconf(_SC_NPROCESSORS_ONLN));
  if (const auto cpu = FirstAfter("/proc/cpuinfo", "model name"); !cpu.empty()) {
    machine["cpu"] = cpu;
  }
  if (const auto memory = FirstAfter("/proc/meminfo", "MemTotal"); !memory.empty()) {
    machine["memory"] = memory;
  }
  if (utsname name{}; uname(&name) == 0) {
    machine["kernel"] = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
  }
  return machine;
}

void Merge(Report& into, const Report& other) {
  for (size_t i = 0; i < other.phases.size(); ++i) {
    if (i < into.phases.size()) {
      MergePhase(into.phases[i], other.phases[i]);
    } else {
      into.phases.push_back(other.phases[i]);
    }
  }
  if (into.started_ms == 0) into.started_ms = other.started_ms;
  into.load_processes += other.load_processes;
  into.interrupted |= other.interrupted;
  MergeSeries(into.series, other.series);
  MergeFaults(into.faults, other.faults);
  MergePackets(into.packets, other.packets);
  MergeProcesses(into.processes, other.processes);
  into.load_rss_peak_bytes += other.load_rss_peak_bytes;
  MergeIdle(into.idle, other.idle);
  into.judge.judged |= other.judge.judged;
  into.judge.violation_count += other.judge.violation_count;
  into.judge.violations.insert(into.judge.violations.end(), other.judge.violations.begin(),
                               other.judge.violations.end());
  AddEach(into.judge.tally, other.judge.tally);
  into.trouble_count += other.trouble_count;
  into.troubles.insert(into.troubles.end(), other.troubles.begin(), other.troubles.end());
}

Phase Whole(const Report& report) {
  Phase whole;
  double shares = 0;
  for (const Phase& phase : report.phases) {
    AddTalk(whole, phase);
    AddEach(whole.cpu_us, phase.cpu_us);
    whole.seconds += phase.seconds;
    shares += phase.others_share * phase.seconds;
  }
  if (!report.phases.empty()) whole.from_s = report.phases.front().from_s;
  if (whole.seconds > 0) {
    whole.rate = static_cast<double>(whole.counts.intended) / whole.seconds;
    whole.others_share = shares / whole.seconds;
  }
  return whole;
}

double CpuPerMessage(const Phase& phase, const std::string& process) {
  const auto cpu = phase.cpu_us.find(process);
  return cpu == phase.cpu_us.end() ? 0 : PerMessage(phase, static_cast<double>(cpu->second));
}

double CpuPerMessage(const Phase& phase) {
  double sum = 0;
  for (const auto& [name, cpu_us] : phase.cpu_us) sum += static_cast<double>(cpu_us);
  return PerMessage(phase, sum);
}

double LoadCpuPerMessage(const Phase& phase) {
  return PerMessage(phase, static_cast<double>(phase.load_cpu_us));
}

double BytesPerMessage(const Phase& phase) {
  return PerMessage(phase,
                    static_cast<double>(phase.bytes_up) + static_cast<double>(phase.bytes_down));
}

bool Clean(const Report& report) {
  if (report.trouble_count > 0 || report.judge.violation_count > 0) return false;
  return std::all_of(report.phases.begin(), report.phases.end(),
                     [](const Phase& phase) { return phase.counts.unanswered == 0; });
}

}  // namespace nightjar::report
