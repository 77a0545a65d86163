#include "persister/rocksdb_store.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <charconv>

#include "common/wire/names.h"
#include "persister/fold.h"
#include "persister/record_check.h"
#include "persister/rocksdb_expiry.h"
#include "persister/rocksdb_keys.h"
#include "persister/rocksdb_tables.h"

namespace nightjar {

using storage::Kind;

namespace {

std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

template <typename T>
bool Parse(const rocksdb::Slice& slice, T& out) {
  return out.ParseFromArray(slice.data(), static_cast<int>(slice.size()));
}

Status Damaged(const std::string& dir, const char* what) {
  return {Code::kInternal, "store " + dir + ": a value in " + what + " cannot be read"};
}

}  // namespace

// ---- writing ----------------------------------------------------------------------------------

namespace {

template <typename T>
void MergeAll(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* table,
              const storage::Folded::Rows<T>& rows, std::string& bytes) {
  for (const auto& [key, value] : rows) {
    value.SerializeToString(&bytes);
    batch.Merge(table, key, bytes);
  }
}

}  // namespace

Status RocksDbStore::Put(const std::vector<v1::JournalRecord>& records) {
  for (const v1::JournalRecord& record : records) {
    if (Status s = CheckRecord(record); !s.ok()) return s;
  }
  if (records.empty()) return Status::Ok();
  if (write_failed_.exchange(false)) {
    // After a failed write RocksDB refuses all further ones, with that one's reason, until told that
    // the cause is gone. Busy: it waits by itself for room on the disk.
    if (const rocksdb::Status s = db_->Resume(); !s.ok() && !s.IsBusy()) {
      write_failed_ = true;
      return Told(s, "resume writing");
    }
  }
  const storage::Folded rows = storage::Fold(records, *known_);
  rocksdb::WriteBatch batch;
  std::string bytes;
  for (const v1::Message* message : rows.messages) {
    message->SerializeToString(&bytes);
    batch.Put(messages_, storage::MessageKey(message->chat_id(), message->msg_id()), bytes);
  }
  for (const std::string& key : rows.user_chats) batch.Put(users_, key, rocksdb::Slice());
  for (const auto& [chat, meta] : rows.metas) {
    meta.SerializeToString(&bytes);
    batch.Merge(chats_, storage::RowKey(chat, Kind::kMeta), bytes);
  }
  MergeAll(batch, chats_, rows.members, bytes);
  MergeAll(batch, chats_, rows.marks, bytes);
  MergeAll(batch, users_, rows.names, bytes);
  MergeAll(batch, users_, rows.push, bytes);
  MergeAll(batch, users_, rows.mutes, bytes);
  rocksdb::WriteOptions options;
  options.sync = true;
  const rocksdb::Status status = db_->Write(options, &batch);
  if (!status.ok()) {
    write_failed_ = true;
    return Told(status, "write");
  }
  storage::Remember(rows, *known_);
  FlushDaily();
  return Status::Ok();
}

// Whenever a new file comes, RocksDB looks which old ones are due to be compacted for what is in
// them to expire. Where little is written none might come for weeks.
void RocksDbStore::FlushDaily() {
  if (OldestKept() == 0) return;
  const int64_t now = expiry_->unix_ms();
  int64_t last = flushed_ms_;
  if (now - last < kDayMs || !flushed_ms_.compare_exchange_strong(last, now)) return;
  rocksdb::FlushOptions options;
  options.wait = false;
  // What goes wrong here the next Put is told as well.
  db_->Flush(options, messages_).PermitUncheckedError();
}

Result<Backup> RocksDbStore::BackUp(const BackupOptions& options) {
  return storage::BackUp(*db_, options);
}

Status RocksDbStore::Compact() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  return Told(db_->CompactRange(options, messages_, nullptr, nullptr), "compact");
}

// ---- reading ----------------------------------------------------------------------------------

Result<HistoryPage> RocksDbStore::History(const HistoryQuery& query) {
  const auto range = RangeOf(query, OldestKept());
  if (!range.ok()) return range.status();
  HistoryPage page;
  if (range->empty()) return page;
  // Keys run from the newest to the oldest.
  const std::string lower = storage::MessageKey(query.chat_id, range->below - 1);
  const std::string upper = storage::MessageKey(query.chat_id, range->above);
  const rocksdb::Slice lower_slice(lower);
  const rocksdb::Slice upper_slice(upper);
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &lower_slice;
  options.iterate_upper_bound = &upper_slice;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, messages_));
  const bool oldest_first = range->oldest_first;
  oldest_first ? it->SeekToLast() : it->SeekToFirst();
  for (; it->Valid(); oldest_first ? it->Prev() : it->Next()) {
    if (it->value().empty()) continue;  // expired by what was once to be kept
    if (page.messages.size() == query.limit) {
      page.more = true;
      break;
    }
    if (!Parse(it->value(), page.messages.emplace_back())) return Damaged(dir_, "messages");
  }
  if (!it->status().ok()) return Told(it->status(), "read");
  if (!oldest_first) std::reverse(page.messages.begin(), page.messages.end());
  return page;
}

