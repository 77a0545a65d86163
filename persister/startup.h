// What every command of the persister begins with: signals, the store, the hub.
#pragma once

#include <signal.h>
#include <time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/hub/redis/redis_hub.h"
#include "persister/process.h"
#include "persister/rocksdb_store.h"
#include "persister/store.h"

namespace nightjar::persist {

// SIGTERM and SIGINT, taken by waiting for them on the main thread.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }
  // True: one of them came within `ms` (or has come before).
  bool Wait(int64_t ms) {
    if (came_) return true;
    const timespec time{ms / 1000, (ms % 1000) * 1'000'000};
    came_ = sigtimedwait(&set_, nullptr, &time) > 0;
    return came_;
  }

 private:
  sigset_t set_;
  bool came_ = false;
};

uint64_t RandomSeed();

// These wait for what is away, and log why. Nothing: told to stop, or it never will be there (for
// a store in RocksDB: another process has kept it for 10 s).
std::unique_ptr<Store> OpenStore(const ProcessOptions& options, Signals& signals);
std::unique_ptr<RocksDbStore> OpenRocksDb(const ProcessOptions& options, Signals& signals);
std::optional<hub::ProbeResult> FindHub(const ProcessOptions& options, Signals& signals);

// Beside whatever process has it open; makes and changes nothing. It does not wait, but for a store
// in RocksDB that changes while it is being opened.
std::unique_ptr<Store> OpenStoreToRead(const ProcessOptions& options, Signals& signals);

std::string StoreName(const ProcessOptions& options);  // for messages
std::string IsoTime(int64_t unix_ms);                  // 2026-01-31T12:00:00.123Z

}  // namespace nightjar::persist
