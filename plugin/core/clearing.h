// Stage: what the hub still records of sessions and tails that are over is ended, so that their
// users become due for push and go offline unless they have come back. Left over they are by a
// broker's earlier lives, and by logouts of this one that failed: nothing has to be remembered of
// those, however many there are while the hub is away, for the hub lists them.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::clearing {

// Begins, the first time; later goes on at once with what waited.
void OnHubUp(State& s);
// Something may have been left over.
void Want(State& s);
void OnList(State& s, hub::Reply& reply);
// A call of this stage is answered.
void OnEnded(State& s, bool done);
void OnTimer(State& s);

}  // namespace nightjar::core::clearing
