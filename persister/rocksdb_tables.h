// How RocksDB is set up for the store: tables (column families), merging, memory and files.
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <vector>

#include "persister/rocksdb_expiry.h"
#include "persister/rocksdb_store.h"

namespace nightjar::storage {

// Version of keys and values; kept in the default table under kLayoutKey.
inline constexpr char kLayoutKey[] = "layout";
inline constexpr char kLayout[] = "1";
// How long messages are kept, in milliseconds; in the default table, too. Missing: for ever.
inline constexpr char kKeepKey[] = "keep_ms";

rocksdb::DBOptions DbOptions(const RocksDbStore::Options& options);
// Of one that another process may have open.
rocksdb::DBOptions DbOptionsToRead(const RocksDbStore::Options& options);
bool IsDatabase(const std::string& dir);  // RocksDB's, whoever made it
// In the order: default, messages, chats, users.
std::vector<rocksdb::ColumnFamilyDescriptor> Tables(const RocksDbStore::Options& options,
                                                    std::shared_ptr<const Expiry> expiry);

}  // namespace nightjar::storage
