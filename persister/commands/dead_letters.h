// nightjar-persister deadletters list|replay|drop: records that could not be stored.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "persister/process.h"

namespace nightjar::persist {

struct DeadLetterArgs {
  enum class What { kList, kReplay, kDrop };
  What what = What::kList;
  std::vector<std::string> ids;
  std::optional<uint32_t> partition;
  bool all = false;
  bool json = false;
  uint64_t limit = 1000;
};

// Adds the command; `args` must live until the command line is parsed. Returns the command.
CLI::App* AddDeadLetters(CLI::App& app, DeadLetterArgs& args);

// Returns the process's exit code: 0 all that was asked is done, 1 something is away or went wrong,
// 3 some letters were refused again or not found. The outcome goes to standard output, logs do not.
// Call on the main thread, before any other thread exists: it takes the signals.
int RunDeadLetters(const ProcessOptions& options, const DeadLetterArgs& args);

}  // namespace nightjar::persist
