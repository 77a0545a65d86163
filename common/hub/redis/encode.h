// A call as a command. The functions' arguments are documented where they are defined
// (common/hub/functions/).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/hub/hub.h"
#include "common/hub/redis/command.h"

namespace nightjar::hub {

// Threads: one owner.
class Encoder {
 public:
  // `epochs`: of each of the hub's partitions, as the connection was greeted with; 0 of those that
  // are not there. `ids_from_ms`: what was received before counts as received then.
  Encoder(std::vector<uint64_t> epochs, uint64_t journal_max, uint64_t tasks_max,
          int64_t ids_from_ms = 0)
      : partitions_(static_cast<uint32_t>(epochs.size())),
        epochs_(std::move(epochs)),
        journal_max_(journal_max),
        tasks_max_(tasks_max),
        ids_from_ms_(ids_from_ms) {}

  // Appends the command to `out`. Or the reply, if none needs to be asked for: a malformed call
  // (kInternal), a chat that cannot exist, an empty list.
  std::optional<Reply> Encode(const Call& call, std::string& out);

 private:
  struct Visitor;
  const uint32_t partitions_;
  const std::vector<uint64_t> epochs_;
  const uint64_t journal_max_, tasks_max_;
  const int64_t ids_from_ms_;
  CommandWriter command_;
};

// The function that serves a call, for messages.
std::string_view FunctionOf(const Call& call);

}  // namespace nightjar::hub
