// How much one host of a gateway is asked: so many requests at once, none while it wants to be left
// alone, and while it fails one at a time with growing pauses between (a circuit breaker).
//
// One owner, time handed in (ms of a steady clock).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/backoff.h"

namespace nightjar::notify {

class HostGate {
 public:
  struct Options {
    size_t in_flight = 200;
    int failures = 5;  // one after another, and the host is left alone
    int64_t pause_first_ms = 1'000;
    int64_t pause_most_ms = 300'000;
  };
  enum class Health {
    kGood,  // it answers
    kBad,   // no connection, no answer in time, 5xx
    kNeither
  };

  HostGate(const Options& options, uint64_t seed)
      : options_(options), pauses_(options.pause_first_ms, options.pause_most_ms, seed) {}

  // How long it is to be left alone still; 0: it may be asked.
  int64_t HeldMs(int64_t now_ms) const { return now_ms < until_ms_ ? until_ms_ - now_ms : 0; }
  // May one more request go now?
  bool HasRoom(int64_t now_ms) const {
    return HeldMs(now_ms) == 0 && in_flight_ < (Failing() ? 1 : options_.in_flight);
  }
  bool Failing() const { return failures_ >= options_.failures; }
  size_t in_flight() const { return in_flight_; }

  // REQUIRES: HasRoom. Each Start has one End.
  void Start() { ++in_flight_; }
  // `hold_ms`: how long it asked to be left alone; 0: it did not.
  void End(Health health, int64_t hold_ms, int64_t now_ms) {
    --in_flight_;
    if (health == Health::kGood) {
      failures_ = 0;
      pauses_.Reset();
    }
    if (health == Health::kBad) {
      ++failures_;
      // What was under way together fails together; that is one step of the backoff.
      if (Failing() && HeldMs(now_ms) == 0) Hold(pauses_.NextMs(), now_ms);
    }
    if (hold_ms > 0) Hold(hold_ms, now_ms);
  }

 private:
  void Hold(int64_t ms, int64_t now_ms) {
    if (now_ms + ms > until_ms_) until_ms_ = now_ms + ms;
  }

  const Options options_;
  Backoff pauses_;
  size_t in_flight_ = 0;
  int failures_ = 0;
  int64_t until_ms_ = 0;
};

}  // namespace nightjar::notify
