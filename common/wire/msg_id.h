// Message ids: Unix milliseconds of server reception << 20 | sequence. Within a chat they grow
// strictly in the order of acceptance (G3). The hub assigns them; everybody else compares them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nightjar {

using MsgId = uint64_t;  // 0: none

inline constexpr int kMsgIdSequenceBits = 20;

constexpr MsgId MakeMsgId(int64_t unix_ms, uint32_t sequence) {
  return (static_cast<uint64_t>(unix_ms) << kMsgIdSequenceBits) | sequence;
}
constexpr int64_t MsgIdMs(MsgId id) { return static_cast<int64_t>(id >> kMsgIdSequenceBits); }

// The next id of a chat whose newest is `last`, for something received at `received_ms` by a broker
// whose clock need not be right: reception time is held to [hub_ms - 10 s, hub_ms], ids never go
// back, and a full sequence carries over into the milliseconds.
constexpr int64_t kReceptionSlackMs = 10'000;
constexpr MsgId NextMsgId(MsgId last, int64_t received_ms, int64_t hub_ms) {
  if (received_ms > hub_ms) received_ms = hub_ms;
  if (received_ms < hub_ms - kReceptionSlackMs) received_ms = hub_ms - kReceptionSlackMs;
  const MsgId fresh = MakeMsgId(received_ms, 0);
  return fresh > last ? fresh : last + 1;
}

// The eight bytes of a protobuf fixed64 (little-endian), as they stand in messages and in the hub.
std::string MsgIdBytes(MsgId id);
// REQUIRES: at least 8 bytes at `bytes`.
MsgId MsgIdFromBytes(const char* bytes);

// A stored entry whose id is still to come: the hub joins the parts with the id's eight bytes between
// each two of them.
using EntryTemplate = std::vector<std::string>;

}  // namespace nightjar
