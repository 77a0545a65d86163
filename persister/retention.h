// How long messages are kept, and what of a chat a question may see. One rule for every store: a
// message's age is that of its id, the server's time; what has expired is not shown, whether or not
// it is still on some disk.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/wire/msg_id.h"

namespace nightjar {

struct HistoryQuery;

inline constexpr int64_t kDayMs = 24 * 60 * 60 * 1000;
inline constexpr int64_t kKeepDaysMost = 24'000;  // HBase counts seconds in 31 bits

struct Retention {
  // Messages of this age expire; 0: never. Nothing: as this store was last told (a new one: never).
  std::optional<int64_t> keep_ms;
  std::function<int64_t()> unix_ms = [] { return SystemNow().unix_ms; };  // any thread
};

// The lowest id that has not expired; 0: none expires.
MsgId OldestKept(int64_t keep_ms, int64_t unix_ms);

// What a page is taken from: ids above `above` and below `below`.
struct HistoryRange {
  MsgId above = 0;
  MsgId below = 0;  // at least 1
  bool oldest_first = false;

  bool empty() const { return above + 1 >= below; }
};
// kInvalidArgument: no message asked for, or an id that no store holds.
Result<HistoryRange> RangeOf(const HistoryQuery& query, MsgId oldest_kept);

}  // namespace nightjar
