// A call as a command. The functions' arguments are documented where they are defined
// (common/hub/functions/).
#pragma once

#include <algorithm>
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
          int64_t ids_from_ms = 0, bool in_cluster = false)
      : partitions_(static_cast<uint32_t>(epochs.size())),
        epochs_(std::move(epochs)),
        journal_max_(journal_max),
        tasks_max_(tasks_max),
        ids_from_ms_(ids_from_ms),
        command_(in_cluster) {}

  // A partition that has come to this server, or (epoch 0) is there no more.
  void SetEpoch(uint32_t partition, uint64_t epoch) { epochs_[partition] = epoch; }
  bool Serves(uint32_t partition) const {
    return partition < epochs_.size() && epochs_[partition] != 0;
  }
  void NotBefore(int64_t ids_from_ms) { ids_from_ms_ = std::max(ids_from_ms_, ids_from_ms); }
  uint32_t partitions() const { return partitions_; }

  // Appends the command to `out`. Or the reply, if none needs to be asked for: a malformed call
  // (kInternal), a chat that cannot exist, an empty list.
  std::optional<Reply> Encode(const Call& call, std::string& out);

 private:
  struct Visitor;
  const uint32_t partitions_;
  std::vector<uint64_t> epochs_;
  const uint64_t journal_max_, tasks_max_;
  int64_t ids_from_ms_;
  CommandWriter command_;
};

// The function that serves a call, for messages.
std::string_view FunctionOf(const Call& call);

}  // namespace nightjar::hub
