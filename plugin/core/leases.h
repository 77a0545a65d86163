// Part of the stage fan_out: which partitions' tasks this broker works off. Each partition falls to
// one of the living, by rendezvous hashing of its number and their names, so that all brokers share
// them out alike without a word, and one that comes or goes moves only its own part. The lease at
// the hub decides; two holders at once would do no harm.
#pragma once

#include <vector>

#include "plugin/core/state.h"

namespace nightjar::core::leases {

// The living are others than before.
void Share(State& s);
void OnTimer(State& s);
// Partitions that are this broker's from now on: there may be work in them.
std::vector<uint32_t> OnLease(State& s, const PendingLease& pending, hub::Reply& reply);
// Is new work of this partition to be begun here?
bool Mine(const State& s, uint32_t partition);
// This broker's life is over: its leases run out.
void Forget(State& s);
// All go back, busy or not.
void GiveBackAll(State& s);

// Forgets what is under way in a partition.
void StartOver(FanOutPartition& part);

}  // namespace nightjar::core::leases
