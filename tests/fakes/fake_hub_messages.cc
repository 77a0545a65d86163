// Sending and appending.
#include <algorithm>
#include <utility>

#include "common/hub/keys.h"
#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "nightjar/v1/hub.pb.h"
#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

using fake::ChatState;
using fake::UserState;
using fake::Window;

namespace {

enum class Lookup { kNew, kRepeat, kBelow };

// What the repeat window knows of this send. Asked before anything else, membership included.
Lookup LookUpRepeat(const ChatState* chat, const Send& c, MsgId& first) {
  if (c.client_msg_id == 0 || chat == nullptr) return Lookup::kNew;
  const auto user = chat->windows.find(c.author);
  if (user != chat->windows.end()) {
    const auto device = user->second.find(c.device);
    if (device != user->second.end()) {
      const Window& window = device->second;
      if (const auto it = window.find(c.client_msg_id); it != window.end()) {
        first = it->second;
        return Lookup::kRepeat;
      }
      if (window.size() >= limits::kRepeatWindow && c.client_msg_id < window.begin()->first) {
        return Lookup::kBelow;
      }
    }
  }
  const auto floor = chat->floors.find(c.author);
  if (floor != chat->floors.end() && c.client_msg_id <= floor->second) return Lookup::kBelow;
  return Lookup::kNew;
}

MsgId NewestSend(const Window& window) {
  MsgId newest = 0;
  for (const auto& [client_msg_id, id] : window) newest = std::max(newest, id);
  return newest;
}

void Remember(ChatState& chat, const Send& c, MsgId id) {
  if (c.client_msg_id == 0) return;
  auto& windows = chat.windows[c.author];
  Window& window = windows[c.device];
  window[c.client_msg_id] = id;
  if (window.size() > limits::kRepeatWindow) window.erase(window.begin());
  if (windows.size() > limits::kDevices) chat.ForgetOldestSender(c.author, c.device);
}

SendReply Refuse(SendReply::Outcome outcome) {
  SendReply reply;
  reply.outcome = outcome;
  return reply;
}

}  // namespace

void ChatState::ForgetOldestSender(const std::string& uid, const std::string& except) {
  auto& sending = windows[uid];
  auto oldest = sending.end();
  for (auto it = sending.begin(); it != sending.end(); ++it) {
    if (it->first == except) continue;
    if (oldest == sending.end() || NewestSend(it->second) < NewestSend(oldest->second)) oldest = it;
  }
  uint64_t& floor = floors[uid];
  floor = std::max(floor, oldest->second.rbegin()->first);
  sending.erase(oldest);
}

Reply FakeHub::Do(const Send& c) {
  using Outcome = SendReply::Outcome;
  SendReply reply;
  ChatState* chat = FindChat(c.chat);

  // What was restored of it counts even before it is there.
  const auto known = state_.chats.find(c.chat);
  switch (LookUpRepeat(known == state_.chats.end() ? nullptr : &known->second, c, reply.msg_id)) {
    case Lookup::kRepeat:
      reply.outcome = Outcome::kRepeat;
      return reply;
    case Lookup::kBelow:
      return Refuse(Outcome::kBelowWindow);
    case Lookup::kNew:
      break;
  }

  const auto name = ParseChatId(c.chat);
  if (!name) return Refuse(Outcome::kDenied);
  std::vector<std::string> recipients = c.members;
  size_t member_count = 0;
  if (name->direct) {
    recipients = name->Members();
    member_count = recipients.size();
    if (c.author != name->low && c.author != name->high) return Refuse(Outcome::kDenied);
  } else {
    if (chat == nullptr || !chat->IsMember(c.author)) return Refuse(Outcome::kDenied);
    const auto present = chat->PresentMembers();
    member_count = present.size();
    if (member_count > limits::kBigChat && c.text_bytes > limits::kTextBigChat) {
      return Refuse(Outcome::kTooLong);
    }
    if (member_count <= limits::kInlineMembers && !c.by_task && c.version != chat->version) {
      reply.outcome = Outcome::kStale;
      reply.version = chat->version;
      reply.members = present;
      return reply;
    }
  }

  const bool by_task = c.by_task || member_count > limits::kInlineMembers ||
                       (chat != nullptr && TaskOpen(c.chat, *chat));
  if (JournalFull(c.chat) || (by_task && TasksFull(c.chat))) return Refuse(Outcome::kFull);

  // Nothing refuses it from here on.
  if (chat == nullptr) chat = &state_.chats[c.chat];
  const MsgId id = NextMsgId(chat->last, c.received_ms, Clock());
  if (name->direct && chat->last == 0) {
    chat->direct = true;
    chat->created_ms = MsgIdMs(id);
    chat->created_by = c.author;
    chat->version = 1;
    for (const auto& uid : recipients) chat->members[uid] = {uid, id, 0};
  }
  chat->last = id;
  Remember(*chat, c, id);
  const Entry entry{c.chat,  id, c.author, c.device, JoinEntry(c.shared, id), JoinEntry(c.own, id),
                    c.broker};
  Journal(c.chat, entry.own);
  reply.msg_id = id;
  reply.task = FanOut(*chat, entry, by_task, recipients, reply.deliveries);
  return reply;
}

