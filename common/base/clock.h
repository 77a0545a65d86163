// Time is handed in, never looked up, by everything that decides. Only shells read a clock, through
// SystemNow().
#pragma once

#include <cstdint>

namespace nightjar {

// One instant, read from both clocks at once.
struct Now {
  int64_t mono_ms = 0;  // steady; for timers, debounces and rates
  int64_t unix_ms = 0;  // wall clock; may step in either direction; for ids and token expiry
};

// The only function of the project that reads the machine's clocks. Any thread.
Now SystemNow();

}  // namespace nightjar
