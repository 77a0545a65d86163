// One load run in this process: a crowd on thousands of connections to real brokers, judged as it
// goes, measured from intended send times, and told in a report.
//
// Threads: Go() blocks; it and all callbacks run on the caller's thread. Brokers may die and come
// back meanwhile: clients reconnect by themselves (backoff, jitter, the next broker of the list).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client-sim/crowd/profile.h"
#include "common/base/clock.h"
#include "common/base/result.h"

namespace nightjar::client {
class Oracle;
}
namespace nightjar::report {
struct Report;
struct Second;
}  // namespace nightjar::report

namespace nightjar::load {

struct Broker {
  std::string id;
  std::string host = "127.0.0.1";  // IPv4
  int port = 1883;
};
struct WatchedProcess {
  std::string name;
  int pid = 0;
};

enum class Phase { kConnect, kIntroduce, kWarmUp, kMeasure, kDrain, kJudge, kOver };

struct RunOptions {
  crowd::Profile profile;
  std::vector<Broker> brokers;  // at least one
  std::string key_file;         // tokens are signed with it
  std::string prefix = "u";     // of uids: give every run on the same stack its own
  uint64_t seed = 1;
  bool bare = false;           // pairs over a plain broker, the yardstick
  uint32_t first_address = 2;  // connections come from 127.0.0.2 and the next
  std::string title, command;  // for the report

  // Called about every 100 ms from the first connection until everything is drained.
  std::function<void(int64_t now_ns)> every_100_ms;
  // Asked each second; pids may change.
  std::function<std::vector<WatchedProcess>()> watched;
  // After each second, with what happened in it.
  std::function<void(const report::Second&)> second;
  // True: end as soon as possible, with drain, verdict and report (Ctrl-C).
  std::function<bool()> stop;
  // False keeps the drain waiting (up to the profile's limit): faults are still being undone.
  std::function<bool()> whole;
  bool live_line = false;  // a progress line on stderr
};

class Run {
 public:
  explicit Run(RunOptions options);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // All phases up to the verdict. An error if the run could not be made (descriptors, key file,
  // nobody got in); broken promises and incomplete deliveries are told by exit_code() and the
  // report.
  Status Go();

  // 0 good, 1 not everything came through, 2 a promise was broken. After Go().
  int exit_code() const;
  client::Oracle& judge();
  report::Report& report();
  Phase phase() const;
  // Seconds since Go() began, as in the report's series and faults.
  double SecondsAt(int64_t now_ns) const;
  // The same instant as the judge counts time.
  Now NowAt(int64_t now_ns) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nightjar::load
