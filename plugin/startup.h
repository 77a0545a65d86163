// From the option lines to a plugin that works, or to one line that says why not. docs/errors.md
// lists those lines and their cures.
#pragma once

#include <memory>

#include "common/base/result.h"
#include "plugin/broker_shell.h"
#include "plugin/options.h"

namespace nightjar::plugin {

// Reads options and key file, waits (bounded by hub_start_wait_ms) for Redis, and joins core, hub
// and broker shell. Broker's thread; logs what an operator should know. The error is one line for
// the log.
Result<std::unique_ptr<BrokerShell>> Start(const OptionLines& lines);

}  // namespace nightjar::plugin
