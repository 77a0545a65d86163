#include "persister/rocksdb_backup.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/utilities/backup_engine.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "persister/rocksdb_store.h"

namespace nightjar::storage {
namespace {

namespace fs = std::filesystem;

// While this is in a folder, the folder is no store.
constexpr char kRestoring[] = "restoring";
constexpr char kLock[] = "lock";
constexpr uint64_t kLookEvery = 1 << 20;  // bytes between two looks whether to stop
constexpr char kCurrent[] = "CURRENT";    // what makes a folder a database of RocksDB's

Status Told(const std::string& folder, const char* doing, const rocksdb::Status& status) {
  const std::string text = folder + ": cannot " + doing + ": " + status.ToString();
  return {status.IsCorruption() || status.IsNotFound() ? Code::kInternal : Code::kUnavailable,
          "backups " + text};
}

Status Refused(const std::string& what) { return {Code::kInvalidArgument, what}; }

Status Failed(const std::string& what, const std::error_code& error) {
  return {Code::kUnavailable, what + ": " + error.message()};
}

Backup From(const rocksdb::BackupInfo& info) {
  return {info.backup_id, info.timestamp * 1000, info.size};
}

// Two processes must not write into one folder of backups.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder)
      : fd_(open((folder + "/" + kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}
  ~FolderLock() {
    if (fd_ >= 0) close(fd_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  bool Take() const { return fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) == 0; }

 private:
  const int fd_;
};

Result<std::unique_ptr<rocksdb::BackupEngineReadOnly>> OpenToRead(const std::string& from) {
  std::error_code error;
  if (!fs::is_directory(from + "/meta", error)) return Refused(from + ": no backups are there");
  rocksdb::BackupEngineReadOnly* engine = nullptr;
  const auto status = rocksdb::BackupEngineReadOnly::Open(
      rocksdb::Env::Default(), rocksdb::BackupEngineOptions(from), &engine);
  if (!status.ok()) return Told(from, "open", status);
  return std::unique_ptr<rocksdb::BackupEngineReadOnly>(engine);
}

// An empty `dir` with an empty `restoring` in it.
Status MakeRoom(const std::string& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) return Failed(dir, error);
  if (HalfRestored(dir)) {
    for (const auto& entry : fs::directory_iterator(dir, error)) {
      // The marker goes last, should this be broken off, too.
      if (entry.path().filename() != kRestoring) fs::remove_all(entry.path(), error);
      if (error) return Failed(dir, error);
    }
    fs::remove_all(fs::path(dir) / kRestoring, error);
    if (error) return Failed(dir, error);
  } else if (!fs::is_empty(dir, error) || error) {
    if (error) return Failed(dir, error);
    return Refused(dir + ": is not empty, and nothing is restored over what is there");
  }
  fs::create_directory(fs::path(dir) / kRestoring, error);
  return error ? Failed(dir, error) : Status::Ok();
}

Status SyncFolder(const std::string& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const std::error_code error(errno, std::generic_category());
  if (fd >= 0) close(fd);
  return synced ? Status::Ok() : Failed(dir, error);
}

// From `restoring` to its place; the file that makes it a database last.
Status MoveIn(const std::string& dir) {
  const fs::path from = fs::path(dir) / kRestoring;
  std::error_code error;
  std::vector<fs::path> names;
  for (const auto& entry : fs::directory_iterator(from, error)) {
    if (entry.path().filename() != kCurrent) names.push_back(entry.path().filename());
  }
  names.emplace_back(kCurrent);
  for (const fs::path& name : names) {
    if (!error) fs::rename(from / name, fs::path(dir) / name, error);
  }
  if (error) return Failed(dir, error);
  if (Status s = SyncFolder(dir); !s.ok()) return s;
  fs::remove(from, error);
  return error ? Failed(dir, error) : SyncFolder(dir);
}

}  // namespace

bool HalfRestored(const std::string& dir) {
  std::error_code error;
  return fs::exists(fs::path(dir) / kRestoring, error);
}

Result<Backup> BackUp(rocksdb::DB& db, const BackupOptions& options) {
  std::error_code error;
  const fs::path within = fs::weakly_canonical(options.to, error)
                              .lexically_relative(fs::weakly_canonical(db.GetName(), error));
  if (!within.empty() && *within.begin() != "..") {
    return Refused(options.to + ": is within the store, and would be lost with it");
  }
  fs::create_directories(options.to, error);
  if (error) return Failed(options.to, error);
  const FolderLock lock(options.to);
  if (!lock.Take()) {
    return Refused(options.to + ": another backup into it is under way, or it cannot be written");
  }
  rocksdb::BackupEngineOptions how(options.to);
  how.callback_trigger_interval_size = kLookEvery;
  how.backup_rate_limit = uint64_t{options.mib_per_s} << 20;
  rocksdb::BackupEngine* opened = nullptr;
  rocksdb::Status status = rocksdb::BackupEngine::Open(rocksdb::Env::Default(), how, &opened);
  if (!status.ok()) return Told(options.to, "open", status);
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);

  rocksdb::CreateBackupOptions create;
  // Else all that the log holds is copied anew each time.
  create.flush_before_backup = true;
  create.progress_callback = [&] {
    if (options.stop && options.stop()) engine->StopBackup();
  };
  rocksdb::BackupID number = 0;
  status = engine->CreateNewBackup(create, &db, &number);
  if (!status.ok()) return Told(options.to, "back up", status);
  // That every file is there, as long as it should be. Contents are verified by a restore.
  status = engine->VerifyBackup(number);
  if (!status.ok()) return Told(options.to, "verify the backup", status);
  if (options.keep != 0) {
    status = engine->PurgeOldBackups(options.keep);
    if (!status.ok()) return Told(options.to, "remove old ones", status);
  }
  rocksdb::BackupInfo info;
  status = engine->GetBackupInfo(number, &info);
  if (!status.ok()) return Told(options.to, "look at the backup", status);
  return From(info);
}

Result<std::vector<Backup>> ListBackups(const std::string& from) {
  const auto engine = OpenToRead(from);
  if (!engine.ok()) return engine.status();
  std::vector<rocksdb::BackupInfo> infos;
  (*engine)->GetBackupInfo(&infos);
  std::vector<Backup> backups;
  for (const rocksdb::BackupInfo& info : infos) backups.push_back(From(info));
  return backups;
}

Result<Backup> Restore(const std::string& from, uint32_t number, const std::string& dir) {
  const auto engine = OpenToRead(from);
  if (!engine.ok()) return engine.status();
  rocksdb::BackupInfo info;
  rocksdb::Status status =
      number == 0 ? (*engine)->GetLatestBackupInfo(&info) : (*engine)->GetBackupInfo(number, &info);
  if (!status.ok()) {
    return Refused(from + ": there is no " +
                   (number == 0 ? "whole backup" : "backup " + std::to_string(number)));
  }
  status = (*engine)->VerifyBackup(info.backup_id, /*verify_with_checksum=*/true);
  if (!status.ok()) return Told(from, "restore what is damaged", status);
  if (Status s = MakeRoom(dir); !s.ok()) return s;
  const std::string half = dir + "/" + kRestoring;
  status = (*engine)->RestoreDBFromBackup(rocksdb::RestoreOptions(), info.backup_id, half, half);
  if (!status.ok()) return Told(from, "restore", status);
  // It opens, and is a store.
  RocksDbStore::Options look;
  look.dir = half;
  const auto store = RocksDbStore::OpenToRead(look);
  if (!store.ok()) return store.status();
  if (Status s = MoveIn(dir); !s.ok()) return s;
  return From(info);
}

}  // namespace nightjar::storage
