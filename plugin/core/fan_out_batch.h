// Part of the stage fan_out: tasks at the front of a lane go to members in bounded steps. A step is
// an Append of a few messages to a few users, never more than a few ms of the hub; few are under
// way, and lanes with work take turns, so that nobody's message waits long behind a big group.
#pragma once

#include <vector>

#include "plugin/core/state.h"

namespace nightjar::core::fan_out {

// Who gets the lane's tasks, each at their time.
void SetMembers(const State& s, FanOutLane& lane,
                std::shared_ptr<const std::vector<hub::Member>> members);
// How many tasks go together, and how many users an Append. REQUIRES: there are tasks, and members.
// False: these tasks have no recipients.
bool PlanBatch(FanOutLane& lane);
// Puts as many steps as may be under way now.
void Pump(State& s);
// This lane's turn will come, if it has anything left to put.
void Queue(State& s, uint32_t partition, uint32_t lane);
// What a step has put into inboxes, message by message.
std::vector<FreshEntry> Appended(const FanOutLane& lane, hub::AppendReply& reply);

}  // namespace nightjar::core::fan_out