Reply FakeHub::Do(const Append& c) {
  AppendReply reply;
  std::map<std::string, uint64_t> appended;
  for (const auto& m : c.messages) {
    const Entry entry{c.chat, m.msg_id, m.author, m.author_device, m.shared, m.own, c.broker};
    Told told;
    for (const auto& uid : c.uids) {
      // Idempotent: who has this entry of the chat, or a later one, is passed over. Only here: what
      // is appended inline is the chat's newest by its making.
      const MsgId newest = state_.users[uid].chats[c.chat];
      if (newest < m.msg_id && AppendTo(uid, entry, told)) ++appended[uid];
    }
    RelayEntry(entry, told);
    reply.deliveries.push_back(std::move(told.here));
  }
  for (const auto& [uid, count] : appended) Grown(uid, count);
  return reply;
}

bool FakeHub::TaskOpen(const std::string& id, const ChatState& chat) const {
  const auto* partition = FindPartition(id);
  return chat.task_end > (partition ? partition->tasks.base : 0);
}

bool FakeHub::FanOut(ChatState& chat, const Entry& entry, bool by_task,
                     const std::vector<std::string>& uids, std::vector<Delivery>& deliveries) {
  if (by_task) {
    PushTask(chat, entry);
    return true;
  }
  Told told;
  for (const auto& uid : uids) {
    if (AppendTo(uid, entry, told)) Grown(uid, 1);
  }
  RelayEntry(entry, told);
  deliveries = std::move(told.here);
  return false;
}

void FakeHub::PushTask(ChatState& chat, const Entry& entry) {
  v1::FanOutTask task;
  task.set_chat_id(entry.chat);
  task.set_author(entry.author);
  task.set_author_device(entry.author_device);
  task.set_shared(entry.shared);
  task.set_own(entry.author.empty() ? "" : entry.own);
  task.set_msg_id(entry.id);
  auto& partition = Partition(entry.chat);
  partition.tasks.records.push_back(task.SerializeAsString());
  chat.task_end = partition.tasks.end();
  const fake::LeaseState& lease = partition.leases[Role::kFanOut];
  if (lease.HeldAt(Clock()) && keys::BrokerId(lease.owner) != keys::BrokerId(entry.broker)) {
    Publish(std::string(keys::BrokerId(lease.owner)),
            RelayedTask{PartitionOf(entry.chat, options_.partitions)});
  }
}

void FakeHub::RelayEntry(const Entry& entry, const Told& told) {
  for (const auto& [id, deliveries] : told.shared) {
    Publish(id, RelayedEntry{entry.shared, deliveries});
  }
  for (const auto& [id, deliveries] : told.own) Publish(id, RelayedEntry{entry.own, deliveries});
}

bool FakeHub::AppendTo(const std::string& uid, const Entry& entry, Told& told) {
  UserState& user = state_.users[uid];
  user.chats[entry.chat] = entry.id;

  const bool mine = !entry.author.empty() && uid == entry.author;
  const bool only_sender =
      user.devices.size() == 1 && user.devices.begin()->first == entry.author_device;
  // Told by the reply; nobody else to tell.
  if (mine && only_sender && user.tails.empty()) return false;

  user.inbox.push_back({entry.id, mine ? entry.own : entry.shared});
  const uint64_t seq = user.head();
  while (user.inbox.size() > options_.inbox_entries) {
    user.inbox.pop_front();
    ++user.base;
  }

  if (user.routes() == 0 && !mine) {
    if (user.owed == 0) user.owed = seq;
    SetDue(uid);
  }
  if (user.ReachedThrough(entry.broker)) told.here.push_back({uid, seq});
  for (const auto& id : user.BrokerIds()) {
    if (id != keys::BrokerId(entry.broker))
      (mine ? told.own : told.shared)[id].push_back({uid, seq});
  }
  return true;
}

void FakeHub::Grown(const std::string& uid, uint64_t count) {
  UserState& user = state_.users[uid];
  if (user.head() % 16 < count) DropOld(user, 32);
}

void FakeHub::DropOld(UserState& user, size_t most) {
  const int64_t oldest = Clock() - limits::kInboxMs;
  for (size_t i = 0; i < most && !user.inbox.empty(); ++i) {
    if (MsgIdMs(user.inbox.front().id) >= oldest) return;
    user.inbox.pop_front();
    ++user.base;
  }
}

}  // namespace nightjar::hub
