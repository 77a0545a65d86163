// Sessions, inboxes, acknowledgements.
#include <algorithm>
#include <tuple>
#include <utility>

#include "common/hub/keys.h"
#include "common/wire/names.h"
#include "nightjar/v1/hub.pb.h"
#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

using fake::DeviceState;
using fake::Route;
using fake::UserState;

namespace {

// Sessions are listed by broker id, so that a later incarnation finds those of an earlier one.
std::string BrokerId(const BrokerName& broker) { return std::string(keys::BrokerId(broker)); }

}  // namespace

// The device longest unseen without a route, else the one longest unseen; of equals the one known
// longest.
void FakeHub::ForgetOneDevice(UserState& user) {
  const auto oldest =
      std::min_element(user.devices.begin(), user.devices.end(), [](const auto& a, const auto& b) {
        return std::make_tuple(a.second.route.has_value(), a.second.last_seen, a.second.order) <
               std::make_tuple(b.second.route.has_value(), b.second.last_seen, b.second.order);
      });
  user.devices.erase(oldest);
}

Reply FakeHub::Do(const Login& c) {
  LoginReply reply;
  if (Fenced(c.uid, c.broker)) {
    reply.cleared = true;
    return reply;
  }
  UserState& user = state_.users[c.uid];
  reply.epoch = state_.epoch;
  DropOld(user, user.inbox.size());

  auto known = user.devices.find(c.device);
  if (known == user.devices.end()) {
    const uint64_t start = user.MaxAcked();
    if (user.devices.size() >= limits::kDevices) ForgetOneDevice(user);
    known = user.devices.emplace(c.device, DeviceState{start, 0, {}, ++user.devices_seen}).first;
    known->second.resync = start > 0;
  }
  DeviceState& device = known->second;
  if (user.base > device.acked) {  // older entries are gone: what they were counts as acknowledged
    device.acked = user.base;
    device.resync = true;
    SettleOwed(c.uid, user);
  }
  reply.resync = device.resync;
  const Route route{c.broker, c.session};
  if (device.route && *device.route != route) {
    reply.previous_broker = device.route->broker;
    reply.previous_session = device.route->session;
    const std::string previous_id = BrokerId(reply.previous_broker);
    if (previous_id != BrokerId(c.broker)) {
      Publish(previous_id,
              RelayedKick{c.uid, c.device, reply.previous_session, reply.previous_broker});
    }
  }
  device.route = route;
  device.last_seen = Clock();
  user.last_active = Clock();
  Partition(c.uid).due.erase(c.uid);
  const SessionRecord record{c.uid, c.device, c.session, c.broker};
  state_.sessions[BrokerId(c.broker)][SessionElement(record)] = record;

  const bool renamed =
      (!c.name.empty() && c.name != user.name) || (!c.email.empty() && c.email != user.email);
  if (renamed) {
    if (!c.name.empty()) user.name = c.name;
    if (!c.email.empty()) user.email = c.email;
    v1::JournalRecord journal;
    journal.mutable_user()->set_uid(c.uid);
    journal.mutable_user()->set_name(user.name);
    journal.mutable_user()->set_email(user.email);
    journal.mutable_user()->set_at_ms(Clock());
    Journal(c.uid, journal.SerializeAsString());
  }
  reply.start = device.acked;
  reply.head = user.head();
  reply.online = user.online;
  return reply;
}

Reply FakeHub::Do(const Logout& c) {
  LogoutReply reply;
  UserState* user = FindUser(c.uid);
  if (user != nullptr) {
    const auto device = user->devices.find(c.device);
    if (device != user->devices.end() && device->second.route == Route{c.broker, c.session}) {
      device->second.route.reset();
      device->second.last_seen = Clock();
      user->last_active = Clock();
      reply.removed = true;
    }
    reply.routes = user->routes();
    reply.online = user->online;
    if (reply.removed && reply.routes == 0 && user->online) user->last_out = c.broker;
    if (reply.removed && reply.routes == 0 && user->head() > user->MaxAcked()) {
      if (user->owed == 0) user->owed = user->MaxAcked() + 1;
      SetDue(c.uid);
    }
  }
  // While "online" stands published and nobody is left, the element is what finds it if this broker
  // dies; SetPresence takes it out.
  const bool presence_open = reply.online && reply.routes == 0;
  if (!presence_open) {
    state_.sessions[BrokerId(c.broker)].erase(
        SessionElement({c.uid, c.device, c.session, c.broker}));
  }
  return reply;
}

Reply FakeHub::Do(const Tail& c) {
  if (c.count > 0 && Fenced(c.uid, c.broker)) return Done{};
  const SessionRecord record{c.uid, "", 0, c.broker};
  auto& sessions = state_.sessions[BrokerId(c.broker)];
  UserState& user = state_.users[c.uid];
  if (c.count > 0) {
    user.tails[c.broker] = c.count;
    sessions[SessionElement(record)] = record;
  } else {
    user.tails.erase(c.broker);
    sessions.erase(SessionElement(record));
  }
  return Done{};
}

