#include "persister/rocksdb_expiry.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "persister/retention.h"
#include "persister/rocksdb_keys.h"

namespace nightjar::storage {
namespace {

constexpr size_t kIdBytes = 8;  // at the end of a key

// One compaction of a range of keys, which come in order: a chat's newest message first.
class ExpiryFilter : public rocksdb::CompactionFilter {
 public:
  explicit ExpiryFilter(MsgId oldest_kept) : oldest_kept_(oldest_kept) {}
  const char* Name() const override { return "nightjar.Expiry"; }

  Decision FilterV2(int, const rocksdb::Slice& slice, ValueType, const rocksdb::Slice& value,
                    std::string* new_value, std::string*) const override {
    const std::string_view key(slice.data(), slice.size());
    if (key.size() <= kIdBytes) return Decision::kKeep;
    const std::string_view chat = key.substr(0, key.size() - kIdBytes);
    const bool newest = chat != chat_;
    if (newest) chat_ = chat;
    if (MessageIdOf(key) >= oldest_kept_) return Decision::kKeep;
    if (!newest) return Decision::kRemove;
    if (value.empty()) return Decision::kKeep;
    new_value->clear();
    return Decision::kChangeValue;
  }

 private:
  const MsgId oldest_kept_;
  mutable std::string chat_;  // of the last key; RocksDB uses a filter in one thread
};

class ExpiryFilters : public rocksdb::CompactionFilterFactory {
 public:
  explicit ExpiryFilters(std::shared_ptr<const Expiry> expiry) : expiry_(std::move(expiry)) {}
  const char* Name() const override { return "nightjar.Expiry"; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    const MsgId oldest_kept = expiry_->OldestKept();
    return oldest_kept == 0 ? nullptr : std::make_unique<ExpiryFilter>(oldest_kept);
  }

 private:
  const std::shared_ptr<const Expiry> expiry_;
};

}  // namespace

MsgId Expiry::OldestKept() const {
  const int64_t keep_ms = keep_ms_;
  return keep_ms == 0 ? 0 : nightjar::OldestKept(keep_ms, unix_ms_());
}

std::shared_ptr<rocksdb::CompactionFilterFactory> MakeExpiryFilters(
    std::shared_ptr<const Expiry> expiry) {
  return std::make_shared<ExpiryFilters>(std::move(expiry));
}

uint64_t CompactEverySeconds(int64_t keep_ms) {
  return keep_ms == 0 ? 0 : static_cast<uint64_t>(std::max(kDayMs, keep_ms / 16) / 1000);
}

}  // namespace nightjar::storage
