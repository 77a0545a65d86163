#include "persister/fold.h"

#include <algorithm>

#include "common/wire/names.h"
#include "persister/merge.h"
#include "persister/rocksdb_keys.h"

namespace nightjar::storage {
namespace {

constexpr size_t kKnownMost = 65'536;

class Folder {
 public:
  Folder(const KnownChats& known, Folded& out) : known_(known), out_(out) {}

  void Add(const v1::JournalRecord& record) {
    switch (record.body_case()) {
      case v1::JournalRecord::kMessage:
        return AddMessage(record.message());
      case v1::JournalRecord::kChatChange:
        return AddChange(record.chat_change());
      case v1::JournalRecord::kMark: {
        const v1::MarkMoved& moved = record.mark();
        Mark mark;
        mark.set_msg_id(moved.msg_id());
        return Into(out_.marks, RowKey(moved.chat_id(), Kind::kMark, moved.uid()), mark);
      }
      case v1::JournalRecord::kPush:
        return Into(out_.push, RowKey(record.push().uid(), Kind::kPush, record.push().device()),
                    record.push());
      case v1::JournalRecord::kMute: {
        const v1::Muted& mute = record.mute();
        // The device counts only where no chat is named.
        return Into(out_.mutes,
                    MuteKey(mute.uid(), mute.chat_id(),
                            mute.chat_id().empty() ? mute.device() : std::string()),
                    mute);
      }
      case v1::JournalRecord::kUser:
        return AddNames(record.user());
      case v1::JournalRecord::BODY_NOT_SET:
        return;  // CheckRecord has refused it
    }
  }

  void Finish() {
    for (const auto& [chat, meta] : out_.metas) {
      if (const auto name = ParseChatId(chat); name && name->direct) {
        AddUserChat(name->low, chat);
        AddUserChat(name->high, chat);
      }
    }
  }

 private:
  template <typename T>
  static void Into(Folded::Rows<T>& rows, std::string key, const T& value) {
    const auto [row, fresh] = rows.try_emplace(std::move(key), value);
    if (!fresh) Merge(row->second, value);
  }

  void AddMessage(const v1::Message& message) {
    const std::string& chat = message.chat_id();
    const MsgId id = message.msg_id();
    out_.messages.push_back(&message);
    const bool direct = chat[0] == 'd';
    if (known_.NothingNew(chat, direct, id)) return;
    ChatMeta& meta = out_.metas[chat];  // if only to say that the chat is there
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
    ChatMeta meta;
    meta.set_last_change_id(id);
    meta.set_first_id(id);
    // The creating change was written down before its id was known: the id says when.
    meta.set_created_ms(created ? MsgIdMs(id) : chat.created_ms());
    meta.set_created_by(created && chat.created_by().empty() ? change.by() : chat.created_by());
    meta.set_title_id(id);
    meta.set_title(chat.title());
    Into(out_.metas, chat.chat_id(), meta);

    MemberSpan joined;
    joined.set_joined_id(id);
    for (const std::string& uid : change.added()) AddMember(chat.chat_id(), uid, joined);
    if (created) {
      for (const std::string& uid : chat.members()) AddMember(chat.chat_id(), uid, joined);
    }
    MemberSpan left;
    left.set_left_id(id);
    for (const std::string& uid : change.removed()) AddMember(chat.chat_id(), uid, left);
  }

  void AddNames(const v1::UserNamed& user) {
    UserNames names;
    if (!user.name().empty()) {
      names.set_name(user.name());
      names.set_name_at_ms(user.at_ms());
    }
    if (!user.email().empty()) {
      names.set_email(user.email());
      names.set_email_at_ms(user.at_ms());
    }
    Into(out_.names, RowKey(user.uid(), Kind::kNames), names);
  }

  void AddMember(const std::string& chat, const std::string& uid, const MemberSpan& span) {
    Into(out_.members, RowKey(chat, Kind::kMember, uid), span);
    AddUserChat(uid, chat);
  }

  void AddUserChat(const std::string& uid, const std::string& chat) {
    out_.user_chats.insert(RowKey(uid, Kind::kUserChat, chat));
  }

  const KnownChats& known_;
  Folded& out_;
};

}  // namespace

bool KnownChats::NothingNew(const std::string& chat, bool direct, MsgId id) const {
  std::lock_guard lock(mutex_);
  const auto known = first_.find(chat);
  return known != first_.end() && (!direct || id >= known->second);
}

void KnownChats::Remember(const std::string& chat, MsgId first) {
  std::lock_guard lock(mutex_);
  if (first_.size() >= kKnownMost) first_.clear();
  const auto [known, fresh] = first_.try_emplace(chat, first);
  if (!fresh) known->second = std::min(known->second, first);
}

Folded Fold(const std::vector<v1::JournalRecord>& records, const KnownChats& known) {
  Folded folded;
  Folder folder(known, folded);
  for (const v1::JournalRecord& record : records) folder.Add(record);
  folder.Finish();
  return folded;
}

void Remember(const Folded& written, KnownChats& known) {
  for (const auto& [chat, meta] : written.metas) known.Remember(chat, meta.first_id());
}

}  // namespace nightjar::storage