Reply FakeHub::Do(const ListSessions& c) {
  ListSessionsReply reply;
  const auto& sessions = state_.sessions[BrokerId(c.broker)];
  const size_t limit = std::max<uint32_t>(c.limit, 1);
  for (auto it = sessions.upper_bound(c.after); it != sessions.end(); ++it) {
    if (PartitionOf(it->second.uid, options_.partitions) != c.partition) continue;
    if (reply.sessions.size() == limit) {
      reply.next = SessionElement(reply.sessions.back());
      break;
    }
    reply.sessions.push_back(it->second);
  }
  return reply;
}

Reply FakeHub::Do(const ReadInbox& c) {
  ReadInboxReply reply;
  const UserState empty;
  const UserState* found = FindUser(c.uid);
  const UserState& user = found ? *found : empty;
  reply.head = user.head();
  reply.first = std::max(c.from, user.base + 1);
  size_t bytes = 0;
  for (uint64_t seq = reply.first; seq <= reply.head && reply.entries.size() < c.count; ++seq) {
    const std::string& entry = user.inbox[seq - user.base - 1].bytes;
    bytes += entry.size();
    if (bytes > c.bytes && !reply.entries.empty()) break;
    reply.entries.push_back(entry);
  }
  return reply;
}

Reply FakeHub::Do(const MoveMark& c) {
  fake::ChatState* chat = FindChat(c.chat);
  if (chat == nullptr || chat->members.count(c.uid) == 0) return MoveMarkReply{};
  const auto known = chat->delivered.find(c.uid);
  if (c.msg_id <= (known == chat->delivered.end() ? 0 : known->second)) return MoveMarkReply{};
  chat->delivered[c.uid] = c.msg_id;
  v1::JournalRecord journal;
  journal.mutable_mark()->set_chat_id(c.chat);
  journal.mutable_mark()->set_uid(c.uid);
  journal.mutable_mark()->set_msg_id(c.msg_id);
  Journal(c.chat, journal.SerializeAsString());
  return MoveMarkReply{true, chat->PresentMembers().size() <= limits::kReceiptMembers};
}

Reply FakeHub::Do(const TellMark& c) {
  const UserState* user = FindUser(c.author);
  if (user == nullptr) return Done{};
  for (const auto& id : user->BrokerIds()) {
    if (id != BrokerId(c.broker)) Publish(id, RelayedMark{c.author, c.chat, c.uid, c.msg_id});
  }
  return Done{};
}

// What is owed up to the furthest acknowledgement is settled.
void FakeHub::SettleOwed(const std::string& uid, UserState& user, uint64_t passed) {
  const uint64_t most = std::max(passed, user.MaxAcked());
  if (user.owed == 0 || most < user.owed) return;
  const bool settled = most >= user.head();
  user.owed = settled ? 0 : most + 1;
  if (settled) Partition(uid).due.erase(uid);
}

Reply FakeHub::Do(const Ack& c) {
  using Outcome = AckReply::Outcome;
  AckReply reply;
  if (c.epoch != state_.epoch) {
    reply.outcome = Outcome::kOtherEpoch;
    return reply;
  }
  UserState* user = FindUser(c.uid);
  if (user == nullptr || user->devices.count(c.device) == 0) {
    reply.outcome = Outcome::kUnknownDevice;
    return reply;
  }
  DeviceState& device = user->devices[c.device];
  if (c.seq > user->head()) {
    reply.outcome = Outcome::kBeyondHead;
    reply.acked = device.acked;
    return reply;
  }
  for (uint32_t i = 0; i < c.marks.size(); ++i) {
    const Ack::ChatMark& mark = c.marks[i];
    const auto done = std::get<MoveMarkReply>(Do(MoveMark{c.uid, mark.chat, mark.msg_id}));
    if (!done.moved) continue;
    reply.moved.push_back({i, done.tell});
    if (!done.tell) continue;
    for (const auto& author : mark.authors) {
      Do(TellMark{author, mark.chat, c.uid, mark.msg_id, c.broker});
    }
  }
  if (c.seq >= device.acked) device.resync = false;
  device.acked = std::max(device.acked, c.seq);
  reply.acked = device.acked;

  uint64_t least = device.acked;
  for (const auto& [name, other] : user->devices) least = std::min(least, other.acked);
  for (; user->base < least; ++user->base) user->inbox.pop_front();

  SettleOwed(c.uid, *user);
  return reply;
}

Reply FakeHub::Do(const Heads& c) {
  HeadsReply reply;
  for (const auto& of : c.sessions) {
    HeadsReply::Stand stand{.epoch = state_.epoch};
    if (const UserState* user = FindUser(of.uid)) {
      stand.head = user->head();
      const auto device = user->devices.find(of.device);
      if (device != user->devices.end() && device->second.route) {
        const bool mine = *device->second.route == Route{c.broker, of.session};
        stand.route = mine ? HeadsReply::Route::kMine : HeadsReply::Route::kOther;
      }
    }
    reply.sessions.push_back(stand);
  }
  return reply;
}

Reply FakeHub::Do(const GetDevice& c) {
  GetDeviceReply reply;
  reply.epoch = state_.epoch;
  if (const UserState* user = FindUser(c.uid)) {
    reply.head = user->head();
    const auto device = user->devices.find(c.device);
    if (device != user->devices.end()) reply.acked = device->second.acked;
  }
  return reply;
}

}  // namespace nightjar::hub
