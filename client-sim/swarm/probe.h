// What a process costs, read from /proc: CPU time of all its threads, resident memory.
//
// Pure reads; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace nightjar::swarm {

struct Watched {
  std::string name;
  int pid = 0;
};
struct Usage {
  int64_t cpu_us =
      0;  // user + system, all threads, living and ended (resolution: one clock tick, 10 ms)
  int64_t rss_bytes = 0;
};

// kNotFound if there is no such process.
Result<Usage> UsageOf(int pid);
// CPU time that the whole machine has spent working, all cores, whoever did it (steal included).
int64_t MachineBusyUs();
// "NAME=PID".
Result<Watched> ParseWatched(const std::string& text);

}  // namespace nightjar::swarm