MsgId RocksDbStore::OldestKept() const { return expiry_->OldestKept(); }

Result<std::vector<std::optional<v1::Message>>> RocksDbStore::Newest(
    const std::vector<NewestOf>& chats) {
  std::vector<std::optional<v1::Message>> out(chats.size());
  std::vector<std::string> keys;
  for (const NewestOf& chat : chats) keys.push_back(storage::MessageKey(chat.chat_id, chat.guess));
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(chats.size());
  std::vector<rocksdb::Status> statuses(chats.size());
  db_->MultiGet(rocksdb::ReadOptions(), messages_, slices.size(), slices.data(), values.data(),
                statuses.data());
  const MsgId oldest_kept = OldestKept();
  std::unique_ptr<rocksdb::Iterator> it;
  for (size_t i = 0; i < chats.size(); ++i) {
    if (statuses[i].ok() && chats[i].guess >= oldest_kept && !values[i].empty()) {
      if (!Parse(values[i], out[i].emplace())) return Damaged(dir_, "messages");
      continue;
    }
    if (!statuses[i].ok() && !statuses[i].IsNotFound()) return Told(statuses[i], "read");
    if (!it) it.reset(db_->NewIterator(rocksdb::ReadOptions(), messages_));
    const std::string prefix = storage::Prefix(chats[i].chat_id);
    it->Seek(prefix);
    if (!it->status().ok()) return Told(it->status(), "read");
    if (!it->Valid() || !it->key().starts_with(prefix)) continue;
    // The newest has expired, so all have.
    if (it->value().empty() || storage::MessageIdOf(View(it->key())) < oldest_kept) continue;
    if (!Parse(it->value(), out[i].emplace())) return Damaged(dir_, "messages");
  }
  return out;
}

Result<MsgId> RocksDbStore::NewestMessage(const std::string& chat) {
  const std::string lower = storage::Prefix(chat);
  const std::string upper = storage::After(lower);
  const rocksdb::Slice upper_slice(upper);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_slice;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, messages_));
  it->Seek(lower);
  if (it->Valid()) return storage::MessageIdOf(View(it->key()));
  if (!it->status().ok()) return Told(it->status(), "read");
  return MsgId{0};
}

Result<std::optional<StoredChat>> RocksDbStore::ReadChat(const std::string& chat_id) {
  const std::string lower = storage::Prefix(chat_id);
  const std::string upper = storage::After(lower);
  const rocksdb::Slice upper_slice(upper);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_slice;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, chats_));
  StoredChat chat;
  bool found = false;
  MsgId first = 0;
  for (it->Seek(lower); it->Valid(); it->Next()) {
    const storage::Row row = storage::ParseRow(View(it->key()));
    if (row.kind == Kind::kMeta) {
      storage::ChatMeta meta;
      if (!Parse(it->value(), meta)) return Damaged(dir_, "chats");
      found = true;
      first = meta.first_id();
      chat.title = meta.title();
      chat.created_ms = meta.created_ms();
      chat.created_by = meta.created_by();
      chat.last_msg_id = meta.last_change_id();
    } else if (row.kind == Kind::kMember) {
      storage::MemberSpan span;
      if (!Parse(it->value(), span)) return Damaged(dir_, "chats");
      chat.members.push_back({std::string(row.rest), span.joined_id(),
                              span.left_id() > span.joined_id() ? span.left_id() : 0});
    } else if (row.kind == Kind::kMark) {
      storage::Mark mark;
      if (!Parse(it->value(), mark)) return Damaged(dir_, "chats");
      chat.delivered.emplace_back(std::string(row.rest), mark.msg_id());
    }
  }
  if (!it->status().ok()) return Told(it->status(), "read");
  if (!found) return std::optional<StoredChat>();
  auto newest = NewestMessage(chat_id);
  if (!newest.ok()) return newest.status();
  chat.last_msg_id = std::max(chat.last_msg_id, *newest);
  chat.chat_id = chat_id;
  if (const auto name = ParseChatId(chat_id); name && name->direct) {
    chat.direct = true;
    chat.members.push_back({name->low, first, 0});
    if (name->high != name->low) chat.members.push_back({name->high, first, 0});
  }
  return std::optional<StoredChat>(std::move(chat));
}

