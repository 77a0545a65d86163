// The line on a terminal that shows how a load run is doing: rewritten each second on a terminal,
// printed now and then elsewhere not at all.
//
// One owner.
#pragma once

#include <cstdint>
#include <string>

#include "client-sim/load/run.h"
#include "client-sim/report/report.h"

namespace nightjar::load {

const char* NameOf(Phase phase);

class Progress {
 public:
  // Standard error is a terminal.
  static bool Wanted();

  void Begin(Phase phase);
  void Show(const report::Second& second);
  // Ends the line.
  ~Progress();

 private:
  Phase phase_ = Phase::kConnect;
  uint64_t sent_ = 0, accepted_ = 0, received_ = 0, rejected_ = 0;
  bool open_ = false;
};

}  // namespace nightjar::load
