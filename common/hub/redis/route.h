// Which partition a call is of: in a Cluster, where it goes. Pure; any thread.
#pragma once

#include <cstdint>

#include "common/hub/hub.h"

namespace nightjar::hub {

// REQUIRES: the call touches one partition only, as those of a SplitHub do; of several that it
// names the first counts. What belongs to all, and what names nothing, is of partition 0.
uint32_t PartitionOf(const Call& call, uint32_t partitions);

}  // namespace nightjar::hub
