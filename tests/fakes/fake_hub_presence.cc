// Presence: made what the routes say, and told to who watches.
#include <string>

#include "common/hub/keys.h"
#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

using fake::Route;
using fake::UserState;

namespace {

bool HoldsRoute(const UserState& user, const SessionRecord& record) {
  const auto it = user.devices.find(record.device);
  return it != user.devices.end() && it->second.route == Route{record.broker, record.session};
}

}  // namespace

PresenceState FakeHub::PresenceOf(const std::string& uid) {
  const UserState* user = FindUser(uid);
  return {uid, user && user->online, user ? user->last_active : 0};
}

// To every broker that watches but the caller; who has nobody listening is forgotten.
void FakeHub::RelayPresence(const SetPresence& c, const PresenceState& state) {
  std::erase_if(FindUser(c.uid)->watchers, [&](const std::string& id) {
    return id != keys::BrokerId(c.broker) && Publish(id, state) == 0;
  });
}

Reply FakeHub::Do(const SetPresence& c) {
  SetPresenceReply reply;
  reply.state.uid = c.uid;
  UserState* user = FindUser(c.uid);
  if (user == nullptr) return reply;
  const bool has_route = user->routes() > 0;
  const bool its_word = c.online || user->last_out.empty() || user->last_out == c.broker;
  if (c.online == has_route && user->online != c.online && its_word) {
    user->online = c.online;
    user->last_out.clear();
    user->last_active = Clock();
    reply.changed = true;
    RelayPresence(c, {c.uid, user->online, user->last_active});
  }
  if (!c.online) {  // the records that were kept for this have served
    std::erase_if(state_.sessions[std::string(keys::BrokerId(c.broker))], [&](const auto& element) {
      const SessionRecord& record = element.second;
      return record.uid == c.uid && !record.device.empty() && record.broker == c.broker &&
             !HoldsRoute(*user, record);
    });
  }
  reply.state.online = user->online;
  reply.state.last_active_ms = user->last_active;
  return reply;
}

Reply FakeHub::Do(const GetPresence& c) {
  GetPresenceReply reply;
  for (const auto& uid : c.uids) reply.states.push_back(PresenceOf(uid));
  return reply;
}

Reply FakeHub::Do(const Watch& c) {
  WatchReply reply;
  const std::string id(keys::BrokerId(c.broker));
  for (const auto& uid : c.uids) {
    if (c.on) {
      state_.users[uid].watchers.insert(id);
    } else {
      state_.users[uid].watchers.erase(id);
    }
    reply.states.push_back(PresenceOf(uid));
  }
  return reply;
}

}  // namespace nightjar::hub
