// Takes expired messages out of RocksDB's files while it compacts them.
#pragma once

#include <rocksdb/compaction_filter.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "common/wire/msg_id.h"

namespace nightjar::storage {

// What has expired by now. Threads: any.
class Expiry {
 public:
  explicit Expiry(std::function<int64_t()> unix_ms) : unix_ms_(std::move(unix_ms)) {}
  void Keep(int64_t keep_ms) { keep_ms_ = keep_ms; }  // 0: for ever
  int64_t unix_ms() const { return unix_ms_(); }
  MsgId OldestKept() const;

 private:
  const std::function<int64_t()> unix_ms_;
  std::atomic<int64_t> keep_ms_{0};
};

// For the table of messages. Whatever a compaction sees of a chat, the newest row of it stays; if
// expired, without its content. So the newest id of a chat never goes back, and costs its other
// messages nothing. Such a row has an empty value.
std::shared_ptr<rocksdb::CompactionFilterFactory> MakeExpiryFilters(
    std::shared_ptr<const Expiry> expiry);

// How old a file may become before it is compacted, for what is in it to expire. 0: however old.
uint64_t CompactEverySeconds(int64_t keep_ms);

}  // namespace nightjar::storage
