// `nightjar-sim load`: many users at a fixed rate, open loop, and what it costs the servers.
//
// One owner; Run() blocks until the run is over, at most connect + warm-up + seconds + drain.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client-sim/people/user.h"
#include "client-sim/swarm/histogram.h"
#include "client-sim/swarm/probe.h"
#include "client-sim/swarm/swarm.h"
#include "client-sim/swarm/traffic.h"

namespace nightjar::swarm {

struct LoadOptions {
  std::string mode = "bare";  // or "nightjar"
  std::string host = "127.0.0.1";
  int port = 1883;
  uint32_t pairs = 500;
  std::vector<int> rates = {2000};  // messages per second, all users together; one after the other
  int seconds = 10;                 // measured, of each rate
  int warm_up_s = 3;                // before it, not measured
  size_t text_bytes = 100;
  std::string key_file;
  std::string prefix = "u";
  std::string json;              // where to write the figures; empty: nowhere
  std::vector<Watched> watched;  // processes to measure
  uint32_t idle = 0;             // instead of talk: this many clients that do nothing
  int settle_s = 6;              // how long idle clients are left alone before memory is read
  uint64_t seed = 1;
};

// The program's exit code: 0 if every message came through, else 1.
int RunLoad(const LoadOptions& options);

// One rate's figures.
struct LoadResult {
  int rate = 0;
  double seconds = 0;
  uint64_t intended = 0, accepted = 0, received = 0, delivered = 0;  // of the measured time
  Histogram accepted_ns, received_ns, delivered_ns;
  uint64_t handled = 0;         // received within the measured time, whenever they were intended
  std::vector<int64_t> cpu_us;  // for each watched process, over the measured time
  int64_t own_cpu_us = 0;       // of the load generator
  double others_share = 0;      // of the machine's CPU, what neither of them used: a busy machine
  TrafficCounts counts;         // over warm-up, measured time and drain
  uint64_t bytes = 0;           // TCP payload, both directions, over the measured time
};

class LoadRun final : private Scoreboard {
 public:
  // REQUIRES: `traffic` not null.
  LoadRun(const LoadOptions& options, std::unique_ptr<Traffic> traffic, uint32_t clients);
  ~LoadRun() override;

  // Connects all, within a minute.
  Status Connect();
  // Every pair says hello both ways, so that chats exist and nobody's first message is measured.
  Status Introduce();
  LoadResult Measure(int rate);
  // Lets clients sit for `seconds`; answers only what comes.
  void Sit(int seconds);
  void Close() { swarm_.Close(); }

  const std::vector<std::string>& troubles() const { return troubles_; }
  uint64_t trouble_count() const { return trouble_count_; }

 private:
  void Accepted(int64_t intended_ns, int64_t now_ns) override;
  void Received(int64_t intended_ns, int64_t now_ns) override;
  void Delivered(int64_t intended_ns, int64_t now_ns) override;
  void Trouble(const std::string& what) override;
  bool Measured(int64_t intended_ns) const {
    return intended_ns >= from_ns_ && intended_ns < until_ns_;
  }
  // Turns the loop until `until_ns` or `done()`.
  template <typename F>
  bool TurnUntil(int64_t until_ns, F&& done);
  struct Costs {
    std::vector<int64_t> cpu_us;  // of each watched process
    int64_t own_us = 0, machine_us = 0;
    uint64_t handled = 0, bytes = 0;
  };
  Costs CostsNow() const;
  void Charge(const Costs& before, const Costs& after, LoadResult& result) const;

  const LoadOptions& options_;
  std::unique_ptr<Traffic> traffic_;
  Swarm swarm_;
  client::Dice dice_;
  LoadResult* result_ = nullptr;
  int64_t from_ns_ = 0, until_ns_ = 0;  // intended times that count
  uint64_t received_all_ = 0, accepted_all_ = 0;
  std::vector<std::string> troubles_;
  uint64_t trouble_count_ = 0;
};

}  // namespace nightjar::swarm
