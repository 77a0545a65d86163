// Stage: a broker that starts ends the sessions that its earlier incarnations left in the hub, so
// that their users become due for push and go offline unless they have come back.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::clearing {

void Start(State& s);
void OnList(State& s, hub::Reply& reply);
void OnTimer(State& s);

}  // namespace nightjar::core::clearing
