// Runs many worlds on several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/worlds/world.h"

namespace nightjar::worlds {

struct RunOptions {
  uint64_t first = 1, seeds = 1000;
  int jobs = 2;
  Mutant mutant = Mutant::kNone;
  Chosen chosen;
  uint64_t most_failures = 20;  // then it stops
};
struct RunResult {
  uint64_t worlds = 0, events = 0, accepted = 0;
  int64_t virtual_ms = 0;
  double seconds = 0;
  Coverage coverage;
  std::map<uint64_t, std::vector<std::string>> failed;  // seed -> what broke
};
// `progress` is called about every second, from one thread at a time.
RunResult RunWorlds(const RunOptions& options,
                    const std::function<void(const RunResult&)>& progress);

// The worlds of regressions.txt: one a line, a word on what it was behind '#'.
struct Regression {
  uint64_t seed = 0;
  // "<seed>": as the seed has it; or "<seed>/<brokers>/<servers>/<failovers>", what is left out
  // being 0.
  Chosen chosen;
};
std::vector<Regression> Regressions(const std::string& path);

}  // namespace nightjar::worlds
