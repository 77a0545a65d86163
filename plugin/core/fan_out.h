// Stage: groups too large for one step are fanned out by tasks. The holder of a partition's lease
// takes its tasks in order, appends to the members' inboxes in bounded steps, then trims. Every
// step may be repeated by anyone at any time.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::fan_out {

// The hub is there: leases are asked for from now on.
void Start(State& s);
void OnLeaseTimer(State& s);
void OnLease(State& s, hub::Reply& reply);

// A call has left a task in this chat's partition.
void Poke(State& s, const std::string& chat);
// Tasks may be waiting somewhere (replies were lost): look soon, and for a while.
void Suspect(State& s);
void OnPollTimer(State& s);

void OnTasks(State& s, const PendingTasks& pending, hub::Reply& reply);
void OnMembers(State& s, const PendingTaskMembers& pending, hub::Reply& reply);
// What was appended, for the devices here.
FreshEntry OnAppend(State& s, const PendingAppend& pending, hub::Reply& reply);
void OnTrim(State& s, const PendingTrim& pending, hub::Reply& reply);
void OnAgainTimer(State& s, uint64_t partition);

}  // namespace nightjar::core::fan_out
