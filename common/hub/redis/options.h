// How to reach Redis, and the bounds of what waits for it. Times in ms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace nightjar::hub {

struct RedisAddress {
  std::string host;
  int port = 0;
  std::string unix_path = {};  // if set, host and port are not looked at
  friend bool operator==(const RedisAddress&, const RedisAddress&) = default;
};

// What has to be so before anything that a call did or read is told (docs/hub.md, "Replicas").
enum class Durability {
  kFsync,    // it is in the master's file
  kReplica,  // and in the replicas'
};

struct RedisOptions {
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string unix_path;                // if set, host and port are not looked at
  std::vector<RedisAddress> cluster;    // if any, nodes of a Redis Cluster, which know the others
  std::vector<RedisAddress> sentinels;  // if any, they are asked where the master is, and none of
                                        // the three above is looked at
  std::string master = "nightjar";      // its name among the Sentinels
  std::string sentinel_password;        // empty: no AUTH there
  Durability durability = Durability::kFsync;
  uint32_t replicas_min = 1;  // kReplica: with fewer in step nothing is taken
  int64_t wait_ms = 1000;     // kReplica: how long replicas may take for a batch of calls
  std::string user;           // ACL user; empty: the default one
  std::string password;       // empty: no AUTH
  int db = 0;

  uint32_t partitions = 64;  // used only when an empty hub is set up; else the hub's own count
  uint64_t journal_max = 1'000'000;  // elements per partition; beyond it sends are refused as full
  uint64_t tasks_max = 1'000'000;

  int64_t connect_timeout_ms = 2000;
  int64_t sentinel_timeout_ms = 500;  // for one Sentinel to answer
  int64_t call_timeout_ms = 10'000;   // from Submit to a Failure, whatever Redis does
  int64_t gather_ms = 0;   // after a write, calls gather for so long before the next: one fsync
                           // and one wake-up for all of them. The first after a pause goes at once
  int64_t ping_ms = 5000;  // idle for so long: ask whether it is still there
  int64_t silence_ms = 6000;  // something under way and not a byte for so long: reconnect
  int64_t backoff_first_ms = 50;
  int64_t backoff_cap_ms = 2000;
  int64_t drain_ms = 1000;      // how long Stop() waits for answers
  size_t max_calls = 100'000;   // submitted and not yet answered
  size_t max_bytes = 64 << 20;  // of their payload

  bool rebuilding = false;  // who fills the hub from the store: served while it is closed, and an
                            // empty one is set up as closed (keeping.h)

  std::string library;  // Lua text in place of the built-in one; tests only
};

// As it is written: "HOST:PORT", "[IPV6]:PORT".
std::string Text(const RedisAddress& address);
// One, or several of them separated by commas. kInvalidArgument says which is none.
Result<RedisAddress> ParseRedisAddress(std::string_view text);
Result<std::vector<RedisAddress>> ParseRedisAddresses(std::string_view text);
// "fsync" or "replica".
Result<Durability> ParseDurability(std::string_view text);

// kFailedPrecondition, with the reason, if these options cannot keep what Nightjar promises.
Status CheckDurability(const RedisOptions& options);

// The one Redis. REQUIRES: no Sentinels, no Cluster.
RedisAddress AddressOf(const RedisOptions& options);
// Where Redis is, for messages: "127.0.0.1:6379", a path, or whom to ask.
std::string Where(const RedisOptions& options);

// With Sentinels, and in a Cluster, a dead master is worth leaving soon: the shorter times that go
// with them.
RedisOptions WithFailoverTimes(RedisOptions options);

}  // namespace nightjar::hub
