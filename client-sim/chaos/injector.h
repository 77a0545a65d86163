// Carries a schedule out on the processes of a stack, and supervises them meanwhile: who ends by
// himself is started again, as an operator's supervisor would, and that is noted.
//
// One owner, one thread. Turn() never blocks; call it every 100 ms or so. Times are milliseconds
// of one steady clock, the caller's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client-sim/chaos/processes.h"
#include "client-sim/chaos/schedule.h"

namespace nightjar::chaos {

// Something was done to a process, or it came back.
struct Incident {
  enum class Kind : uint8_t { kHurt, kEndedByItself, kBack };
  Kind kind = Kind::kHurt;
  std::string process;
  std::string what;      // "kill -9"; "ended by itself: exit code 1"
  bool ends_it = false;  // the process dies (a pause does not): its clients lose their connections
  int64_t from_ms = 0;   // when it began
  int64_t to_ms = 0;     // kBack: when it listened again
};

class Injector {
 public:
  using Listener = std::function<void(const Incident&)>;

  // `processes` must outlive the injector.
  Injector(Processes* processes, const std::vector<Fault>& faults, Listener listener);

  void Turn(int64_t now_ms);
  // The schedule's time starts here; before, there is only supervision.
  void Begin(int64_t now_ms);
  // No further faults; what is paused or dead comes back with the next Turn().
  void CallOff();
  // All faults are over and all processes listen.
  bool Quiet() const;

  struct Counts {
    uint64_t kills = 0, pauses = 0, stops = 0, ended_by_itself = 0;
  };
  const Counts& counts(size_t process) const { return lives_[process].counts; }
  // What servers did that they should not: crashes, ends that nothing explains, a stop that did
  // nothing. For people.
  const std::vector<std::string>& findings() const { return findings_; }

 private:
  enum class State : uint8_t {
    kWell,
    kPaused,
    kDying,    // a signal was sent that ends it
    kDead,     // and until_ms is awaited
    kStarting  // not listening yet
  };
  struct Life {
    State state = State::kWell;
    std::deque<Fault> ahead;
    std::string what;        // of the present incident
    int64_t from_ms = 0;     // when it began
    int64_t started_ms = 0;  // the last time
    int64_t well_ms = 0;     // since when it is, if it is
    int64_t until_ms = 0;    // when it is started or continued
    int64_t give_up_ms = 0;  // kDying: SIGKILL then; kStarting: it should long be there
    Counts counts;
  };

  void Hurt(size_t i, const Fault& fault, int64_t now_ms);
  void Ended(const Processes::Ended& end, int64_t now_ms);
  void Step(size_t i, int64_t now_ms);
  void Restart(size_t i, int64_t now_ms);
  bool SomebodyElseWasAway(size_t i, int64_t since_ms) const;
  void Check(const Status& status);
  void Find(std::string what);

  Processes* processes_;
  Listener listener_;
  std::vector<Life> lives_;
  std::vector<std::string> findings_;
  int64_t start_ms_ = -1;  // -1: not begun
};

}  // namespace nightjar::chaos
