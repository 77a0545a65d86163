// Copies of a RocksDB store in a folder of backups, by RocksDB's own backup engine: each takes the
// files that no earlier one has, and every file's checksum.
//
// Threads: any; calls block for the disk. Errors: kInvalidArgument (not with these folders),
// kUnavailable (disk, or told to stop), kInternal (damaged).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace rocksdb {
class DB;
}

namespace nightjar {

struct BackupOptions {
  std::string to;              // folder of the backups of this one store; made if missing
  uint32_t keep = 0;           // the newest so many stay, others go; 0: all stay
  uint32_t mib_per_s = 0;      // written at most; 0: as fast as it goes
  std::function<bool()> stop;  // asked now and then: true gives up; empty: never
};

struct Backup {
  uint32_t number = 0;
  int64_t made_ms = 0;  // Unix; to the second
  uint64_t bytes = 0;   // files of others shared
};

namespace storage {

// Everything that was put before the call is in it.
Result<Backup> BackUp(rocksdb::DB& db, const BackupOptions& options);

// Oldest first.
Result<std::vector<Backup>> ListBackups(const std::string& from);

// Into `dir`, which is missing or empty (or was left by a restore that was broken off). Everything
// is verified before it is a store. `number`: 0: the newest.
Result<Backup> Restore(const std::string& from, uint32_t number, const std::string& dir);

// A restore into `dir` is under way, or was broken off: it is no store.
bool HalfRestored(const std::string& dir);

}  // namespace storage
}  // namespace nightjar
