// Stage: whatever may have been lost between hub and broker is made good by comparing, for each
// device, where its user's inbox ends with what the device was sent. In paced batches: one call
// under way at a time.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::sweep {

// Compare all devices (again, if a sweep is running).
void All(State& s);
// Compare these users' devices now.
void Some(State& s, const std::vector<std::string>& uids);

struct Finding {
  SessionId session = 0;
  uint64_t head = 0;
  bool epoch_changed = false;
};
// What differs, for the engine to act on.
std::vector<Finding> OnHeads(State& s, const PendingHeads& pending, hub::Reply& reply);
void OnTimer(State& s);

}  // namespace nightjar::core::sweep
