#include "plugin/core/watch.h"

#include <algorithm>
#include <utility>

#include "common/wire/codec.h"
#include "plugin/core/tell.h"

namespace nightjar::core::watch {
namespace {

constexpr size_t kWatches = 1000;  // a session's
constexpr size_t kBatch = 256;
constexpr int64_t kAgainMs = 1000;

void PublishState(State& s, const Watcher& watcher, const hub::PresenceState& state) {
  v1::Presence presence;
  presence.set_uid(state.uid);
  presence.set_online(state.online);
  presence.set_last_active_ms(state.last_active_ms);
  Publish(s, watcher.session,
          (watcher.encoding == Encoding::kJson ? "json/presence/" : "presence/") + state.uid,
          Encode(presence, watcher.encoding), watcher.qos);
}

// To those who have not been shown that yet: whatever was lost before, the newest word is the true
// one.
void Show(State& s, Watched& watched, const hub::PresenceState& state) {
  const Watcher::Shown now = state.online ? Watcher::Shown::kOnline : Watcher::Shown::kOffline;
  for (Watcher& watcher : watched.watchers) {
    if (std::exchange(watcher.shown, now) != now) PublishState(s, watcher, state);
  }
}

void Ask(State& s, const std::string& uid, Watched& watched) {
  if (std::exchange(watched.asking, true)) return;
  core::Ask(s, hub::Watch{{uid}, s.broker, true}, PendingWatch{{uid}, s.presence_relays});
}

void Drop(State& s, const std::string& uid, SessionId session, Encoding encoding) {
  const auto it = s.watched.find(uid);
  if (it == s.watched.end()) return;
  std::erase_if(it->second.watchers, [&](const Watcher& watcher) {
    return watcher.session == session && watcher.encoding == encoding;
  });
  if (!it->second.watchers.empty()) return;
  s.watched.erase(it);
  core::Ask(s, hub::Watch{{uid}, s.broker, false}, PendingIgnored{});
}

void Step(State& s) {
  WatchesState& watches = s.watches;
  PendingWatch pending;
  pending.relays = s.presence_relays;
  pending.all = true;
  while (!watches.line.empty() && pending.uids.size() < kBatch) {
    if (s.watched.contains(watches.line.back())) {
      pending.uids.push_back(std::move(watches.line.back()));
    }
    watches.line.pop_back();
  }
  if (!pending.uids.empty()) {
    hub::Watch call{pending.uids, s.broker, true};
    return core::Ask(s, std::move(call), std::move(pending));
  }
  watches.running = false;
  if (std::exchange(watches.again, false)) All(s);
}

}  // namespace

bool On(State& s, Session& session, const Topic& topic, int qos) {
  const std::string uid(topic.uid);
  auto& watches = session.more().watches;
  const bool known = std::any_of(watches.begin(), watches.end(), [&](const core::Watch& watch) {
    return watch.uid == uid && watch.encoding == topic.encoding;
  });
  if (!known && watches.size() >= kWatches) return false;
  Watched& watched = s.watched[uid];
  if (known) {  // an earlier subscription to the same gives way
    std::erase_if(watched.watchers, [&](const Watcher& watcher) {
      return watcher.session == session.id && watcher.encoding == topic.encoding;
    });
  } else {
    watches.push_back({uid, topic.encoding});
  }
  watched.watchers.push_back({session.id, topic.encoding, qos > 0 ? 1 : 0});
  Ask(s, uid, watched);
  return true;
}

void Off(State& s, Session& session, const Topic& topic) {
  if (!session.extra) return;
  const std::string uid(topic.uid);
  const size_t gone = std::erase_if(session.extra->watches, [&](const core::Watch& watch) {
    return watch.uid == uid && watch.encoding == topic.encoding;
  });
  if (gone > 0) Drop(s, uid, session.id, topic.encoding);
}

void Forget(State& s, Session& session) {
  if (!session.extra) return;
  for (const core::Watch& watch : std::exchange(session.extra->watches, {})) {
    Drop(s, watch.uid, session.id, watch.encoding);
  }
}

void Told(State& s, const hub::PresenceState& state, uint64_t relays) {
  const auto it = s.watched.find(state.uid);
  if (it == s.watched.end()) return;
  Watched& watched = it->second;
  if (watched.relayed > relays && watched.online != state.online) {
    return Ask(s, state.uid, watched);
  }
  Show(s, watched, state);
}

void OnRelayed(State& s, const hub::PresenceState& state) {
  ++s.presence_relays;
  const auto it = s.watched.find(state.uid);
  if (it == s.watched.end()) {  // the word that nobody watches was lost
    return core::Ask(s, hub::Watch{{state.uid}, s.broker, false}, PendingIgnored{});
  }
  it->second.relayed = s.presence_relays;
  it->second.online = state.online;
  Show(s, it->second, state);
}

void All(State& s) {
  if (s.watches.running) {
    s.watches.again = true;
    return;
  }
  s.watches.line.clear();
  for (const auto& [uid, watched] : s.watched) s.watches.line.push_back(uid);
  s.watches.running = true;
  Step(s);
}

void OnWatch(State& s, const PendingWatch& pending, hub::Reply& reply) {
  hub::Failure failure;
  auto* got = Expect<hub::WatchReply>(reply, failure);
  if (got != nullptr && got->states.size() != pending.uids.size()) got = nullptr;
  for (size_t i = 0; i < pending.uids.size() && !pending.all; ++i) {
    const auto it = s.watched.find(pending.uids[i]);
    if (it == s.watched.end()) continue;
    // An earlier subscription's: the timer is set.
    if (!std::exchange(it->second.asking, false) || got != nullptr) continue;
    s.timers.Add(s.now.mono_ms + RetryDelay(1), TimerKind::kWatched, 0, pending.uids[i]);
  }
  if (got != nullptr) {
    for (const hub::PresenceState& state : got->states) Told(s, state, pending.relays);
  }
  if (!pending.all) return;
  if (got != nullptr) return Step(s);
  s.watches.line.insert(s.watches.line.end(), pending.uids.begin(), pending.uids.end());
  s.timers.Add(s.now.mono_ms + kAgainMs, TimerKind::kWatches, 0);
}

void OnTimer(State& s, const std::string& uid) {
  const auto it = s.watched.find(uid);
  if (it == s.watched.end()) return;
  const bool waits =
      std::any_of(it->second.watchers.begin(), it->second.watchers.end(),
                  [](const Watcher& watcher) { return watcher.shown == Watcher::Shown::kNothing; });
  if (waits) Ask(s, uid, it->second);
}

void OnAllTimer(State& s) {
  if (s.watches.running) Step(s);
}

void Clear(State& s) {
  s.watched.clear();
  s.watches.line.clear();
  for (auto& [id, session] : s.directory.all()) {
    if (session.extra) session.extra->watches.clear();
  }
}

}  // namespace nightjar::core::watch
