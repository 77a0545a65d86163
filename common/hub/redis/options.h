// How to reach Redis, and the bounds of what waits for it. Times in ms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace nightjar::hub {

struct RedisOptions {
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string unix_path;             // if set, host and port are not looked at
  std::string user;                  // ACL user; empty: the default one
  std::string password;              // empty: no AUTH
  int db = 0;

  uint32_t partitions = 64;          // used only when an empty hub is set up; else the hub's own count
  uint64_t journal_max = 1'000'000;  // elements per partition; beyond it sends are refused as full
  uint64_t tasks_max = 1'000'000;

  int64_t connect_timeout_ms = 2000;
  int64_t call_timeout_ms = 10'000;  // from Submit to a Failure, whatever Redis does
  int64_t gather_ms = 0;             // after a write, calls gather for so long before the next: one fsync
                                     // and one wake-up for all of them. The first after a pause goes at once
  int64_t ping_ms = 5000;            // idle for so long: ask whether it is still there
  int64_t silence_ms = 6000;         // something under way and not a byte for so long: reconnect
  int64_t backoff_first_ms = 50;
  int64_t backoff_cap_ms = 2000;
  int64_t drain_ms = 1000;           // how long Stop() waits for answers
  size_t max_calls = 100'000;        // submitted and not yet answered
  size_t max_bytes = 64 << 20;       // of their payload

  std::string library;               // Lua text in place of the built-in one; tests only
};

}  // namespace nightjar::hub
