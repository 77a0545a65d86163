// A report as a few lines for the terminal.
#pragma once

#include <ostream>

#include "client-sim/report/report.h"

namespace nightjar::load {

void PrintSummary(std::ostream& out, const report::Report& report);

}  // namespace nightjar::load
