// What the hub knows of a user who is due, as the notifier looks at it. Plain values; times are
// Unix ms.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/wire/msg_id.h"
#include "nightjar/v1/client.pb.h"

namespace nightjar::notify {

enum class Gateway : uint8_t { kWebPush, kFcm, kApns };
inline constexpr size_t kGateways = 3;

inline Gateway GatewayOf(const v1::RegisterPush& registration) {
  if (registration.has_fcm()) return Gateway::kFcm;
  return registration.has_apns() ? Gateway::kApns : Gateway::kWebPush;
}

// A device with a registration.
struct Device {
  std::string id;
  v1::RegisterPush registration;
  int64_t quiet_until_ms = 0;  // 0: it is not quiet; -1: for ever
};

struct UserState {
  std::string uid;
  uint64_t base = 0;   // entries up to here are gone from the inbox
  uint64_t head = 0;   // the newest entry
  uint64_t owed = 0;   // the first entry that still owes an outcome; 0: none
  uint64_t acked = 0;  // the furthest acknowledgement of the user's devices
  uint32_t routes = 0;
  std::vector<Device> devices;           // those with a registration only
  std::map<std::string, int64_t> mutes;  // chat → until when; -1: for ever
  // Chat → the newest message that a gateway has taken a notification of, though it has no outcome
  // yet, since one before it has none. Remembered by this process only.
  std::map<std::string, MsgId> told;
};

// Is what holds until `until_ms` (0: not at all, -1: for ever) in force?
inline bool InForce(int64_t until_ms, int64_t now_ms) { return until_ms < 0 || until_ms > now_ms; }

}  // namespace nightjar::notify
