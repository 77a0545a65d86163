#include "client-sim/load/party.h"

#include <algorithm>
#include <charconv>

namespace nightjar::load {
namespace {
constexpr size_t kStampDigits = 16;
}  // namespace

std::string StampedText(int64_t intended_ns, size_t bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text(std::max(bytes, kStampDigits), '.');
  for (size_t i = 0; i < kStampDigits; ++i) {
    text[i] = kHex[(static_cast<uint64_t>(intended_ns) >> (60 - 4 * i)) & 0xf];
  }
  return text;
}

int64_t StampOf(std::string_view text) {
  uint64_t stamp = 0;
  if (text.size() < kStampDigits) return 0;
  const char* end = text.data() + kStampDigits;
  const auto [at, error] = std::from_chars(text.data(), end, stamp, 16);
  return error == std::errc() && at == end ? static_cast<int64_t>(stamp) : 0;
}

const char* MqttKindName(swarm::Kind kind) {
  static constexpr const char* kNames[swarm::kOwnKinds] = {
      "0",       "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
      "PUBREL",  "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
      "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};
  return kind < swarm::kOwnKinds ? kNames[kind] : nullptr;
}

}  // namespace nightjar::load
