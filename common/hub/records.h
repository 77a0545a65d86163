// What the hub knows of a chat: values that several calls carry. A part of the port
// (common/hub/hub.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/wire/msg_id.h"

namespace nightjar::hub {

struct ChatRecord {
  std::string chat;
  bool direct = false;
  std::string title;
  int64_t created_ms = 0;
  std::string created_by;
  MsgId last_msg_id = 0;
  uint64_t version = 0;  // of the membership; grows with every change
  uint32_t member_count = 0;
  bool retired = false;  // idle for long: the title is in the store only (keeping.h)
  friend bool operator==(const ChatRecord&, const ChatRecord&) = default;
};

// Who was a member when: joined <= id <= left. left = 0: still is. left is the removal's own id.
// Who comes back while a fan-out task of the chat is open is a Member several times, once for each
// time that the task may be about: at most kTimesKept before the present one (beyond it the change
// is kFull). Coming back while none is open leaves the newest alone. Who left more than kLeftKeptMs
// ago (long enough for what was said before to be acknowledged, and marked as delivered) is
// forgotten, marks too, by the next change of the chat with no task of it open; times before that
// ended then, likewise.
inline constexpr int64_t kLeftKeptMs = int64_t{24} * 3600 * 1000;
inline constexpr size_t kTimesKept = 16;
struct Member {
  std::string uid;
  MsgId joined = 0;
  MsgId left = 0;
  friend bool operator==(const Member&, const Member&) = default;
};

// How far a user has been delivered to in a chat.
struct Mark {
  std::string uid;
  MsgId msg_id = 0;
  friend bool operator==(const Mark&, const Mark&) = default;
};

}  // namespace nightjar::hub
