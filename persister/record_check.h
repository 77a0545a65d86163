// Which journal records can be stored at all. One rule for every store.
//
// Pure functions; any thread.
#pragma once

#include "common/base/result.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar {

// Message ids stay below this in the store: keys hold kMaxStoredMsgId - id.
inline constexpr uint64_t kMaxStoredMsgId = (uint64_t{1} << 63) - 1;

// kOk, or kInvalidArgument with what is wrong: no body, malformed names, an id of 0 or beyond
// kMaxStoredMsgId, a change of a direct chat. Never names a text.
Status CheckRecord(const v1::JournalRecord& record);

}  // namespace nightjar
