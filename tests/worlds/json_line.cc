#include "tests/worlds/json_line.h"

#include <google/protobuf/util/json_util.h>

#include <string_view>

#include "nightjar/v1/client.pb.h"

namespace nightjar::worlds {
namespace {

template <typename M>
void Rewrite(std::string& payload) {
  M message;
  if (!message.ParseFromString(payload)) return;
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json);
  payload = std::move(json);
}

template <typename M>
bool Read(std::string& payload) {
  M message;
  if (!google::protobuf::util::JsonStringToMessage(payload, &message).ok()) return false;
  payload = message.SerializeAsString();
  return true;
}

}  // namespace

void ToJsonLine(client::Packet& packet) {
  if (packet.topic == "chat/send" || packet.topic == "s") return Rewrite<v1::Send>(packet.payload);
  if (packet.topic == "chat/ack" || packet.topic == "a") return Rewrite<v1::Ack>(packet.payload);
  Rewrite<v1::Request>(packet.payload);
}

bool FromJsonLine(std::string& topic, std::string& payload) {
  constexpr std::string_view kPrefix = "json/";
  if (!topic.starts_with(kPrefix)) return false;
  topic.erase(0, kPrefix.size());
  return topic.starts_with("inbox/") ? Read<v1::ServerFrame>(payload) : Read<v1::Presence>(payload);
}

void Shorten(client::Packet& packet) {
  if (packet.topic == "chat/send") packet.topic = "s";
  if (packet.topic == "chat/ack") packet.topic = "a";
  if (packet.topic == "chat/req") packet.topic = "r";
}

void AnnounceFrame(client::Packet& packet, uint32_t max_frame) {
  if (packet.topic != "chat/ack" && packet.topic != "a") return;
  v1::Ack ack;
  if (!ack.ParseFromString(packet.payload)) return;
  ack.set_max_frame(max_frame);
  packet.payload = ack.SerializeAsString();
}

}  // namespace nightjar::worlds
