#include "persister/rocksdb_tables.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/log.h"
#include "persister/merge.h"
#include "persister/rocksdb_keys.h"

namespace nightjar::storage {
namespace {

// False (RocksDB then reports corruption) if either value is no such message.
template <typename T>
bool MergeBytes(const rocksdb::Slice* existing, const rocksdb::Slice& value, std::string* out) {
  T into;
  T from;
  if (!from.ParseFromArray(value.data(), static_cast<int>(value.size()))) return false;
  if (existing == nullptr) {
    into = std::move(from);
  } else {
    if (!into.ParseFromArray(existing->data(), static_cast<int>(existing->size()))) return false;
    Merge(into, from);
  }
  return into.SerializeToString(out);
}

// A message's key up to its chat: keys of one chat are inserted near to one another.
class ChatOfKey : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "nightjar.ChatOfKey"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), key.size() - 8};
  }
  bool InDomain(const rocksdb::Slice& key) const override { return key.size() > 8; }
};

class RowMerge : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice& key, const rocksdb::Slice* existing, const rocksdb::Slice& value,
             std::string* out, rocksdb::Logger*) const override {
    const Row row = ParseRow({key.data(), key.size()});
    if (!row.ok) return false;
    switch (row.kind) {
      case Kind::kMeta:
        return MergeBytes<ChatMeta>(existing, value, out);
      case Kind::kMember:
        return MergeBytes<MemberSpan>(existing, value, out);
      case Kind::kMark:
        return MergeBytes<Mark>(existing, value, out);
      case Kind::kNames:
        return MergeBytes<UserNames>(existing, value, out);
      case Kind::kPush:
        return MergeBytes<v1::PushRegistered>(existing, value, out);
      case Kind::kMute:
        return MergeBytes<v1::Muted>(existing, value, out);
      case Kind::kUserChat:
        return false;  // only ever put
    }
    return false;
  }
  const char* Name() const override { return "nightjar.RowMerge"; }
};

// RocksDB's warnings go where ours go, and not to a file of its own beside the data: on a full disk
// it could not write that either, and Debian's build aborts over it.
class OurLog : public rocksdb::Logger {
 public:
  OurLog() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list values) override {
    char line[1024];
    vsnprintf(line, sizeof line, format, values);
    line[strcspn(line, "\n")] = '\0';
    log::Warning("store: RocksDB: {}", line);
  }
};

}  // namespace

rocksdb::DBOptions DbOptions(const RocksDbStore::Options& options) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.db_write_buffer_size = options.write_buffer_bytes;
  db.max_total_wal_size = 4 * options.write_buffer_bytes;
  db.max_open_files = 512;
  db.max_background_jobs = 2;
  db.bytes_per_sync = 1 << 20;
  db.info_log = std::make_shared<OurLog>();
  db.max_manifest_file_size = 64 << 20;
  // Every Put is synced, so only the very last record of the log may be incomplete (the write that
  // was under way at the crash, never acknowledged). Damage further up is not skipped in silence.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.paranoid_checks = true;
  // One writer: what comes next in a chat goes in beside what came last, found without a search.
  db.allow_concurrent_memtable_write = false;
  return db;
}

rocksdb::DBOptions DbOptionsToRead(const RocksDbStore::Options& options) {
  rocksdb::DBOptions db = DbOptions(options);
  db.create_if_missing = false;
  db.create_missing_column_families = false;
  db.max_open_files = -1;  // what the other process deletes stays readable
  return db;
}

bool IsDatabase(const std::string& dir) {
  std::error_code error;
  return std::filesystem::exists(dir + "/CURRENT", error);
}

std::vector<rocksdb::ColumnFamilyDescriptor> Tables(const RocksDbStore::Options& options,
                                                    std::shared_ptr<const Expiry> expiry) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_size = 16 << 10;
  table.format_version = 5;

  rocksdb::ColumnFamilyOptions family;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.write_buffer_size = options.write_buffer_bytes / 4;
  family.max_write_buffer_number = 3;
  family.compression = rocksdb::kLZ4Compression;
  family.bottommost_compression = rocksdb::kZSTD;
  family.level_compaction_dynamic_level_bytes = true;

  rocksdb::ColumnFamilyOptions messages = family;
  messages.memtable_insert_with_hint_prefix_extractor = std::make_shared<ChatOfKey>();
  messages.compaction_filter_factory = MakeExpiryFilters(std::move(expiry));
  messages.periodic_compaction_seconds = 0;  // until it is known that something expires
  rocksdb::ColumnFamilyOptions merging = family;
  merging.merge_operator = std::make_shared<RowMerge>();
  rocksdb::ColumnFamilyOptions small;
  small.write_buffer_size = 1 << 20;
  return {{rocksdb::kDefaultColumnFamilyName, small},
          {"messages", messages},
          {"chats", merging},
          {"users", merging}};
}

}  // namespace nightjar::storage
