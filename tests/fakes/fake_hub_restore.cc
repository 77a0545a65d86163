// Taking back from the store, and closing partitions meanwhile.
#include <algorithm>
#include <cassert>

#include "common/hub/split/parts.h"
#include "common/wire/names.h"
#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

using fake::ChatState;
using fake::UserState;
using fake::Window;

namespace {

MsgId LastIn(const Member& member) { return std::max(member.joined, member.left); }

void MergeWindow(ChatState& chat, const RestoreChat::Window& window) {
  auto& windows = chat.windows[window.uid];
  Window& known = windows[window.device];
  for (const auto& [client_msg_id, id] : window.sent) {
    const auto [at, fresh] = known.emplace(client_msg_id, id);
    if (!fresh) at->second = std::min(at->second, id);  // the one that was accepted first
  }
  while (known.size() > limits::kRepeatWindow) known.erase(known.begin());
  if (windows.size() > limits::kDevices) chat.ForgetOldestSender(window.uid, "");
}

}  // namespace

Reply FakeHub::Do(const RestoreChat& c) {
  const auto name = ParseChatId(c.record.chat);
  assert(name && (!name->direct || c.members.empty()));
  ChatState& chat = state_.chats[c.record.chat];
  const bool existed = chat.last != 0;
  bool changed = false;
  for (const Member& member : c.members) {
    const auto [known, fresh] = chat.members.emplace(member.uid, member);
    if (!fresh && LastIn(known->second) >= LastIn(member)) continue;
    known->second = member;
    chat.before.erase(member.uid);
    changed = true;
  }
  for (const Mark& mark : c.delivered) {
    MsgId& known = chat.delivered[mark.uid];
    known = std::max(known, mark.msg_id);
  }
  for (const RestoreChat::Window& window : c.windows) MergeWindow(chat, window);
  for (const RestoreChat::Floor& floor : c.floors) {
    uint64_t& known = chat.floors[floor.uid];
    known = std::max(known, floor.client_msg_id);
  }
  // No broker remembers such a version of the hub before: those counted changes.
  const auto ms = static_cast<uint64_t>(Clock() - fake::kEpochFromS * 1000);
  if (!name->direct && (existed ? changed : c.record.last_msg_id != 0)) {
    chat.version = std::max(chat.version + 1, ms);
  }
  if (c.record.last_msg_id == 0) return Done{};
  chat.last = std::max(chat.last, c.record.last_msg_id);
  if (!name->direct) {
    if (!existed || chat.retired) chat.title = c.record.title;
    chat.retired = false;
    if (existed) return Done{};
    chat.created_ms = c.record.created_ms;
    chat.created_by = c.record.created_by;
    return Done{};
  }
  chat.direct = true;
  chat.version = 1;
  const MsgId first = chat.members.empty() ? 0 : chat.members.begin()->second.joined;
  if (c.first_id != 0 && (first == 0 || c.first_id < first)) {
    chat.created_ms = c.record.created_ms;
    chat.created_by = c.record.created_by;
    for (const auto& uid : name->Members()) chat.members[uid] = {uid, c.first_id, 0};
  }
  return Done{};
}

Reply FakeHub::Do(const RestoreUser& c) {
  UserState& user = state_.users[c.uid];
  // Entries begin at 2: devices that the hub does not know are behind what went before.
  const bool closed = state_.closed.count(PartitionOf(c.uid, options_.partitions)) > 0;
  if (user.base == 0 && (user.devices.empty() || closed)) user.base = 1;
  if (user.name.empty()) user.name = c.name;
  if (user.email.empty()) user.email = c.email;
  for (const auto& [chat, id] : c.chats) {
    MsgId& known = user.chats[chat];
    known = std::max(known, id);
  }
  for (const auto& push : c.push) user.push.emplace(push.device, push.registration);
  for (const auto& mute : c.mutes) {
    const std::string device = mute.chat.empty() ? mute.device : "";
    user.mutes.emplace(std::pair(mute.chat, device), mute.until_ms);
  }
  return Done{};
}

Reply FakeHub::Do(const Rebuild& c) {
  for (const uint32_t p : c.partitions) {
    const fake::LeaseState& lease = state_.partitions[p].leases[Role::kPersist];
    if (c.closed && state_.closed.count(p) == 0 && lease.HeldAt(Clock())) {
      return Failure{Failure::Kind::kInternal, "a persister is at work: " + lease.owner};
    }
  }
  for (const uint32_t p : c.partitions) {
    if (c.closed) {
      state_.closed.emplace(p, state_.epoch);
    } else if (const auto closed = state_.closed.find(p); closed != state_.closed.end()) {
      const auto seconds = static_cast<uint64_t>(Clock() / 1000 - fake::kEpochFromS);
      state_.epoch = std::max({state_.epoch, seconds, closed->second + 1});
      state_.closed.erase(closed);
    }
  }
  return Done{};
}

// Of a closed partition only what fills it is answered, and what only looks.
bool FakeHub::Refused(const Call& call) const {
  if (state_.closed.empty() || std::holds_alternative<RestoreChat>(call) ||
      std::holds_alternative<RestoreUser>(call) || std::holds_alternative<Rebuild>(call) ||
      std::holds_alternative<ReadLog>(call)) {
    return false;
  }
  const auto partition = PartitionOfCall(call, options_.partitions);
  return !partition || state_.closed.count(*partition) > 0;
}

}  // namespace nightjar::hub
