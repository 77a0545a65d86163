// What the core is told. Plain values; string_views live as long as the Handle() call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "common/hub/hub.h"

namespace nightjar::core {

// A broker connection in one of its lives. The shell hands numbers out once and never again, so
// that a takeover or a reused pointer cannot be mistaken for the session before it.
using SessionId = uint64_t;

// CONNECT arrived. Answered by Actions::verdict: kAllow, kDeny (bad credentials or identity).
// On brokers that tell no more, this is all that is known until the first packet.
struct ConnectAsked {
  SessionId session = 0;
  std::string_view client_id;
  std::string_view user;
  std::string_view password;
  bool clean = true;
};
// SUBSCRIBE to one filter. kAllow or kDeny. Publishing in answer to it is delivered after the
// SUBACK.
struct SubscribeAsked {
  SessionId session = 0;
  std::string_view filter;
  int qos = 0;
};
struct Unsubscribed {
  SessionId session = 0;
  std::string_view filter;
};
// PUBLISH that passed PublishAsked. Consumed by the core; verdict kAllow, or kDeny to have an MQTT
// 5 client told "not authorized".
struct Published {
  SessionId session = 0;
  std::string_view topic;
  std::string_view payload;
  int qos = 0;
};
// May this session publish there? Also asked for its last will, after Disconnected.
struct PublishAsked {
  SessionId session = 0;
  std::string_view topic;
};
// The connection is gone, however it ended. Its PublishAsked for the will may still follow.
struct Disconnected {
  SessionId session = 0;
};
// A call of Actions::ask_hub is answered.
struct HubReplied {
  uint64_t token = 0;
  hub::Reply reply;
};
// The connection to the hub came up (also for the first time) or went away. Up: replies of calls
// may have been lost, so heads are compared.
struct HubUp {};
struct HubDown {
  std::string reason;
  bool partly = false;  // some of its servers are there, and what they have; may be told anew
};
// Another broker's call told this one something, through the hub.
struct Relayed {
  hub::Relayed what;
};
// The subscription to the relay is confirmed (also for the first time), or messages were lost on
// the way (too many waited): heads are compared, and watches told again.
struct RelayUp {};
// The broker is asked to empty itself (SIGTERM): nobody is let in, everybody is moved away, at a
// bounded rate; Action Emptied follows when nobody is left.
struct Drain {};
// Time has passed. The shell sends one at least every 100 ms, and after every batch of events.
struct Tick {};
// The broker is stopping, at once: no client can be reached any more.
struct Stopping {};

using Event =
    std::variant<ConnectAsked, SubscribeAsked, Unsubscribed, Published, PublishAsked, Disconnected,
                 HubReplied, HubUp, HubDown, Relayed, RelayUp, Drain, Tick, Stopping>;

}  // namespace nightjar::core
