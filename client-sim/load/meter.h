// What a load run measures: counts and latencies by phase and by second, what the watched processes
// cost meanwhile. Filled by the party, read into the report.
//
// One owner. Times: steady nanoseconds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client-sim/load/party.h"
#include "client-sim/load/run.h"
#include "client-sim/report/report.h"
#include "client-sim/swarm/histogram.h"

namespace nightjar::load {

// CPU time and memory of processes by name, over changes of their pids.
class ProcessMeter {
 public:
  // What was used since the last call, and memory now.
  std::map<std::string, report::ProcessSecond> Sample(const std::vector<WatchedProcess>& watched);
  std::vector<report::Process> All() const;

 private:
  struct Known {
    int pid = 0;
    int64_t cpu_us = 0;  // of this pid, when it was read last
    report::Process total;
  };
  std::map<std::string, Known> known_;
};

class Meter final : public Scoreboard {
 public:
  // What the swarm and the party say at this moment.
  struct Gauges {
    uint64_t connected = 0;
    uint64_t bytes_up = 0, bytes_down = 0;
    std::vector<WatchedProcess> watched;
  };

  explicit Meter(int64_t start_ns);

  // -- phases -----------------------------------------------------------------------------------
  // Messages meant for [from_ns, until_ns) belong to the new phase; costs count between the calls.
  void Open(const std::string& name, double rate, int64_t from_ns, int64_t until_ns);
  void CostsFrom(int64_t now_ns, const Gauges& gauges);
  void CostsTo(int64_t now_ns, const Gauges& gauges);
  void Intended(int64_t intended_ns);
  // Of the present phase: everything came through.
  bool Complete() const;

  // -- seconds ----------------------------------------------------------------------------------
  // True if a second has passed since the last Second().
  bool SecondOver(int64_t now_ns) const { return now_ns >= second_from_ns_ + kSecond; }
  void Second(int64_t now_ns, const Gauges& gauges);
  const std::vector<report::Second>& series() const { return series_; }

  // -- Scoreboard -------------------------------------------------------------------------------
  void Sent(int64_t intended_ns) override;
  void Accepted(int64_t intended_ns, int64_t now_ns, uint32_t copies) override;
  void Received(int64_t intended_ns, int64_t now_ns, bool waited) override;
  void Delivered(int64_t intended_ns, int64_t now_ns) override;
  void Rejected(int64_t intended_ns) override;
  void Count(const char* what) override;
  void Trouble(const std::string& what) override;

  // Of the whole run.
  const report::Counts& totals() const { return totals_; }
  uint64_t copies_owed() const { return copies_owed_; }
  uint64_t backlog() const { return totals_.sent - totals_.accepted - totals_.rejected; }
  uint64_t trouble_count() const { return trouble_count_; }
  const std::vector<std::string>& troubles() const { return troubles_; }
  void Fill(report::Report& report) const;

 private:
  static constexpr int64_t kSecond = 1'000'000'000;
  struct Live {
    report::Phase phase;
    int64_t from_ns = 0, until_ns = 0;
    uint64_t copies_owed = 0;
    swarm::Histogram accepted, received, delivered;
    int64_t own_us = 0, machine_us = 0;  // at CostsFrom
    uint64_t bytes_up = 0, bytes_down = 0;
    bool costs_run = false;
    std::map<std::string, uint64_t> others_before;
  };
  Live* PhaseOf(int64_t intended_ns);
  void TakeSample(const Gauges& gauges);

  int64_t start_ns_, second_from_ns_;
  std::vector<Live> phases_;
  std::vector<report::Second> series_;
  report::Second second_;  // the present one
  uint64_t second_bytes_up_ = 0, second_bytes_down_ = 0;
  swarm::Histogram second_accepted_, second_received_;
  ProcessMeter processes_;
  report::Counts totals_;
  uint64_t copies_owed_ = 0;
  uint64_t own_rss_peak_ = 0;
  std::vector<std::string> troubles_;
  uint64_t trouble_count_ = 0;
};

}  // namespace nightjar::load
