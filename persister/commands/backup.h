// nightjar-persister backup and restore: copies of a RocksDB store, made while it is in use.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <string>

#include "persister/process.h"
#include "persister/rocksdb_store.h"
#include "persister/store_door.h"

namespace nightjar::persist {

struct BackupArgs {
  std::string to;
  uint32_t keep = 0;
  uint32_t mib_per_s = 0;
};
struct RestoreArgs {
  std::string from;
  uint32_t number = 0;  // 0: the newest
  bool list = false;
};

// Adds the command; `args` must live until the command line is parsed. Returns the command.
CLI::App* AddBackup(CLI::App& app, BackupArgs& args);
CLI::App* AddRestore(CLI::App& app, RestoreArgs& args);

// These return the process's exit code: 0 done, 1 something is away, damaged or full, 2 not with
// these folders. The outcome goes to standard output. Call on the main thread, before any other
// thread exists.
int RunBackup(const ProcessOptions& options, const BackupArgs& args);
int RunRestore(const ProcessOptions& options, const RestoreArgs& args);

// What a process that has `store` open does for RunBackup in another one: while this lives, it
// makes the backups it is asked for. Null (logged): it cannot be asked.
std::unique_ptr<StoreDoor> ServeBackups(const std::string& dir, RocksDbStore& store);

}  // namespace nightjar::persist
