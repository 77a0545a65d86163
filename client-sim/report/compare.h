// Two reports beside each other. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client-sim/report/report.h"

namespace nightjar::report {

struct Comparison {
  std::string text;  // for a terminal, ends with a new line
  // What got worse by more than was allowed, a line each; only filled if a limit was given.
  std::vector<std::string> too_much;
};

// Phases are compared with the one of the same name; if no name is in both, the whole runs are.
// `fail_over` is how much worse (0.1 is 10 %) a p99 latency or the servers' CPU time per copy
// may be in B; a promise broken only in B is too much as well, and so is having neither a p99 nor
// a CPU time to compare.
Comparison Compare(const Report& a, const Report& b, std::optional<double> fail_over = {});

}  // namespace nightjar::report
