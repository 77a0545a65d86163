#include "persister/rocksdb_store.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "common/wire/names.h"
#include "persister/merge.h"
#include "persister/record_check.h"
#include "persister/rocksdb_keys.h"
#include "persister/rocksdb_tables.h"

namespace nightjar {

using storage::Kind;

namespace {

constexpr size_t kKnownMost = 65'536;

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

// One Put, folded: a row appears once however many records of the batch touch it.
class RocksDbStore::Batch {
 public:
  explicit Batch(RocksDbStore& store) : store_(store) {}

  void Add(const v1::JournalRecord& record) {
    switch (record.body_case()) {
      case v1::JournalRecord::kMessage:
        return AddMessage(record.message());
      case v1::JournalRecord::kChatChange:
        return AddChange(record.chat_change());
      case v1::JournalRecord::kMark: {
        const v1::MarkMoved& moved = record.mark();
        storage::Mark mark;
        mark.set_msg_id(moved.msg_id());
        Fold(marks_, storage::RowKey(moved.chat_id(), Kind::kMark, moved.uid()), mark);
        return;
      }
      case v1::JournalRecord::kPush:
        Fold(push_, storage::RowKey(record.push().uid(), Kind::kPush, record.push().device()),
             record.push());
        return;
      case v1::JournalRecord::kMute: {
        const v1::Muted& mute = record.mute();
        // The device counts only where no chat is named.
        Fold(mutes_,
             storage::MuteKey(mute.uid(), mute.chat_id(),
                              mute.chat_id().empty() ? mute.device() : std::string()),
             mute);
        return;
      }
      case v1::JournalRecord::kUser: {
        storage::UserNames names;
        if (!record.user().name().empty()) {
          names.set_name(record.user().name());
          names.set_name_at_ms(record.user().at_ms());
        }
        if (!record.user().email().empty()) {
          names.set_email(record.user().email());
          names.set_email_at_ms(record.user().at_ms());
        }
        Fold(names_, storage::RowKey(record.user().uid(), Kind::kNames), names);
        return;
      }
      case v1::JournalRecord::BODY_NOT_SET:
        return;  // CheckRecord has refused it
    }
  }

  rocksdb::Status Write() {
    for (const auto& [chat, meta] : metas_) {
      if (const auto name = ParseChatId(chat); name && name->direct) {
        AddUserChat(name->low, chat);
        AddUserChat(name->high, chat);
      }
    }
    for (const std::string& key : user_chats_) batch_.Put(store_.users_, key, rocksdb::Slice());
    for (const auto& [chat, meta] : metas_) {
      batch_.Merge(store_.chats_, storage::RowKey(chat, Kind::kMeta), Bytes(meta));
    }
    MergeAll(store_.chats_, members_);
    MergeAll(store_.chats_, marks_);
    MergeAll(store_.users_, names_);
    MergeAll(store_.users_, push_);
    MergeAll(store_.users_, mutes_);
    rocksdb::WriteOptions options;
    options.sync = true;
    rocksdb::Status status = store_.db_->Write(options, &batch_);
    if (status.ok()) {
      for (const auto& [chat, meta] : metas_) store_.Remember(chat, meta.first_id());
    }
    return status;
  }

 private:
  template <typename T>
  using Rows = std::unordered_map<std::string, T>;

  template <typename T>
  static void Fold(Rows<T>& rows, std::string key, const T& value) {
    const auto [row, fresh] = rows.try_emplace(std::move(key), value);
    if (!fresh) storage::Merge(row->second, value);
  }

  template <typename T>
  const std::string& Bytes(const T& value) {
    value.SerializeToString(&bytes_);
    return bytes_;
  }

  template <typename T>
  void MergeAll(rocksdb::ColumnFamilyHandle* table, const Rows<T>& rows) {
    for (const auto& [key, value] : rows) batch_.Merge(table, key, Bytes(value));
  }

  void AddMessage(const v1::Message& message) {
    const std::string& chat = message.chat_id();
    const MsgId id = message.msg_id();
    batch_.Put(store_.messages_, storage::MessageKey(chat, id), Bytes(message));
    const bool direct = chat[0] == 'd';
    if (store_.NothingNew(chat, direct, id)) return;
    storage::ChatMeta& meta = metas_[chat];  // if only to say that the chat is there
    // A direct chat is made by its first message.
    if (direct && (meta.first_id() == 0 || id < meta.first_id())) {
      meta.set_first_id(id);
      meta.set_created_ms(MsgIdMs(id));
      meta.set_created_by(message.author());
    }
  }

  void AddChange(const v1::ChatChange& change) {
    const v1::Chat& chat = change.chat();
    const MsgId id = change.msg_id();
    const bool created = change.kind() == v1::ChatChange::CREATED;
    storage::ChatMeta meta;
    meta.set_last_change_id(id);
    meta.set_first_id(id);
    // The creating change was written down before its id was known: the id says when.
    meta.set_created_ms(created ? MsgIdMs(id) : chat.created_ms());
    meta.set_created_by(created && chat.created_by().empty() ? change.by() : chat.created_by());
    meta.set_title_id(id);
    meta.set_title(chat.title());
    Fold(metas_, chat.chat_id(), meta);

    storage::MemberSpan joined;
    joined.set_joined_id(id);
    for (const std::string& uid : change.added()) AddMember(chat.chat_id(), uid, joined);
    if (created) {
      for (const std::string& uid : chat.members()) AddMember(chat.chat_id(), uid, joined);
    }
    storage::MemberSpan left;
    left.set_left_id(id);
    for (const std::string& uid : change.removed()) AddMember(chat.chat_id(), uid, left);
  }

