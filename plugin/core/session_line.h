// Stage: what sessions leave to be said to the hub, in turn. A crowd that goes in one moment (a cut
// line of thousands, a balancer that ends) must not stand before what others send: logouts and
// changes of presence wait in one line, and few are under way at a time. A device that is back
// before its logout had its turn overtakes it; the hub tells the two sessions apart.
//
// Bounded by the sessions there were: each leaves one logout, and one change of presence.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::session_line {

void Put(State& s, PendingLogout pending);
void Put(State& s, PendingSetPresence pending);
// One that was put here has been answered.
void Answered(State& s);

}  // namespace nightjar::core::session_line
