#include "common/wire/topics.h"

#include "common/wire/names.h"

namespace nightjar {
namespace {

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

Topic OfUser(TopicKind kind, Encoding encoding, std::string_view uid) {
  if (!ValidUid(uid)) return {};
  return {.kind = kind, .encoding = encoding, .uid = uid, .device = {}};
}

// `rest` follows "presence/": a user, or a user's device.
Topic OfPresence(Encoding encoding, std::string_view rest) {
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return OfUser(TopicKind::kPresence, encoding, rest);
  if (encoding == Encoding::kJson) return {};  // a will has no JSON form: any payload does
  const std::string_view device = rest.substr(slash + 1);
  if (!ValidDevice(device)) return {};
  Topic topic = OfUser(TopicKind::kPresenceWill, encoding, rest.substr(0, slash));
  if (topic.kind != TopicKind::kNone) topic.device = device;
  return topic;
}

Topic OfKind(TopicKind kind) {
  return {.kind = kind, .encoding = Encoding::kProtobuf, .uid = {}, .device = {}};
}

}  // namespace

Topic ParseTopic(std::string_view topic) {
  if (topic == "s" || topic == "chat/send") return OfKind(TopicKind::kSend);
  if (topic == "a" || topic == "chat/ack") return OfKind(TopicKind::kAck);
  if (topic == "r" || topic == "chat/req") return OfKind(TopicKind::kRequest);
  if (topic == "i") return OfKind(TopicKind::kInbox);

  std::string_view rest = topic;
  if (TakePrefix(rest, "svc/")) {
    // Service tokens subscribe with wildcards; what lies below svc/ is the sidecars' own.
    return rest.empty() ? Topic{} : OfKind(TopicKind::kService);
  }
  const Encoding encoding = TakePrefix(rest, "json/") ? Encoding::kJson : Encoding::kProtobuf;
  if (TakePrefix(rest, "inbox/")) return OfUser(TopicKind::kInbox, encoding, rest);
  if (TakePrefix(rest, "tail/")) return OfUser(TopicKind::kTail, encoding, rest);
  if (TakePrefix(rest, "presence/")) return OfPresence(encoding, rest);
  return {};
}

}  // namespace nightjar
