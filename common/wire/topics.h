// MQTT topics of the protocol. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace nightjar {

enum class Encoding { kProtobuf, kJson };

enum class TopicKind {
  kNone,          // not one of ours: denied
  kSend,          // chat/send, s
  kAck,           // chat/ack, a
  kRequest,       // chat/req, r
  kPresenceWill,  // presence/{uid}/{device}
  kInbox,         // inbox/{uid}, i, json/inbox/{uid}
  kTail,          // tail/{uid}, json/tail/{uid}
  kPresence,      // presence/{uid}, json/presence/{uid}
  kService,       // svc/...
};

struct Topic {
  TopicKind kind = TopicKind::kNone;
  Encoding encoding = Encoding::kProtobuf;
  std::string_view uid;     // into the parsed string; empty for short forms
  std::string_view device;  // of kPresenceWill
};

// Never fails: what is not exactly one of our topics (wildcards, shared subscriptions, bad uids) is
// kNone.
Topic ParseTopic(std::string_view topic);

}  // namespace nightjar
