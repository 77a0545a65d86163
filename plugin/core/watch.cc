#include "plugin/core/watch.h"

#include <algorithm>
#include <utility>

#include "common/wire/codec.h"
#include "plugin/core/tell.h"

namespace nightjar::core::watch {
namespace {

constexpr size_t kWatches = 1000;  // a session's
constexpr size_t kBatch = 128;
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

void Step(State& s) {
  WatchesState& watches = s.watches;
  if (watches.under_way > 0 || watches.waits || watches.line.empty()) return;
  PendingWatch on{{}, s.presence_words, true}, off{{}, s.presence_words, false};
  for (size_t i = 0; i < kBatch && !watches.line.empty(); ++i) {
    std::string uid = std::move(watches.line.front());
    watches.line.pop_front();
    watches.in_line.erase(uid);
    (s.watched.contains(uid) ? on : off).uids.push_back(std::move(uid));
  }
  for (PendingWatch* pending : {&on, &off}) {
    if (pending->uids.empty()) continue;
    ++watches.under_way;
    hub::Watch call{pending->uids, s.broker, pending->on};
    core::Ask(s, std::move(call), std::move(*pending));
  }
}

// The hub is to be told of uid.
void Line(State& s, const std::string& uid) {
  if (s.watches.in_line.insert(uid).second) s.watches.line.push_back(uid);
}

void Ask(State& s, const std::string& uid) {
  Line(s, uid);
  Step(s);
}

// Goes on until it has looked at so many in one ms; then others have their turn.
void ShowSome(State& s) {
  WatchesState& watches = s.watches;
  if (std::exchange(watches.shown_ms, s.now.mono_ms) != s.now.mono_ms) watches.shown = 0;
  while (!watches.shows.empty()) {
    const auto it = s.watched.find(watches.shows.front());
    const bool more = it != s.watched.end() && it->second.showing &&
                      it->second.shown_to < it->second.watchers.size();
    if (!more) {
      if (it != s.watched.end()) it->second.showing = false;
      watches.shows.pop_front();
      continue;
    }
    if (watches.shown++ >= kShowAtOnce) break;
    Watched& watched = it->second;
    const Watcher::Shown now =
        watched.state.online ? Watcher::Shown::kOnline : Watcher::Shown::kOffline;
    Watcher& watcher = watched.watchers[watched.shown_to++];
    if (std::exchange(watcher.shown, now) != now) PublishState(s, watcher, watched.state);
  }
  if (watches.shows.empty() || std::exchange(watches.show_armed, true)) return;
  s.timers.Add(s.now.mono_ms + 1, TimerKind::kShow, 0);
}

// To those who have not been shown that yet: whatever was lost before, the newest word is the true
// one.
void Show(State& s, Watched& watched, const hub::PresenceState& state) {
  watched.state = state;
  watched.shown_to = 0;
  if (!std::exchange(watched.showing, true)) s.watches.shows.push_back(state.uid);
  ShowSome(s);
}

// As a Watch found it. Over several servers its parts may be answered long before the whole, and
// what was set meanwhile is known already.
void Found(State& s, const hub::PresenceState& state, uint64_t words) {
  const auto it = s.watched.find(state.uid);
  if (it == s.watched.end()) return;
  if (it->second.newest > words && it->second.online != state.online) return Line(s, state.uid);
  Show(s, it->second, state);
}

void TakeOut(Watched& watched, SessionId session, Encoding encoding) {
  size_t place = 0;
  std::erase_if(watched.watchers, [&](const Watcher& watcher) {
    const bool out = watcher.session == session && watcher.encoding == encoding;
    if (out && place < watched.shown_to) {
      --watched.shown_to;
    } else {
      ++place;
    }
    return out;
  });
}

void Drop(State& s, const std::string& uid, SessionId session, Encoding encoding) {
  const auto it = s.watched.find(uid);
  if (it == s.watched.end()) return;
  TakeOut(it->second, session, encoding);
  if (!it->second.watchers.empty()) return;
  s.watched.erase(it);
  Ask(s, uid);
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
    TakeOut(watched, session.id, topic.encoding);
  } else {
    watches.push_back({uid, topic.encoding});
  }
  watched.watchers.push_back({session.id, topic.encoding, qos > 0 ? 1 : 0});
  Ask(s, uid);
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

void OnSet(State& s, const hub::PresenceState& state, uint64_t words) {
  const auto it = s.watched.find(state.uid);
  if (it == s.watched.end()) return;
  Watched& watched = it->second;
  if (watched.relayed > words && watched.online != state.online) return Ask(s, state.uid);
  watched.newest = ++s.presence_words;
  watched.online = state.online;
  Show(s, watched, state);
}

void OnRelayed(State& s, const hub::PresenceState& state) {
  ++s.presence_words;
  const auto it = s.watched.find(state.uid);
  if (it == s.watched.end()) {  // the word that nobody watches was lost
    return Ask(s, state.uid);
  }
  it->second.relayed = it->second.newest = s.presence_words;
  it->second.online = state.online;
  Show(s, it->second, state);
}

void All(State& s) {
  for (const auto& [uid, watched] : s.watched) Line(s, uid);
  Step(s);
}

void OnWatch(State& s, const PendingWatch& pending, hub::Reply& reply) {
  --s.watches.under_way;
  hub::Failure failure;
  auto* got = Expect<hub::WatchReply>(reply, failure);
  if (got == nullptr || got->states.size() != pending.uids.size()) {
    for (const std::string& uid : pending.uids) Line(s, uid);
    if (std::exchange(s.watches.waits, true)) return;
    return s.timers.Add(s.now.mono_ms + kAgainMs, TimerKind::kWatches, 0);
  }
  for (const hub::PresenceState& state : got->states) Found(s, state, pending.words);
  Step(s);
}

void OnTimer(State& s) {
  s.watches.waits = false;
  Step(s);
}

void OnShowTimer(State& s) {
  s.watches.show_armed = false;
  ShowSome(s);
}

void Clear(State& s) {
  s.watched.clear();
  s.watches.line.clear();
  s.watches.in_line.clear();
  s.watches.shows.clear();
  for (auto& [id, session] : s.directory.all()) {
    if (session.extra) session.extra->watches.clear();
  }
}

}  // namespace nightjar::core::watch
