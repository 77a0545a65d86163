#include "plugin/core/presence.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

// As it is now, to those who have not been shown that yet: whatever was lost of replies before, the
// newest word is the true one.
void Show(State& s, Watcher& watcher, const hub::PresenceState& state) {
  const Watcher::Shown now = state.online ? Watcher::Shown::kOnline : Watcher::Shown::kOffline;
  if (std::exchange(watcher.shown, now) == now) return;
  PublishState(s, watcher.session, state, watcher.encoding, watcher.qos);
}

void Set(State& s, const std::string& uid, bool online, const hub::BrokerName& broker,
         uint32_t tries) {
  hub::SetPresence call{uid, online, broker, s.now.unix_ms};
  PendingSetPresence pending{call, tries};
  Ask(s, std::move(call), std::move(pending));
}

void Wait(State& s, std::string who, const PresenceWait& wait) {
  s.presence[who] = wait;
  s.timers.Add(wait.at, TimerKind::kPresence, 0, std::move(who));
}

// Another try. Nobody is known to have stayed away meanwhile: offline waits for a new grace.
int64_t Again(const State& s, const PendingSetPresence& pending) {
  const int64_t delay = RetryDelay(pending.tries);
  if (pending.call.online) return s.now.mono_ms + delay;
  return s.now.mono_ms + std::max<int64_t>(delay, s.config.offline_after_ms);
}

Watcher* FindWatcher(State& s, const std::string& uid, SessionId session, Encoding encoding) {
  const auto it = s.watchers.find(uid);
  if (it == s.watchers.end()) return nullptr;
  for (Watcher& watcher : it->second) {
    if (watcher.session == session && watcher.encoding == encoding) return &watcher;
  }
  return nullptr;
}

void AskWatched(State& s, const std::string& uid, Watcher& watcher) {
  watcher.asking = true;
  Ask(s, hub::GetPresence{{uid}},
      PendingWatched{watcher.session, uid, watcher.encoding, watcher.qos});
}

void DropWatcher(State& s, const std::string& uid, SessionId session, Encoding encoding) {
  const auto it = s.watchers.find(uid);
  if (it == s.watchers.end()) return;
  std::erase_if(it->second, [&](const Watcher& watcher) {
    return watcher.session == session && watcher.encoding == encoding;
  });
  if (it->second.empty()) s.watchers.erase(it);
}

// As it is now: whatever was said before, the newest word is the true one.
void TellTails(State& s, const User& user) {
  Ask(s, hub::Tail{*user.uid, s.broker, user.tails > 0 ? 1U : 0U}, PendingTail{*user.uid});
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
  Set(s, *session->user->uid, true, s.broker, 0);
}

void DeviceGoes(State& s, const Session& session) {
  std::string who = *session.user->uid + kOfBroker + s.broker;
  const auto known = s.presence.find(who);
  if (known == s.presence.end() || known->second.online) return;
  Wait(s, std::move(who), {s.now.mono_ms + s.config.offline_after_ms, false, known->second.tries});
}

void DeviceDown(State& s, const hub::Logout& call, const hub::LogoutReply& reply) {
  if (reply.routes > 0 || !reply.online) return;
  std::string who = call.uid + kOfBroker + call.broker;
  const auto known = s.presence.find(who);
  const bool waits = known != s.presence.end() && !known->second.online;
  if (waits && !reply.removed) return;  // gone already, and its grace is running
  Wait(s, std::move(who),
       {s.now.mono_ms + s.config.offline_after_ms, false, waits ? known->second.tries : 0});
}

void OnPresenceTimer(State& s, const std::string& who) {
  // Who came back and left again has a later one.
  const auto it = s.presence.find(who);
  if (it == s.presence.end() || it->second.at > s.now.mono_ms) return;
  const PresenceWait wait = it->second;
  s.presence.erase(it);
  const size_t blank = who.find(kOfBroker);
  Set(s, who.substr(0, blank), wait.online, who.substr(blank + 1), wait.tries);
}

void OnSet(State& s, PendingSetPresence& pending, hub::Reply& reply) {
  hub::Failure failure;
  const auto* set = Expect<hub::SetPresenceReply>(reply, failure);
  if (set == nullptr) {
    const hub::SetPresence& call = pending.call;
    std::string who = call.uid + kOfBroker + call.broker;
    const auto newer = s.presence.find(who);
    if (newer == s.presence.end()) {
      return Wait(s, std::move(who), {Again(s, pending), call.online, pending.tries + 1});
    }
    if (newer->second.online == call.online) ++newer->second.tries;
    return;
  }
  if (set->changed) {
    Log(s, LogLevel::kDebug,
        fmt::format("{}: {}", set->state.uid, set->state.online ? "online" : "offline"));
  }
  const auto it = s.watchers.find(set->state.uid);
  if (it == s.watchers.end()) return;
  for (Watcher& watcher : it->second) Show(s, watcher, set->state);
}

bool Watch(State& s, Session& session, const Topic& topic, int qos) {
  const std::string uid(topic.uid);
  Unwatch(s, session, topic);  // an earlier subscription to the same gives way
  auto& watches = session.more().watches;
  if (watches.size() >= kWatches) return false;
  watches.push_back({uid, topic.encoding});
  s.watchers[uid].push_back({session.id, topic.encoding, qos > 0 ? 1 : 0});
  AskWatched(s, uid, s.watchers[uid].back());
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
  Watcher* watcher = FindWatcher(s, pending.uid, pending.session, pending.encoding);
  if (watcher == nullptr) return;
  hub::Failure failure;
  const auto* got = Expect<hub::GetPresenceReply>(reply, failure);
  if (got != nullptr && got->states.size() == 1) {
    return Show(s, *watcher, got->states[0]);
  }
  if (!std::exchange(watcher->asking, false) || watcher->shown != Watcher::Shown::kNothing)
    return;  // an earlier subscription's: the timer is set
  s.timers.Add(s.now.mono_ms + RetryDelay(1), TimerKind::kWatched, pending.session,
               (pending.encoding == Encoding::kJson ? 'j' : 'p') + pending.uid);
}

void OnWatchedTimer(State& s, SessionId id, const std::string& watch) {
  const std::string uid = watch.substr(1);
  Watcher* watcher =
      FindWatcher(s, uid, id, watch[0] == 'j' ? Encoding::kJson : Encoding::kProtobuf);
  if (watcher != nullptr && watcher->shown == Watcher::Shown::kNothing && !watcher->asking)
    AskWatched(s, uid, *watcher);
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
  if (session.user->tails++ == 0) TellTails(s, *session.user);
}

void TailOff(State& s, Session& session, Encoding encoding) {
  if ((session.tails & Bit(encoding)) == 0) return;
  session.tails &= static_cast<uint8_t>(~Bit(encoding));
  if (--session.user->tails == 0) TellTails(s, *session.user);
}

bool OnTail(State& s, const std::string& uid, bool done) {
  User* user = s.directory.FindUser(uid);
  if (user == nullptr) return done;
  if (done) {
    user->tail_tries = 0;
  } else if (!std::exchange(user->tail_again, true)) {
    s.timers.Add(s.now.mono_ms + RetryDelay(user->tail_tries), TimerKind::kTail, 0, uid);
    if (user->tail_tries < UINT8_MAX) ++user->tail_tries;
  }
  return true;
}

bool OnTailTimer(State& s, const std::string& uid) {
  User* user = s.directory.FindUser(uid);
  if (user == nullptr) return false;
  user->tail_again = false;
  TellTails(s, *user);
  return true;
}

}  // namespace nightjar::core::presence
