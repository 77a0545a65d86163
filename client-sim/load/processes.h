// A load run in one or several processes. The people are split so that every chat lives in one
// process, and each process judges its own; the parent adds their reports up.
//
// Threads: call before any thread is started (it forks). Blocks until all is over.
#pragma once

#include "client-sim/load/run.h"
#include "client-sim/report/report.h"

namespace nightjar::load {

// Fills `report` and the exit code (the worst of all: a broken promise, then what did not work).
// An error if a process could not do its part; the others are ended then.
Status RunProcesses(RunOptions options, int64_t processes, report::Report& report, int& exit_code);

}  // namespace nightjar::load
