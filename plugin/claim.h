// A broker's id is its own: said to the hub before any client is let in.
#pragma once

#include <cstdint>
#include <functional>

#include "common/base/result.h"
#include "common/hub/hub.h"
#include "plugin/core/engine.h"

namespace nightjar::plugin {

// Enters config's broker among the living. While another process that goes by its id is alive and
// listening, it is waited for, as long as a dead one needs to be noticed and a little longer.
// `wait` sleeps for so many ms. kFailedPrecondition: the other one lives on; kUnavailable: the hub
// does not answer. One line fit for the log.
//
// Blocks; any thread but the hub's. REQUIRES: the broker's relay is subscribed to, or the other one
// would not be told from this.
Status ClaimBrokerId(hub::Hub& hub, const core::Config& config,
                     const std::function<void(int64_t ms)>& wait);

}  // namespace nightjar::plugin
