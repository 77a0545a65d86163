// Stage: this broker among the others. It says every few seconds that it lives, learns who else
// does, and takes claims of who is dead and to be cleared. A broker that was away for too long was
// cleared by another: its life is over, and it begins the next one under another incarnation.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::membership {

struct Outcome {
  bool lost = false;     // this life is over: its sessions have been or will be ended by another
  bool began = false;    // confirmed for the first time in this life
  bool changed = false;  // the list of the living is another
  std::vector<hub::BrokerName> clear;  // claimed: to be cleared by this broker
};

void OnHubUp(State& s);
// Something suggests that this broker is not among the living: ask now.
void BeatNow(State& s);
void OnTimer(State& s);
Outcome OnBeat(State& s, const PendingBeat& pending, hub::Reply& reply);
// The next life: nobody is let in until it is confirmed. REQUIRES: nothing is left of the last.
void BeginAnew(State& s);
// No beats any more; the hub is told by whoever ends this life.
void Leave(State& s);

}  // namespace nightjar::core::membership
