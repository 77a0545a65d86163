// The persister as a process: opens the store, reaches the hub, runs the journal worker and the
// history service, and ends cleanly when told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/hub/redis/options.h"
#include "persister/hbase_store.h"
#include "persister/service_token.h"

namespace nightjar::persist {

struct Address {
  std::string host;
  uint16_t port = 0;
};

struct ProcessOptions {
  std::string id = "p1";  // unique among persisters; also the device of its service token
  hub::RedisOptions redis;
  std::string store_dir;                     // RocksDB's
  std::optional<HbaseStore::Options> hbase;  // instead of it
  Retention retention;                       // of either
  size_t store_cache_mib = 64;
  size_t store_write_mib = 64;
  size_t hot_mib = 32;  // newest messages of chats that are read, in memory
  std::vector<Address> brokers;
  TokenSource token;
  std::string ready_file;       // written once everything is connected; empty: none
  int threads = 4;              // that answer requests
  int64_t lease_ttl_ms = 5000;  // how long a dead persister's partitions wait for another
  double idle_days = 30;        // how long what nobody uses stays whole in the hub; 0: for ever
};

// Runs until SIGTERM or SIGINT; returns the process's exit code. Errors that waiting does not mend
// are logged in one line and end it with 1: an unreadable key, a store that cannot be opened, a
// server that cannot be a hub. A hub, broker or HBase that is away is waited for.
//
// Call on the main thread, before any other thread exists: it takes the signals.
int RunProcess(const ProcessOptions& options);

}  // namespace nightjar::persist