  void AddMember(const std::string& chat, const std::string& uid, const storage::MemberSpan& span) {
    Fold(members_, storage::RowKey(chat, Kind::kMember, uid), span);
    AddUserChat(uid, chat);
  }

  void AddUserChat(const std::string& uid, const std::string& chat) {
    user_chats_.insert(storage::RowKey(uid, Kind::kUserChat, chat));
  }

  RocksDbStore& store_;
  rocksdb::WriteBatch batch_;
  std::string bytes_;
  Rows<storage::ChatMeta> metas_;  // by chat id; the rest by row key
  Rows<storage::MemberSpan> members_;
  Rows<storage::Mark> marks_;
  Rows<storage::UserNames> names_;
  Rows<v1::PushRegistered> push_;
  Rows<v1::Muted> mutes_;
  std::unordered_set<std::string> user_chats_;
};

Status RocksDbStore::Put(const std::vector<v1::JournalRecord>& records) {
  for (const v1::JournalRecord& record : records) {
    if (Status s = CheckRecord(record); !s.ok()) return s;
  }
  if (records.empty()) return Status::Ok();
  if (write_failed_.exchange(false)) {
    // After a failed write RocksDB refuses all further ones until told that the cause is gone.
    if (const rocksdb::Status s = db_->Resume(); !s.ok()) {
      write_failed_ = true;
      return Told(s, "resume writing");
    }
  }
  Batch batch(*this);
  for (const v1::JournalRecord& record : records) batch.Add(record);
  const rocksdb::Status status = batch.Write();
  if (!status.ok()) write_failed_ = true;
  return Told(status, "write");
}

bool RocksDbStore::NothingNew(const std::string& chat, bool direct, MsgId id) {
  std::lock_guard lock(known_mutex_);
  const auto known = known_.find(chat);
  return known != known_.end() && (!direct || id >= known->second);
}

void RocksDbStore::Remember(const std::string& chat, MsgId first) {
  std::lock_guard lock(known_mutex_);
  if (known_.size() >= kKnownMost) known_.clear();
  const auto [known, fresh] = known_.try_emplace(chat, first);
  if (!fresh) known->second = std::min(known->second, first);
}

// ---- reading ----------------------------------------------------------------------------------

Result<HistoryPage> RocksDbStore::History(const HistoryQuery& query) {
  HistoryPage page;
  if (query.limit == 0 || query.before > kMaxStoredMsgId || query.after > kMaxStoredMsgId) {
    return Status(Code::kInvalidArgument, "history out of range");
  }
  const std::string lower = storage::Prefix(query.chat_id);
  const std::string upper = storage::After(lower);
  const rocksdb::Slice lower_slice(lower);
  const rocksdb::Slice upper_slice(upper);
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &lower_slice;
  options.iterate_upper_bound = &upper_slice;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, messages_));

  // Keys run from the newest to the oldest.
  const bool oldest_first = query.after != 0 && query.before == 0;
  if (oldest_first) {
    it->SeekForPrev(storage::MessageKey(query.chat_id, query.after));
    if (it->Valid() && storage::MessageIdOf(View(it->key())) == query.after) it->Prev();
  } else if (query.before != 0) {
    it->Seek(storage::MessageKey(query.chat_id, query.before - 1));
  } else {
    it->SeekToFirst();
  }
  for (; it->Valid(); oldest_first ? it->Prev() : it->Next()) {
    if (!oldest_first && storage::MessageIdOf(View(it->key())) <= query.after) break;
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

// ---- opening, closing, errors -----------------------------------------------------------------

RocksDbStore::RocksDbStore(std::string dir) : dir_(std::move(dir)) {}

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

Result<std::unique_ptr<RocksDbStore>> RocksDbStore::Open(const Options& options) {
  std::unique_ptr<RocksDbStore> store(new RocksDbStore(options.dir));
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(storage::DbOptions(options), options.dir,
                                             storage::Tables(options), &store->handles_, &db);
  if (!status.ok()) return store->Told(status, "open");
  store->db_.reset(db);
  store->messages_ = store->handles_[1];
  store->chats_ = store->handles_[2];
  store->users_ = store->handles_[3];
  std::string layout;
  status = db->Get(rocksdb::ReadOptions(), storage::kLayoutKey, &layout);
  if (status.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    status = db->Put(synced, storage::kLayoutKey, storage::kLayout);
    layout = storage::kLayout;
  }
  if (!status.ok()) return store->Told(status, "open");
  if (layout != storage::kLayout) {
    return Status(Code::kInternal, "store " + options.dir + ": has layout " + layout +
                                       ", this program knows " + storage::kLayout);
  }
  return store;
}

RocksDbStore::~RocksDbStore() {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    if (db_) db_->DestroyColumnFamilyHandle(handle);
  }
  if (db_) db_->Close();
}

}  // namespace nightjar
