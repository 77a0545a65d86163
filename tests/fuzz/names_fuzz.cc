// Topics, client ids, chat ids: what is taken must say exactly what was given.
#include <string>

#include "common/wire/names.h"
#include "common/wire/topics.h"
#include "tests/fuzz/check.h"

namespace {

using namespace nightjar;

// The topic again, from what was understood of it.
std::string LongForm(const Topic& topic) {
  const std::string json = topic.encoding == Encoding::kJson ? "json/" : "";
  const std::string uid(topic.uid);
  switch (topic.kind) {
    case TopicKind::kSend: return "chat/send";
    case TopicKind::kAck: return "chat/ack";
    case TopicKind::kRequest: return "chat/req";
    case TopicKind::kInbox: return uid.empty() ? "i" : json + "inbox/" + uid;
    case TopicKind::kTail: return json + "tail/" + uid;
    case TopicKind::kPresence: return json + "presence/" + uid;
    case TopicKind::kPresenceWill: return "presence/" + uid + "/" + std::string(topic.device);
    case TopicKind::kNone:
    case TopicKind::kService: break;
  }
  return {};
}

void CheckTopic(std::string_view text) {
  const Topic topic = ParseTopic(text);
  if (topic.kind == TopicKind::kService) {
    FUZZ_CHECK(text.starts_with("svc/"));
    return;
  }
  if (topic.kind == TopicKind::kNone) return;
  FUZZ_CHECK(text.find_first_of("+#$") == std::string_view::npos);
  FUZZ_CHECK(topic.uid.empty() || ValidUid(topic.uid));
  const bool is_short = text == "s" || text == "a" || text == "r";
  FUZZ_CHECK(is_short || LongForm(topic) == text);
}

void CheckNames(std::string_view text) {
  if (const auto id = ParseClientId(text)) {
    FUZZ_CHECK(ValidUid(id->uid) && ValidDevice(id->device));
    FUZZ_CHECK(id->uid + ":" + id->device == text);
  }
  if (const auto chat = ParseChatId(text); chat && chat->direct) {
    FUZZ_CHECK(DirectChatId(chat->low, chat->high) == text);
    FUZZ_CHECK(DirectChatId(chat->high, chat->low) == text);
  }
  for (const uint32_t partitions : {1u, 64u, 16'384u}) {
    FUZZ_CHECK(PartitionOf(text, partitions) < partitions);
  }
  const std::string_view half = text.substr(0, text.size() / 2);
  const std::string group = GroupChatId(half, text.substr(half.size()), text);
  const auto parsed = ParseChatId(group);
  FUZZ_CHECK(parsed && !parsed->direct);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckTopic(text);
  CheckNames(text);
  return 0;
}
