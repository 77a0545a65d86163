// Chats: records, membership, delivered marks.
#include <algorithm>
#include <set>
#include <utility>

#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

using fake::ChatState;

namespace {

ChatRecord RecordOf(const std::string& id, const ChatState& chat) {
  ChatRecord record;
  record.chat = id;
  record.direct = chat.direct;
  record.title = chat.title;
  record.retired = chat.retired;
  record.created_ms = chat.created_ms;
  record.created_by = chat.created_by;
  record.last_msg_id = chat.last;
  record.version = chat.version;
  record.member_count = static_cast<uint32_t>(chat.PresentMembers().size());
  return record;
}

bool IsGroup(const std::string& chat) {
  const auto name = ParseChatId(chat);
  return name && !name->direct;
}

void ForgetWhoLeft(ChatState& chat, int64_t before_ms) {
  std::erase_if(chat.members, [&](const auto& row) {
    const Member& member = row.second;
    if (member.left == 0 || MsgIdMs(member.left) >= before_ms) return false;
    chat.delivered.erase(row.first);
    chat.before.erase(row.first);
    return true;
  });
  for (auto& [uid, times] : chat.before) {
    std::erase_if(times, [&](const Member& time) { return MsgIdMs(time.left) < before_ms; });
  }
  std::erase_if(chat.before, [](const auto& row) { return row.second.empty(); });
}

bool ComesBackTooOften(const ChatState& chat, const std::vector<std::string>& add) {
  return std::any_of(add.begin(), add.end(), [&](const std::string& uid) {
    const auto times = chat.before.find(uid);
    return times != chat.before.end() && times->second.size() >= kTimesKept;
  });
}

ChangeReply Refuse(ChangeReply::Outcome outcome) {
  ChangeReply reply;
  reply.outcome = outcome;
  return reply;
}

}  // namespace

Reply FakeHub::Do(const Retire& c) {
  RetireReply reply;
  for (const auto& id : c.chats) {
    ChatState* chat = FindChat(id);
    if (chat == nullptr || chat->direct || MsgIdMs(chat->last) >= c.idle_since_ms ||
        TaskOpen(id, *chat)) {
      continue;
    }
    const size_t before = chat->members.size();
    ForgetWhoLeft(*chat, Clock() - kLeftKeptMs);
    if (chat->title.empty() && chat->members.size() == before) continue;
    chat->retired = chat->retired || !chat->title.empty();
    chat->title.clear();
    ++reply.chats;
  }
  for (const auto& uid : c.uids) {
    const auto found = state_.users.find(uid);
    if (found == state_.users.end()) continue;
    fake::UserState& user = found->second;
    if (!user.BrokerIds().empty() || user.online || user.last_active >= c.idle_since_ms) continue;
    const uint64_t base = user.base;
    DropOld(user, kRetireEntries - reply.entries);
    const bool named = !user.name.empty() || !user.email.empty();
    user.name.clear();
    user.email.clear();
    if (user.base > base) SettleOwed(uid, user, user.base);
    if (named || user.base > base) ++reply.users;
    reply.entries += user.base - base;
  }
  return reply;
}

Reply FakeHub::Do(const CreateChat& c) {
  using Outcome = ChangeReply::Outcome;
  if (!IsGroup(c.chat)) return Refuse(Outcome::kDenied);
  ChangeReply reply;
  if (const ChatState* known = FindChat(c.chat)) {
    reply.outcome = Outcome::kExists;
    reply.record = RecordOf(c.chat, *known);
    return reply;
  }
  const std::set<std::string> members(c.members.begin(), c.members.end());
  const bool by_task = c.by_task || members.size() > limits::kInlineMembers;
  if (JournalFull(c.chat) || (by_task && TasksFull(c.chat))) return Refuse(Outcome::kFull);

  const MsgId id = NextMsgId(0, c.received_ms, Clock());
  ChatState& chat = state_.chats[c.chat];
  chat.title = c.title;
  chat.created_ms = MsgIdMs(id);
  chat.created_by = c.creator;
  chat.last = id;
  chat.version = 1;
  for (const auto& uid : members) chat.members[uid] = {uid, id, 0};
  const Entry entry{c.chat, id, "", "", JoinEntry(c.change, id), "", c.broker};
  Journal(c.chat, entry.shared);
  reply.msg_id = id;
  reply.task = FanOut(chat, entry, by_task, {members.begin(), members.end()}, reply.deliveries);
  reply.record = RecordOf(c.chat, chat);
  return reply;
}

