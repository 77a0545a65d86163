#include "persister/retention.h"

#include <algorithm>

#include "persister/record_check.h"
#include "persister/store.h"

namespace nightjar {

MsgId OldestKept(int64_t keep_ms, int64_t unix_ms) {
  return keep_ms == 0 || unix_ms <= keep_ms ? 0 : MakeMsgId(unix_ms - keep_ms, 0);
}

Result<HistoryRange> RangeOf(const HistoryQuery& query, MsgId oldest_kept) {
  if (query.limit == 0 || query.before > kMaxStoredMsgId || query.after > kMaxStoredMsgId) {
    return Status(Code::kInvalidArgument, "history out of range");
  }
  HistoryRange range;
  range.oldest_first = query.after != 0 && query.before == 0;
  range.above = std::max(query.after, oldest_kept == 0 ? 0 : oldest_kept - 1);
  range.below = query.before == 0 ? kMaxStoredMsgId + 1 : query.before;
  return range;
}

}  // namespace nightjar
