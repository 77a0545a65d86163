// The hub's replies, handed to the stages they concern; and the sequences of stages that both
// replies and other events lead to. With engine.cc and relay.cc the only places that know which
// stage hears of what.
#pragma once

#include "plugin/core/receipts.h"
#include "plugin/core/state.h"

namespace nightjar::core::replies {

void On(State& s, HubReplied& event);

// What an acknowledgement leads to.
void Act(State& s, SessionId id, const receipts::Outcome& outcome);
// This broker was cleared: all sessions are over, and it begins anew.
void LoseLife(State& s);

}  // namespace nightjar::core::replies
