#include "tests/fakes/memory_store.h"

#include <algorithm>

#include "common/wire/names.h"
#include "persister/record_check.h"

namespace nightjar::fakes {

Status MemoryStore::Put(const std::vector<v1::JournalRecord>& records) {
  std::lock_guard lock(mutex_);
  for (const auto& record : records) {
    if (Status s = CheckRecord(record); !s.ok()) return s;
  }
  for (const auto& record : records) {
    if (record.has_message()) {
      chats_[record.message().chat_id()].messages[record.message().msg_id()] = record.message();
    } else if (record.has_chat_change()) {
      const v1::ChatChange& change = record.chat_change();
      chats_[change.chat().chat_id()].changes[change.msg_id()] = change;
    } else if (record.has_mark()) {
      const v1::MarkMoved& mark = record.mark();
      chats_[mark.chat_id()].marks[mark.uid()].insert(mark.msg_id());
    } else if (record.has_push()) {
      const v1::PushRegistered& push = record.push();
      users_[push.uid()].push[push.device()][{push.at_ms(), push.SerializeAsString()}] = push;
    } else if (record.has_mute()) {
      const v1::Muted& mute = record.mute();
      const std::string device = mute.chat_id().empty() ? mute.device() : "";
      users_[mute.uid()].mutes[{mute.chat_id(), device}][{mute.at_ms(), mute.SerializeAsString()}] =
          mute;
    } else if (record.has_user()) {
      User& user = users_[record.user().uid()];
      if (!record.user().name().empty()) {
        user.names.emplace(record.user().at_ms(), record.user().name());
      }
      if (!record.user().email().empty()) {
        user.emails.emplace(record.user().at_ms(), record.user().email());
      }
    }
  }
  return Status::Ok();
}

void MemoryStore::Keep(Retention retention) {
  std::lock_guard lock(mutex_);
  if (retention.keep_ms) keep_ms_ = *retention.keep_ms;
  unix_ms_ = std::move(retention.unix_ms);
}

MsgId MemoryStore::OldestKept() const {
  std::lock_guard lock(mutex_);
  return nightjar::OldestKept(keep_ms_, unix_ms_());
}

Result<HistoryPage> MemoryStore::History(const HistoryQuery& query) {
  const auto range = RangeOf(query, OldestKept());
  if (!range.ok()) return range.status();
  std::lock_guard lock(mutex_);
  std::vector<v1::Message> match;
  if (const auto chat = chats_.find(query.chat_id); chat != chats_.end()) {
    for (const auto& [id, message] : chat->second.messages) {
      if (id > range->above && id < range->below) match.push_back(message);
    }
  }
  HistoryPage page;
  page.more = match.size() > query.limit;
  if (page.more) {
    if (range->oldest_first) {
      match.resize(query.limit);
    } else {
      match.erase(match.begin(), match.end() - query.limit);
    }
  }
  page.messages = std::move(match);
  return page;
}

Result<std::vector<std::optional<v1::Message>>> MemoryStore::Newest(
    const std::vector<NewestOf>& chats) {
  const MsgId oldest_kept = OldestKept();
  std::lock_guard lock(mutex_);
  std::vector<std::optional<v1::Message>> out;
  for (const NewestOf& ask : chats) {
    auto& newest = out.emplace_back();
    const auto chat = chats_.find(ask.chat_id);
    if (chat == chats_.end() || chat->second.messages.empty()) continue;
    const auto guessed = chat->second.messages.find(ask.guess);
    const bool good = guessed != chat->second.messages.end() && ask.guess >= oldest_kept;
    const auto& [id, message] = good ? *guessed : *chat->second.messages.rbegin();
    if (id >= oldest_kept) newest = message;
  }
  return out;
}

std::optional<StoredChat> MemoryStore::Fold(const std::string& chat_id) const {
  const auto found = chats_.find(chat_id);
  if (found == chats_.end()) return std::nullopt;
  const Chat& chat = found->second;
  if (chat.messages.empty() && chat.changes.empty()) return std::nullopt;
  StoredChat out;
  out.chat_id = chat_id;
  if (!chat.messages.empty()) out.last_msg_id = chat.messages.rbegin()->first;
  if (!chat.changes.empty()) {
    out.last_msg_id = std::max(out.last_msg_id, chat.changes.rbegin()->first);
  }
  for (const auto& [uid, marks] : chat.marks) out.delivered.emplace_back(uid, *marks.rbegin());
  const auto name = ParseChatId(chat_id);
  if (name && name->direct) {
    const auto& [first, message] = *chat.messages.begin();
    out.direct = true;
    out.created_ms = MsgIdMs(first);
    out.created_by = message.author();
    for (const std::string& uid : std::set<std::string>{name->low, name->high}) {
      out.members.push_back({uid, first, 0});
    }
    return out;
  }
  std::map<std::string, StoredMember> members;
  for (const auto& [id, change] : chat.changes) {
    const bool created = change.kind() == v1::ChatChange::CREATED;
    if (id == chat.changes.begin()->first) {
      out.created_ms = created ? MsgIdMs(id) : change.chat().created_ms();
      out.created_by = change.chat().created_by();
      if (created && out.created_by.empty()) out.created_by = change.by();
    }
    out.title = change.chat().title();
    std::set<std::string> added(change.added().begin(), change.added().end());
    if (created) added.insert(change.chat().members().begin(), change.chat().members().end());
    for (const std::string& uid : added) members[uid] = {uid, id, 0};
    for (const std::string& uid : change.removed()) {
      members[uid].uid = uid;
      members[uid].left = id;
    }
  }
  for (const auto& [uid, member] : members) out.members.push_back(member);
  return out;
}

Result<std::optional<StoredChat>> MemoryStore::ReadChat(const std::string& chat_id) {
  std::lock_guard lock(mutex_);
  return Fold(chat_id);
}

Result<std::vector<std::pair<std::string, MsgId>>> MemoryStore::ChatsOf(const std::string& uid) {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, MsgId>> out;
  for (const auto& [chat_id, unused] : chats_) {
    const auto chat = Fold(chat_id);
    if (!chat) continue;
    for (const StoredMember& member : chat->members) {
      if (member.uid != uid) continue;
      out.emplace_back(chat_id, member.left != 0 ? member.left : chat->last_msg_id);
    }
  }
  return out;
}

Result<Store::UserRecord> MemoryStore::ReadUser(const std::string& uid) {
  std::lock_guard lock(mutex_);
  UserRecord out;
  const auto found = users_.find(uid);
  if (found == users_.end()) return out;
  const User& user = found->second;
  if (!user.names.empty()) out.name = user.names.rbegin()->second;
  if (!user.emails.empty()) out.email = user.emails.rbegin()->second;
  for (const auto& [device, versions] : user.push) {
    const v1::PushRegistered& push = versions.rbegin()->second;
    if (push.registration().gateway_case() != v1::RegisterPush::GATEWAY_NOT_SET) {
      out.push.push_back(push);
    }
  }
  for (const auto& [key, versions] : user.mutes) {
    if (versions.rbegin()->second.until_ms() != 0) out.mutes.push_back(versions.rbegin()->second);
  }
  return out;
}

Result<Store::NamesPage> MemoryStore::Names(Named what, const std::string& from, uint32_t limit) {
  if (limit == 0) return Status(Code::kInvalidArgument, "no names asked for");
  std::lock_guard lock(mutex_);
  std::set<std::string> all;
  for (const auto& [chat_id, unused] : chats_) {
    if (what == Named::kChats) {
      all.insert(chat_id);
    } else if (const auto chat = Fold(chat_id)) {
      for (const StoredMember& member : chat->members) all.insert(member.uid);
    }
  }
  if (what == Named::kUsers) {
    for (const auto& [uid, unused] : users_) all.insert(uid);
  }
  NamesPage page;
  for (auto name = all.lower_bound(from); name != all.end(); ++name) {
    if (page.names.size() == limit) {
      page.next = *name;
      break;
    }
    page.names.push_back(*name);
  }
  return page;
}

}  // namespace nightjar::fakes
