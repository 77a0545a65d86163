// What other brokers' calls tell this one, handed to the stages it concerns.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::relay {

void OnRelayed(State& s, const hub::Relayed& what);
// The subscription is there, or something was lost on its way: what it may have missed is made
// good.
void OnUp(State& s);

}  // namespace nightjar::core::relay
