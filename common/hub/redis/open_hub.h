// The hub that options name: on one Redis as it is, on a Cluster with every call taken apart by
// partition.
#pragma once

#include <cstdint>
#include <memory>

#include "common/hub/hub.h"
#include "common/hub/redis/options.h"
#include "common/hub/redis/redis_hub.h"

namespace nightjar::hub {

// As the constructor of RedisHub, whose promises the hub keeps; its destructor stops it.
// `partitions`: as Probe() found them.
std::unique_ptr<Hub> OpenHub(const RedisOptions& options, uint32_t partitions,
                             RedisHub::StatusCallback on_status = {}, RelayHooks relay = {});

}  // namespace nightjar::hub
