// nightjar-persister export: the messages of a chat as JSON, one a line.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "common/wire/msg_id.h"
#include "persister/process.h"

namespace nightjar::persist {

struct ExportArgs {
  std::string chat;
  MsgId after = 0, before = 0;  // 0: no bound
  std::string out;              // empty: standard output
};

// Adds the command; `args` must live until the command line is parsed. Returns the command.
CLI::App* AddExport(CLI::App& app, ExportArgs& args);

// Returns the process's exit code: 0 all is written, 1 something is away or went wrong (what is
// written is the beginning), 2 not a chat's id, 3 the store does not know the chat. Beside running
// persisters. Call on the main thread, before any other thread exists: it takes the signals.
int RunExport(const ProcessOptions& options, const ExportArgs& args);

}  // namespace nightjar::persist
