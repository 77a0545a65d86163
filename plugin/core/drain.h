// Stage: the broker is emptied before it stops. Nobody is let in; sessions are told SHUTTING_DOWN
// and closed at a bounded rate, in an order that has nothing to do with when they came, each after
// what it has under way is answered if that takes no longer than a moment. Then leases go back, the
// hub is told that nothing is left, and Emptied is said; at the latest drain_ms after it began.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::drain {

void Start(State& s);
void OnTimer(State& s);
// The hub knows that this broker is gone (or does not, and will find out).
void OnGone(State& s);

}  // namespace nightjar::core::drain