Result<std::vector<std::pair<std::string, MsgId>>> RocksDbStore::ChatsOf(const std::string& uid) {
  const std::string lower = storage::RowKey(uid, Kind::kUserChat);
  const std::string upper = storage::After(lower);
  const rocksdb::Slice upper_slice(upper);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_slice;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, users_));
  std::vector<std::pair<std::string, MsgId>> chats;
  for (it->Seek(lower); it->Valid(); it->Next()) {
    const std::string chat(storage::ParseRow(View(it->key())).rest);
    std::string bytes;
    rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), chats_, storage::RowKey(chat, Kind::kMeta), &bytes);
    if (!status.ok()) return Told(status, "read");
    storage::ChatMeta meta;
    if (!Parse(bytes, meta)) return Damaged(dir_, "chats");
    const auto message = NewestMessage(chat);
    if (!message.ok()) return message.status();
    MsgId newest = std::max<MsgId>(meta.last_change_id(), *message);
    status =
        db_->Get(rocksdb::ReadOptions(), chats_, storage::RowKey(chat, Kind::kMember, uid), &bytes);
    if (status.ok()) {
      storage::MemberSpan span;
      if (!Parse(bytes, span)) return Damaged(dir_, "chats");
      if (span.left_id() > span.joined_id()) newest = span.left_id();
    } else if (!status.IsNotFound()) {
      return Told(status, "read");
    }
    chats.emplace_back(chat, newest);
  }
  if (!it->status().ok()) return Told(it->status(), "read");
  return chats;
}

Result<Store::UserRecord> RocksDbStore::ReadUser(const std::string& uid) {
  const std::string lower = storage::Prefix(uid);
  const std::string upper = storage::After(lower);
  const rocksdb::Slice upper_slice(upper);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_slice;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, users_));
  UserRecord user;
  it->Seek(storage::RowKey(uid, Kind::kNames));  // past the chats
  for (; it->Valid(); it->Next()) {
    const storage::Row row = storage::ParseRow(View(it->key()));
    if (row.kind == Kind::kNames) {
      storage::UserNames names;
      if (!Parse(it->value(), names)) return Damaged(dir_, "users");
      user.name = names.name();
      user.email = names.email();
    } else if (row.kind == Kind::kPush) {
      v1::PushRegistered push;
      if (!Parse(it->value(), push)) return Damaged(dir_, "users");
      if (push.registration().gateway_case() != v1::RegisterPush::GATEWAY_NOT_SET) {
        user.push.push_back(std::move(push));
      }
    } else if (row.kind == Kind::kMute) {
      v1::Muted mute;
      if (!Parse(it->value(), mute)) return Damaged(dir_, "users");
      if (mute.until_ms() != 0) user.mutes.push_back(std::move(mute));
    }
  }
  if (!it->status().ok()) return Told(it->status(), "read");
  return user;
}

Result<Store::NamesPage> RocksDbStore::Names(Named what, const std::string& from, uint32_t limit) {
  NamesPage page;
  if (limit == 0) return Status(Code::kInvalidArgument, "no names asked for");
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(options, what == Named::kChats ? chats_ : users_));
  for (it->Seek(from); it->Valid(); it->Seek(page.next)) {
    if (page.names.size() == limit) return page;
    const storage::Row row = storage::ParseRow(View(it->key()));
    if (!row.ok) return Damaged(dir_, "keys");
    page.next = storage::After(storage::Prefix(row.name));
    page.names.emplace_back(row.name);
  }
  if (!it->status().ok()) return Told(it->status(), "read");
  page.next.clear();
  return page;
}

// ---- opening, closing, errors -----------------------------------------------------------------

RocksDbStore::RocksDbStore(std::string dir, const Retention& retention)
    : dir_(std::move(dir)),
      expiry_(std::make_shared<storage::Expiry>(retention.unix_ms)),
      known_(std::make_unique<storage::KnownChats>()) {}

