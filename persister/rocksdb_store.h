// The store in one directory of this machine, on RocksDB. docs/storage.md describes what is in it.
//
// One process has the directory open at a time (RocksDB's own lock). Put writes one batch with one
// fsync of the log, whole or not at all, and reads nothing: newer and older values of a key are
// merged by persister/merge.h whenever the database gets to it.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "persister/retention.h"
#include "persister/rocksdb_backup.h"
#include "persister/store.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class Status;
}  // namespace rocksdb

namespace nightjar {

namespace storage {
class Expiry;
class KnownChats;
}  // namespace storage

class RocksDbStore : public Store {
 public:
  struct Options {
    std::string dir;                              // created if missing (its parent must exist)
    size_t block_cache_bytes = size_t{64} << 20;  // what reads may hold; index and filters included
    size_t write_buffer_bytes = size_t{64}
                                << 20;  // what is written and not yet in files, all tables
    Retention retention;
  };

  // kUnavailable: locked by another process, no room, no permission; kInternal: damaged, or written
  // by something newer. The message names the directory and what to do.
  static Result<std::unique_ptr<RocksDbStore>> Open(const Options& options);
  // To read what is in it now, beside the process that has it open. Puts fail. It holds all files
  // of the store open, and those that it would have to itself. kUnavailable: they changed
  // meanwhile; kInternal: there is no store.
  static Result<std::unique_ptr<RocksDbStore>> OpenToRead(const Options& options);
  ~RocksDbStore() override;

  Status Put(const std::vector<v1::JournalRecord>& records) override;
  Result<HistoryPage> History(const HistoryQuery& query) override;
  Result<std::vector<std::optional<v1::Message>>> Newest(
      const std::vector<NewestOf>& chats) override;
  MsgId OldestKept() const override;
  Result<std::optional<StoredChat>> ReadChat(const std::string& chat_id) override;
  Result<std::vector<std::pair<std::string, MsgId>>> ChatsOf(const std::string& uid) override;
  Result<UserRecord> ReadUser(const std::string& uid) override;
  Result<NamesPage> Names(Named what, const std::string& from, uint32_t limit) override;

  // Rewrites all messages now, without those that have expired. Blocks; may take long.
  Status Compact();
  // While it is in use.
  Result<Backup> BackUp(const BackupOptions& options);

 private:
  RocksDbStore(std::string dir, const Retention& retention);
  void Take(rocksdb::DB* db);
  Status CheckLayout(const std::string& layout) const;
  Status SettleLayout();
  Result<int64_t> KeepMs();
  Status SettleKeep(const std::optional<int64_t>& asked);
  void FlushDaily();
  Status Told(const rocksdb::Status& status, const char* doing) const;
  // Id of the newest message; 0: none.
  Result<MsgId> NewestMessage(const std::string& chat);

  const std::string dir_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* messages_ = nullptr;
  rocksdb::ColumnFamilyHandle* chats_ = nullptr;
  rocksdb::ColumnFamilyHandle* users_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::atomic<bool> write_failed_{false};  // the next Put asks RocksDB to resume first
  std::atomic<int64_t> flushed_ms_{0};     // Unix; when FlushDaily last did
  const std::shared_ptr<storage::Expiry> expiry_;
  const std::unique_ptr<storage::KnownChats> known_;
};

}  // namespace nightjar
