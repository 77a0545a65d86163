// The plugin_opt_ lines of mosquitto.conf, checked. docs/configuration.md lists them for operators;
// the table in options.cc is where names, defaults and bounds are decided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/hub/redis/options.h"
#include "plugin/core/action.h"
#include "plugin/core/engine.h"

namespace nightjar::plugin {

// Times in ms.
struct Options {
  // A broker has many calls at once, and few ms are nothing to a chat.
  Options() { redis.gather_ms = 2; }

  core::Config core;  // incarnation and partitions are filled in at start, not from here
  hub::RedisOptions redis;
  std::string key_file;
  std::string wake_socket;  // path of the broker's own Unix-socket listener
  std::string redis_password_file, sentinel_password_file;
  int64_t hub_start_wait_ms = 5000;
  int64_t key_check_ms = 5000;
  core::LogLevel log_level = core::LogLevel::kInfo;  // lines below it are not written
};

// Key without "plugin_opt_", and value, in the order of the file.
using OptionLines = std::vector<std::pair<std::string, std::string>>;

// kInvalidArgument with one line fit for the log if a name is unknown or given twice, a value is
// malformed or out of bounds, or a needed option is missing. Reads no files.
Result<Options> ParseOptions(const OptionLines& lines);

// What no option by itself can have wrong. kInvalidArgument, likewise.
Status CheckTogether(const Options& options);

// What is known of one number: for tests and for checking the documentation.
struct NumberOption {
  std::string_view name;
  int64_t low = 0, high = 0;  // both allowed
  int64_t (*get)(const Options&);
  void (*set)(Options&, int64_t);
};
const std::vector<NumberOption>& NumberOptions();

}  // namespace nightjar::plugin