Status RocksDbStore::Told(const rocksdb::Status& status, const char* doing) const {
  if (status.ok()) return Status::Ok();
  const std::string text = "store " + dir_ + ": cannot " + doing + ": " + status.ToString();
  if (status.IsNoSpace()) return {Code::kUnavailable, text + " (make room on the disk)"};
  if (status.IsIOError() && text.find("lock") != std::string::npos) {
    return {Code::kUnavailable, text + " (another process has it open)"};
  }
  if (status.IsCorruption()) {
    return {Code::kInternal, text + " (damaged: restore a copy; nothing is skipped by itself)"};
  }
  if (status.IsInvalidArgument() || status.IsNotSupported() || status.IsNotFound()) {
    return {Code::kInternal, text};
  }
  return {Code::kUnavailable, text};
}

void RocksDbStore::Take(rocksdb::DB* db) {
  db_.reset(db);
  messages_ = handles_[1];
  chats_ = handles_[2];
  users_ = handles_[3];
}

Status RocksDbStore::CheckLayout(const std::string& layout) const {
  if (layout == storage::kLayout) return Status::Ok();
  return {Code::kInternal,
          "store " + dir_ + ": has layout " + layout + ", this program knows " + storage::kLayout};
}

Status RocksDbStore::SettleLayout() {
  std::string layout;
  rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), storage::kLayoutKey, &layout);
  if (status.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    status = db_->Put(synced, storage::kLayoutKey, storage::kLayout);
    layout = storage::kLayout;
  }
  if (!status.ok()) return Told(status, "open");
  return CheckLayout(layout);
}

Result<int64_t> RocksDbStore::KeepMs() {
  std::string text;
  const auto status = db_->Get(rocksdb::ReadOptions(), storage::kKeepKey, &text);
  if (status.IsNotFound()) return int64_t{0};
  if (!status.ok()) return Told(status, "open");
  int64_t keep_ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), keep_ms);
  if (error != std::errc() || end != text.data() + text.size() || keep_ms < 0) {
    return Damaged(dir_, "settings");
  }
  return keep_ms;
}

// The store remembers how long it keeps messages: whatever opens it shows the same.
Status RocksDbStore::SettleKeep(const std::optional<int64_t>& asked) {
  const auto known = KeepMs();
  if (!known.ok()) return known.status();
  const int64_t keep_ms = asked.value_or(*known);
  if (keep_ms != *known) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    const auto status = db_->Put(synced, storage::kKeepKey, std::to_string(keep_ms));
    if (!status.ok()) return Told(status, "open");
  }
  expiry_->Keep(keep_ms);
  if (keep_ms == 0) return Status::Ok();
  return Told(db_->SetOptions(messages_, {{"periodic_compaction_seconds",
                                           std::to_string(storage::CompactEverySeconds(keep_ms))}}),
              "open");
}

Result<std::unique_ptr<RocksDbStore>> RocksDbStore::Open(const Options& options) {
  if (storage::HalfRestored(options.dir)) {
    return Status(Code::kInternal,
                  "store " + options.dir + ": is being restored; if that was broken off, again");
  }
  std::unique_ptr<RocksDbStore> store(new RocksDbStore(options.dir, options.retention));
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(storage::DbOptions(options), options.dir,
                        storage::Tables(options, store->expiry_), &store->handles_, &db);
  if (!status.ok()) return store->Told(status, "open");
  store->Take(db);
  if (Status s = store->SettleLayout(); !s.ok()) return s;
  if (Status s = store->SettleKeep(options.retention.keep_ms); !s.ok()) return s;
  return store;
}

Result<std::unique_ptr<RocksDbStore>> RocksDbStore::OpenToRead(const Options& options) {
  if (!storage::IsDatabase(options.dir)) {
    return Status(Code::kInternal, "store " + options.dir + ": there is none");
  }
  std::unique_ptr<RocksDbStore> store(new RocksDbStore(options.dir, options.retention));
  rocksdb::DB* db = nullptr;
  // Its own directory would be for its log, which goes nowhere.
  rocksdb::Status status = rocksdb::DB::OpenAsSecondary(
      storage::DbOptionsToRead(options), options.dir, options.dir + "/none",
      storage::Tables(options, store->expiry_), &store->handles_, &db);
  if (!status.ok()) return store->Told(status, "open");
  store->Take(db);
  std::string layout;
  status = db->Get(rocksdb::ReadOptions(), storage::kLayoutKey, &layout);
  if (!status.ok()) return store->Told(status, "open");
  if (Status s = store->CheckLayout(layout); !s.ok()) return s;
  const auto keep_ms = store->KeepMs();
  if (!keep_ms.ok()) return keep_ms.status();
  store->expiry_->Keep(*keep_ms);
  return store;
}

RocksDbStore::~RocksDbStore() {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    if (db_) db_->DestroyColumnFamilyHandle(handle);
  }
  if (db_) db_->Close();
}

}  // namespace nightjar
