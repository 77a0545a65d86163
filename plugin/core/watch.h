// Stage: who here wants to see whose presence. The hub knows one interest a broker and user,
// however many watch here; changes come by relay from other brokers, and by the reply to whatever
// call of this broker made them. Each watcher is told a state once, the newest last.
//
// Whoever begins or ceases to be watched stands in a line; the hub is told in batches, one at a
// time, of how things are when their turn comes. Watchers are shown a change in steps of
// kShowAtOnce.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::watch {

inline constexpr size_t kShowAtOnce = 256;

// Somebody subscribes to a user's presence. False: too many.
bool On(State& s, Session& session, const Topic& topic, int qos);
void Off(State& s, Session& session, const Topic& topic);
// The session is over.
void Forget(State& s, Session& session);

// Presence as a SetPresence of this broker made or found it. `words`: State::presence_words when it
// was asked. What came by relay since may be newer or older: then the hub is asked once more.
void OnSet(State& s, const hub::PresenceState& state, uint64_t words);
void OnRelayed(State& s, const hub::PresenceState& state);

// All that is watched is said again: interests or changes may have been lost.
void All(State& s);
void OnWatch(State& s, const PendingWatch& pending, hub::Reply& reply);
void OnTimer(State& s);
void OnShowTimer(State& s);
// This broker's life is over: nobody watches any more.
void Clear(State& s);

}  // namespace nightjar::core::watch