Reply FakeHub::Do(const UpdateChat& c) {
  using Outcome = ChangeReply::Outcome;
  ChangeReply reply;
  ChatState* chat = FindChat(c.chat);
  if (!IsGroup(c.chat) || chat == nullptr || !chat->IsMember(c.by)) {
    return Refuse(Outcome::kDenied);
  }
  if (c.version != chat->version) {
    reply.outcome = Outcome::kStale;
    reply.record = RecordOf(c.chat, *chat);
    return reply;
  }
  // Told of the change: who is a member after it, and who was removed by it.
  const auto before = chat->PresentMembers();
  std::set<std::string> told(before.begin(), before.end());
  told.insert(c.add.begin(), c.add.end());
  const bool open = TaskOpen(c.chat, *chat);
  const bool by_task = c.by_task || told.size() > limits::kInlineMembers || open;
  if (open && ComesBackTooOften(*chat, c.add)) return Refuse(Outcome::kFull);
  if (JournalFull(c.chat) || (by_task && TasksFull(c.chat))) return Refuse(Outcome::kFull);

  const MsgId id = NextMsgId(chat->last, c.received_ms, Clock());
  chat->last = id;
  chat->version += 1;
  if (c.title) {
    chat->title = *c.title;
    chat->retired = false;
  }
  if (!open) ForgetWhoLeft(*chat, Clock() - kLeftKeptMs);
  for (const auto& uid : c.remove) chat->members[uid].left = id;
  for (const auto& uid : c.add) {
    // The open task may be about the time before, too.
    const auto row = chat->members.find(uid);
    if (!open) {
      chat->before.erase(uid);
    } else if (row != chat->members.end()) {
      chat->before[uid].push_back(row->second);
    }
    chat->members[uid] = {uid, id, 0};
  }
  const Entry entry{c.chat, id, "", "", JoinEntry(c.change, id), "", c.broker};
  Journal(c.chat, entry.shared);
  reply.msg_id = id;
  reply.task = FanOut(*chat, entry, by_task, {told.begin(), told.end()}, reply.deliveries);
  reply.record = RecordOf(c.chat, *chat);
  return reply;
}

Reply FakeHub::Do(const GetChat& c) {
  GetChatReply reply;
  const ChatState* chat = FindChat(c.chat);
  if (chat == nullptr) return reply;
  reply.found = true;
  reply.record = RecordOf(c.chat, *chat);
  reply.members_included = c.members && chat->version != c.known_version;
  if (reply.members_included) {
    for (const auto& [uid, member] : chat->members) {
      if (const auto times = chat->before.find(uid); times != chat->before.end()) {
        reply.members.insert(reply.members.end(), times->second.begin(), times->second.end());
      }
      reply.members.push_back(member);
    }
  }
  return reply;
}

Reply FakeHub::Do(const GetReceipts& c) {
  GetReceiptsReply reply;
  for (const auto& id : c.chats) {
    const ChatState* chat = FindChat(id);
    if (chat == nullptr || !chat->IsMember(c.uid)) continue;
    GetReceiptsReply::Chat marks{id, {}};
    for (const auto& [uid, msg_id] : chat->delivered) marks.marks.push_back({uid, msg_id});
    reply.chats.push_back(std::move(marks));
  }
  return reply;
}

Reply FakeHub::Do(const UserChats& c) {
  UserChatsReply reply;
  if (const auto* user = FindUser(c.uid)) {
    reply.chats.assign(user->chats.begin(), user->chats.end());
  }
  return reply;
}

}  // namespace nightjar::hub
