#include "plugin/core/presence.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/wire/codec.h"
#include "plugin/core/tell.h"

namespace nightjar::core::presence {
namespace {

constexpr size_t kWatches = 1000;  // a session's
constexpr char kOfBroker = ' ';    // never part of a uid

void PublishState(State& s, SessionId session, const hub::PresenceState& state, Encoding encoding,
                  int qos) {
  v1::Presence presence;
  presence.set_uid(state.uid);
  presence.set_online(state.online);
  presence.set_last_active_ms(state.last_active_ms);
  Publish(s, session, (encoding == Encoding::kJson ? "json/presence/" : "presence/") + state.uid,
          Encode(presence, encoding), qos);
}

void Set(State& s, const std::string& uid, bool online, const hub::BrokerName& broker) {
  hub::SetPresence call{uid, online, broker, s.now.unix_ms};
  PendingSetPresence pending{call, 0, s.hub_ups};
  Ask(s, std::move(call), std::move(pending));
}

void DropWatcher(State& s, const std::string& uid, SessionId session, Encoding encoding) {
  const auto it = s.watchers.find(uid);
  if (it == s.watchers.end()) return;
  std::erase_if(it->second, [&](const Watcher& watcher) {
    return watcher.session == session && watcher.encoding == encoding;
  });
  if (it->second.empty()) s.watchers.erase(it);
}

void AskTail(State& s, const std::string& uid, bool on) {
  hub::Tail call{uid, s.broker, on};
  PendingTail pending{call, 0};
  Ask(s, std::move(call), std::move(pending));
}

uint8_t Bit(Encoding encoding) { return encoding == Encoding::kJson ? 2 : 1; }

}  // namespace

void DeviceUp(State& s, Session& session, bool online) {
  if (online) return;
  s.timers.Add(s.now.mono_ms + s.config.online_after_ms, TimerKind::kOnline, session.id);
}

void OnOnlineTimer(State& s, SessionId id) {
  const Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox || session->replaced) return;
  Set(s, *session->user->uid, true, s.broker);
}

void DeviceDown(State& s, const hub::Logout& call, const hub::LogoutReply& reply) {
  if (reply.routes > 0 || !reply.online) return;
  const int64_t over = s.now.mono_ms + s.config.offline_after_ms;
  std::string who = call.uid + kOfBroker + call.broker;
  s.graces[who] = over;
  s.timers.Add(over, TimerKind::kOffline, 0, std::move(who));
}

void OnOfflineTimer(State& s, const std::string& who) {
  // Who came back and left again has a later one.
  const auto grace = s.graces.find(who);
  if (grace == s.graces.end() || grace->second > s.now.mono_ms) return;
  s.graces.erase(grace);
  const size_t blank = who.find(kOfBroker);
  Set(s, who.substr(0, blank), false, who.substr(blank + 1));
}

void OnSet(State& s, PendingSetPresence& pending, hub::Reply& reply) {
  hub::Failure failure;
  const auto* set = Expect<hub::SetPresenceReply>(reply, failure);
  if (set == nullptr) {
    const int64_t delay = RetryDelay(pending.tries++);
    hub::SetPresence call = pending.call;
    return AskLater(s, std::move(call), std::move(pending), delay);
  }
  // Unchanged by this try. If there was an earlier one its reply may have been lost, and nobody told.
  const bool repeated = pending.tries > 0 || pending.hub_ups != s.hub_ups;
  if (!set->changed && !(repeated && set->state.online == pending.call.online)) return;
  Log(s, LogLevel::kDebug,
      fmt::format("{}: {}", set->state.uid, set->state.online ? "online" : "offline"));
  const auto it = s.watchers.find(set->state.uid);
  if (it == s.watchers.end()) return;
  for (const Watcher& watcher : it->second) {
    PublishState(s, watcher.session, set->state, watcher.encoding, watcher.qos);
  }
}

bool Watch(State& s, Session& session, const Topic& topic, int qos) {
  const std::string uid(topic.uid);
  Unwatch(s, session, topic);  // an earlier subscription to the same gives way
  auto& watches = session.more().watches;
  if (watches.size() >= kWatches) return false;
  watches.push_back({uid, topic.encoding});
  s.watchers[uid].push_back({session.id, topic.encoding, qos > 0 ? 1 : 0});
  Ask(s, hub::GetPresence{{uid}}, PendingWatched{session.id, uid, topic.encoding, qos > 0 ? 1 : 0});
  return true;
}

void Unwatch(State& s, Session& session, const Topic& topic) {
  const std::string uid(topic.uid);
  DropWatcher(s, uid, session.id, topic.encoding);
  if (!session.extra) return;
  std::erase_if(session.extra->watches, [&](const core::Watch& watch) {
    return watch.uid == uid && watch.encoding == topic.encoding;
  });
}

void OnWatched(State& s, const PendingWatched& pending, hub::Reply& reply) {
  const auto it = s.watchers.find(pending.uid);
  if (it == s.watchers.end()) return;
  const bool still = std::any_of(it->second.begin(), it->second.end(), [&](const Watcher& watcher) {
    return watcher.session == pending.session && watcher.encoding == pending.encoding;
  });
  if (!still) return;
  hub::Failure failure;
  const auto* got = Expect<hub::GetPresenceReply>(reply, failure);
  if (got == nullptr || got->states.size() != 1) {
    return AskLater(s, hub::GetPresence{{pending.uid}}, pending, RetryDelay(1));
  }
  PublishState(s, pending.session, got->states[0], pending.encoding, pending.qos);
}

void Forget(State& s, Session& session) {
  if (session.extra) {
    for (const core::Watch& watch : session.extra->watches) {
      DropWatcher(s, watch.uid, session.id, watch.encoding);
    }
    session.extra->watches.clear();
  }
  TailOff(s, session, Encoding::kProtobuf);
  TailOff(s, session, Encoding::kJson);
}

void TailOn(State& s, Session& session, Encoding encoding, int qos) {
  session.tail_qos[encoding == Encoding::kJson ? 1 : 0] = qos > 0 ? 1 : 0;
  if ((session.tails & Bit(encoding)) != 0) return;
  session.tails |= Bit(encoding);
  if (session.user->tails++ == 0) AskTail(s, *session.user->uid, true);
}

void TailOff(State& s, Session& session, Encoding encoding) {
  if ((session.tails & Bit(encoding)) == 0) return;
  session.tails &= static_cast<uint8_t>(~Bit(encoding));
  if (--session.user->tails == 0) AskTail(s, *session.user->uid, false);
}

void OnTail(State& s, PendingTail& pending, hub::Reply& reply) {
  if (!std::holds_alternative<hub::Failure>(reply)) return;
  const int64_t delay = RetryDelay(pending.tries++);
  hub::Tail call = pending.call;
  AskLater(s, std::move(call), std::move(pending), delay);
}

}  // namespace nightjar::core::presence
