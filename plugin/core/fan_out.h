// Stage: groups too large for one step are fanned out by tasks. The holder of a partition's lease
// takes its tasks in order, appends to the members' inboxes in bounded steps (fan_out_batch.h),
// then trims. Every step may be repeated by anyone at any time. leases.h: which broker holds which.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::fan_out {

// The hub is there: leases are asked for from now on.
void Start(State& s);
// The living are others than before, and partitions are shared out anew.
void Share(State& s);
void OnLeaseTimer(State& s);
void OnLease(State& s, const PendingLease& pending, hub::Reply& reply);

// A call has left a task in this chat's partition.
void Poke(State& s, const std::string& chat);
// Another broker's call has.
void OnRelayed(State& s, const hub::RelayedTask& task);
// Tasks may be waiting somewhere (replies were lost): look soon, and for a while.
void Suspect(State& s);
void OnPollTimer(State& s);

void OnTasks(State& s, const PendingTasks& pending, hub::Reply& reply);
void OnMembers(State& s, const PendingTaskMembers& pending, hub::Reply& reply);
struct Outcome {
  std::vector<FreshEntry> entries;  // put into inboxes, for the devices here
  bool look_all = false;            // entries may be there that no reply told of: compare heads
};
Outcome OnAppend(State& s, const PendingAppend& pending, hub::Reply& reply);
void OnTrim(State& s, const PendingTrim& pending, hub::Reply& reply);
void OnAgainTimer(State& s, uint64_t key);

}  // namespace nightjar::core::fan_out
