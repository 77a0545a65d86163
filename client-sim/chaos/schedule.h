// Which process of a stack is hurt when, how, and for how long: decided by a seed alone.
//
// Pure; any thread. The same options give the same schedule on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace nightjar::chaos {

enum class Hurt : uint8_t {
  kKill,   // SIGKILL; started again when the time is over
  kPause,  // SIGSTOP; SIGCONT when the time is over
  kStop,   // SIGTERM, as an operator does; started again once it has ended and the time is over
};
std::string_view NameOf(Hurt hurt);  // "kill -9", "pause", "clean stop"

struct Fault {
  int64_t at_ms = 0;     // from the start of the schedule
  int64_t lasts_ms = 0;  // until the process is started again or continued
  size_t process = 0;    // index
  Hurt hurt = Hurt::kKill;

  int64_t until_ms() const { return at_ms + lasts_ms; }
  friend bool operator==(const Fault&, const Fault&) = default;
};

struct ScheduleOptions {
  size_t processes = 0;
  int64_t length_ms = 0;  // every fault is over by then
  uint64_t seed = 1;
};

// A process is killed about every 11 s (at least ten times in 120 s; never less than twice), and
// half as often paused or stopped cleanly. Each process has its own times, so faults of different
// processes overlap as they happen to; in one round of four or so several are hurt in the same
// instant. Faults of one process never overlap, and it gets at least kBreathMs between two.
//
// Sorted by time. Empty if there is nobody to hurt, or less than kShortestMs to do it in.
constexpr int64_t kShortestMs = 6'000;
constexpr int64_t kBreathMs = 400;
std::vector<Fault> MakeSchedule(const ScheduleOptions& options);

}  // namespace nightjar::chaos
