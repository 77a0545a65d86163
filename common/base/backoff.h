// Capped exponential waits with jitter, for everything that tries again.
#pragma once

#include <algorithm>
#include <cstdint>

namespace nightjar {

class Backoff {
 public:
  // Waits grow from `first_ms` by doubling to at most `cap_ms`. `seed` makes the jitter repeatable.
  Backoff(int64_t first_ms, int64_t cap_ms, uint64_t seed)
      : first_ms_(first_ms), cap_ms_(cap_ms), state_(seed | 1) {}

  // How long to wait before the next try: between half and the whole of the present step.
  int64_t NextMs() {
    const int64_t step = step_ms_ == 0 ? first_ms_ : std::min(cap_ms_, step_ms_ * 2);
    step_ms_ = step;
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return step / 2 + static_cast<int64_t>(state_ % static_cast<uint64_t>(step / 2 + 1));
  }
  void Reset() { step_ms_ = 0; }

 private:
  int64_t first_ms_;
  int64_t cap_ms_;
  int64_t step_ms_ = 0;
  uint64_t state_;
};

}  // namespace nightjar
