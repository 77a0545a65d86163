// What a run under faults came to, in a few lines for people: who was hurt how often, what became
// of the messages, how long people had to wait.
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client-sim/chaos/injector.h"
#include "client-sim/report/report.h"

namespace nightjar::chaos {

struct Victim {
  std::string name;
  Injector::Counts counts;
};

// A table of processes with their faults and the longest time that each was away.
std::string FaultTable(const std::vector<Victim>& victims,
                       const std::vector<report::Fault>& faults);
// Counts of messages, how long clients had to do without, how long answers took.
std::string MessageLines(const report::Report& report);
// The verdict with the stories of what was broken (the first `most`), and the report's troubles.
std::string VerdictLines(const report::Report& report, size_t most);

// Seconds in a row, while messages were being sent, in which nobody was told Accepted.
int64_t LongestSilence(const report::Report& report);

}  // namespace nightjar::chaos
