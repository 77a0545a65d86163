// What a device tells the person who holds it, and the judge. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "nightjar/v1/client.pb.h"

namespace nightjar::client {

// The inbox is subscribed and the server said where this device stands. Also sent again by the
// server at its own wish.
struct Synced {
  uint64_t epoch = 0, start = 0, head = 0;
  bool resync = false;
};
struct WentDown {
  std::string reason;
};
// A person has written something on this device. Told before the first send of it leaves.
struct Wrote {
  uint64_t client_msg_id = 0;
  std::string chat_id;
  std::string text;
};
// One of our sends is in the chat for good.
struct SendAccepted {
  uint64_t client_msg_id = 0;
  uint64_t msg_id = 0;
  std::string chat_id;
  std::string text;
  int tries = 0;
};
// Refused for good; not stored under this id.
struct SendRefused {
  uint64_t client_msg_id = 0;
  std::string chat_id;
  std::string text;
  v1::Error error;
};
// Refused for now (too fast, or the server cannot store at the moment); it will be repeated.
struct PutOff {
  uint64_t client_msg_id = 0;
  v1::Code code = v1::OK;
};
// A message that this device sees for the first time.
struct MessageCame {
  uint64_t seq = 0;  // 0: read from history after a resync
  v1::Message message;
};
// A copy of a message that this device has already (at least once is normal; people see one). The
// device judges by integers: an id at or below the newest of its chat that came in order. Whether
// it really had that message is for the judge to know.
struct RepeatCame {
  uint64_t seq = 0;
  std::string chat_id;
  uint64_t msg_id = 0;
};
struct ChatChanged {
  uint64_t seq = 0;
  v1::ChatChange change;
};
// A delivered mark moved forward.
struct MarkMoved {
  std::string chat_id;
  std::string uid;
  uint64_t msg_id = 0;
};
// Acknowledged to the server: everything up to seq is safely here.
struct AckSent {
  uint64_t seq = 0;
};
struct GapSeen {
  uint64_t held = 0, seq = 0;
};
struct PresenceSeen {
  v1::Presence presence;
};
struct Answered {
  v1::Response response;
};
struct Noticed {
  v1::Notice notice;
};
// The server did what the protocol forbids.
struct ServerFault {
  std::string what;
};

using Happening = std::variant<Synced, WentDown, Wrote, SendAccepted, SendRefused, PutOff,
                               MessageCame, RepeatCame, ChatChanged, MarkMoved, AckSent, GapSeen,
                               PresenceSeen, Answered, Noticed, ServerFault>;

}  // namespace nightjar::client
