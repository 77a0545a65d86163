// Part of the stage fan_out: tasks at the front of a partition's queue go to members in bounded
// steps. A step is an Append of a few messages to a few users, never more than a few ms of the hub;
// few are under way, and partitions with work take turns, so that nobody's message waits long
// behind a big group.
#pragma once

#include <vector>

#include "plugin/core/state.h"

namespace nightjar::core::fan_out {

// How many tasks go together, and how many users an Append. REQUIRES: members are of the front
// task's chat. False: these tasks have no recipients.
bool PlanBatch(FanOutPartition& part);
// Puts as many steps as may be under way now.
void Pump(State& s);
// This partition's turn will come, if it has anything left to put.
void Queue(State& s, uint32_t partition);
// What a step has put into inboxes, message by message.
std::vector<FreshEntry> Appended(const FanOutPartition& part, hub::AppendReply& reply);

}  // namespace nightjar::core::fan_out
