// Messages that are accepted and perhaps not stored yet: the journal, as far as it is not trimmed.
//
// A reader takes the tail first and the store second. What is trimmed between the two was stored
// before, so the union misses nothing.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "common/base/result.h"
#include "nightjar/v1/hub.pb.h"
#include "persister/hub_reader.h"

namespace nightjar::persist {

// More records than this in the tails asked for: kUnavailable. The store is far behind then, and a
// reader would hold up everybody else.
inline constexpr size_t kTailMost = 200'000;

// Where a partition's journal began when its tail was read; a partition of which nothing was there
// is missing.
using TailStarts = std::map<uint32_t, uint64_t>;

// What to ask the hub first, one call for each partition; it may be asked other things with it.
std::vector<hub::Call> TailCalls(const std::vector<uint32_t>& partitions);

// `first`: the replies to those. Asks for what they leave. Calls `take` for every message in the
// tails of these partitions, each partition in journal order.
Result<TailStarts> ReadTails(HubReader& hub, std::vector<hub::Reply> first,
                             const std::function<void(v1::Message)>& take);

}  // namespace nightjar::persist
