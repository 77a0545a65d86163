// Stage: what the hub still records of sessions and tails that are over is ended, so that their
// users become due for push and go offline unless they have come back. Left over they are by dead
// brokers that this one has claimed, by its own earlier lives, and by logouts of this one that
// failed: nothing has to be remembered of those, however many there are while the hub is away, for
// the hub lists them. Who is dead is fenced first. A few pages of one broker's records are under
// way at a time.
//
// Who was on another broker is published offline at once: the time it takes to find a broker dead
// was the grace, or was of it what it is shorter. Who was on this one, in an earlier life, has the
// usual grace.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::clearing {

// This life is confirmed: what earlier ones left is looked for.
void Begin(State& s);
// Dead brokers and own earlier lives, claimed.
void Take(State& s, std::vector<hub::BrokerName> brokers);
// Whether who was on another broker may be published offline now; else that run's records stay, and
// a later one finds them.
bool GraceOver(const State& s);
// Goes on at once with what waited.
void OnHubUp(State& s);
// Something of this broker's may have been left over.
void Want(State& s);
void OnFenced(State& s, const PendingFence& pending, hub::Reply& reply);
void OnList(State& s, const PendingListSessions& pending, hub::Reply& reply);
// A call of this stage is answered (`run` as in its Pending).
void OnEnded(State& s, uint64_t run, bool done);
void OnTimer(State& s);
// This broker's life is over: its claims are others' now.
void Forget(State& s);

}  // namespace nightjar::core::clearing
