// What durability `replica` needs to know: that replicas have what a batch of calls rests upon,
// and, after a failover, that the promoted one has all that was ever told.
//
// Every batch is followed by ROLE and WAIT. ROLE tells where the master stands (an offset at or
// beyond everything the batch did or read, other connections' writes too) and how far each replica
// has acknowledged; WAIT holds until enough replicas are as far as the connection's last command
// saw the master. Enough: all that are in step, and at least the configured number. In step is a
// replica that has acknowledged what the batch before asked for. So one that has just come counts
// as soon as it is near the end, and one that hangs makes a single WAIT fail and does not count at
// the next connection.
//
// docs/hub.md, "Replicas". Values and pure functions; any thread.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/hub/redis/options.h"

namespace nightjar::hub {

// What ROLE says of a master.
struct MasterRole {
  uint64_t offset = 0;
  std::vector<uint64_t> acknowledged;  // of each replica that is online
};
// Nothing: not a master, or not an answer to ROLE.
std::optional<MasterRole> ReadRole(const redisReply& reply);

// How many replicas have acknowledged `offset`.
uint32_t InStep(const MasterRole& role, uint64_t offset);

// A server's history, from INFO replication: an id, and of which other history it is the
// continuation.
struct ServerHistory {
  std::string id;      // another after every restart and every promotion
  std::string before;  // of the master that it was a replica of, if it was promoted; else zeros
  uint64_t before_end = 0;  // offset up to which (not including) it has that history
  uint64_t offset = 0;
};

// What is remembered of the server that was last asked.
struct LastMaster {
  std::string address;
  std::string history;  // empty: nothing is remembered
  uint64_t proven = 0;  // offset: what was told rests on nothing beyond it
  uint64_t asked = 0;   // offset of the last batch, answered or not
};

// May a server be taken for the hub as it was told of?
enum class Verdict {
  kUnknown,  // nothing is remembered
  kSound,    // it has everything that this process ever told
  kBroken,   // it may lack something, or cannot prove that it does not
};
// `file_complete`: its own file holds everything that it ever answered (appendfsync always), so
// that a restart, which makes a new history out of nothing, loses nothing.
Verdict Judge(const LastMaster& last, const ServerHistory& now, std::string_view address,
              bool file_complete);

// The offset that a replica of this server must have acknowledged to count as in step at first.
uint64_t FirstInStep(const LastMaster& last, const ServerHistory& now);

// Follows one connection.
class ReplicaWatch {
 public:
  // REQUIRES: kReplica. `in_step`: as the greeting found it.
  ReplicaWatch(const RedisOptions& options, uint32_t in_step, uint64_t asked);

  // Appends ROLE and WAIT to `out`.
  void AppendCommands(std::string& out);
  // False: this is no master any more; reason() says so.
  bool OnRole(const redisReply& reply);
  // False: not enough replicas in time, see reason(). True: `proven` offset has moved.
  bool OnWait(const redisReply& reply);

  uint64_t asked() const { return asked_; }
  uint64_t proven() const { return proven_; }
  const std::string& reason() const { return reason_; }

 private:
  const uint32_t least_;
  const int64_t wait_ms_;
  uint32_t in_step_;  // to be waited for
  uint32_t waiting_ = 0;
  uint64_t asked_, proven_;
  std::string reason_;
};

}  // namespace nightjar::hub
