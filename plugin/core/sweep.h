// Stage: whatever may have been lost between hub and broker is made good by comparing, for each
// device, where its user's inbox ends with what the device was sent, and whether its route is still
// there. In paced batches: one call under way at a time. A hub that knows less than it said before
// has lost data: its inboxes count as of another epoch.
//
// Only sessions whose login is answered are compared, and a finding counts only if nothing of login
// or logout has been said since: so a missing route is the hub's loss, and a route that is another
// session's is of a connection that the hub heard of later.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::sweep {

// Compare all devices (again, if a sweep is running), and tell the hub of the tails once more.
void All(State& s);
// Every route_check_ms, from HubUp on.
void Start(State& s);
void OnRoutesTimer(State& s);
// Compare these users' devices now.
void Some(State& s, const std::vector<std::string>& uids);

struct Finding {
  SessionId session = 0;
  uint64_t head = 0;
  bool anew = false;  // its numbers began anew, or its route is gone: log in again, with `sync`
  bool elsewhere = false;  // the device is connected elsewhere: this session is over
};
// What differs, for the engine to act on.
std::vector<Finding> OnHeads(State& s, const PendingHeads& pending, hub::Reply& reply);
void OnTimer(State& s);

}  // namespace nightjar::core::sweep
