// A call that waits for its reply, for sidecars and tests.
#pragma once

#include "common/hub/hub.h"

namespace nightjar::hub {

// Submits and blocks until the reply is there (every Submit is answered within the hub's call timeout).
// Any thread but the hub's own.
Reply CallAndWait(Hub& hub, Call call);

}  // namespace nightjar::hub
