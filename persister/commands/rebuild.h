// nightjar-persister rebuild: fills a hub that has lost its data from the store.
#pragma once

#include "persister/process.h"

namespace nightjar::persist {

// Returns the process's exit code. `open_only`: opens what an earlier run has left closed, as it
// is. Call on the main thread, before any other thread exists: it takes the signals.
int RunRebuild(ProcessOptions options, bool open_only);

}  // namespace nightjar::persist
