#include "client-sim/swarm/mqtt_codec.h"

namespace nightjar::swarm {
namespace {

void PutHeader(std::string& out, PacketType type, uint8_t flags, size_t remaining) {
  out.push_back(static_cast<char>((static_cast<uint8_t>(type) << 4) | flags));
  do {
    uint8_t byte = remaining & 0x7f;
    remaining >>= 7;
    if (remaining > 0) byte |= 0x80;
    out.push_back(static_cast<char>(byte));
  } while (remaining > 0);
}
void PutU16(std::string& out, size_t value) {
  out.push_back(static_cast<char>((value >> 8) & 0xff));
  out.push_back(static_cast<char>(value & 0xff));
}
void PutString(std::string& out, std::string_view text) {
  PutU16(out, text.size());
  out.append(text);
}
uint16_t GetU16(std::string_view bytes) {
  return static_cast<uint16_t>((static_cast<uint8_t>(bytes[0]) << 8) |
                               static_cast<uint8_t>(bytes[1]));
}

}  // namespace

void PutConnect(std::string& out, std::string_view client_id, std::string_view user,
                std::string_view password, uint16_t keep_alive_s) {
  constexpr uint8_t kCleanSession = 0x02, kPassword = 0x40, kUser = 0x80;
  uint8_t flags = kCleanSession;
  size_t size = 10 + 2 + client_id.size();
  if (!user.empty()) {
    flags |= kUser | kPassword;
    size += 2 + user.size() + 2 + password.size();
  }
  PutHeader(out, PacketType::kConnect, 0, size);
  PutString(out, "MQTT");
  out.push_back(4);
  out.push_back(static_cast<char>(flags));
  PutU16(out, keep_alive_s);
  PutString(out, client_id);
  if (user.empty()) return;
  PutString(out, user);
  PutString(out, password);
}

void PutSubscribe(std::string& out, uint16_t packet_id, const std::vector<std::string>& filters,
                  int qos) {
  size_t size = 2;
  for (const auto& filter : filters) size += 2 + filter.size() + 1;
  PutHeader(out, PacketType::kSubscribe, 0x02, size);
  PutU16(out, packet_id);
  for (const auto& filter : filters) {
    PutString(out, filter);
    out.push_back(static_cast<char>(qos));
  }
}

void PutPublish(std::string& out, std::string_view topic, std::string_view payload, int qos,
                uint16_t packet_id) {
  PutHeader(out, PacketType::kPublish, static_cast<uint8_t>(qos << 1),
            2 + topic.size() + (qos > 0 ? 2 : 0) + payload.size());
  PutString(out, topic);
  if (qos > 0) PutU16(out, packet_id);
  out.append(payload);
}

void PutPuback(std::string& out, uint16_t packet_id) {
  PutHeader(out, PacketType::kPuback, 0, 2);
  PutU16(out, packet_id);
}

void PutPingreq(std::string& out) { PutHeader(out, PacketType::kPingreq, 0, 0); }

void PutDisconnect(std::string& out) { PutHeader(out, PacketType::kDisconnect, 0, 0); }

Parsed ParsePacket(std::string_view bytes, PacketView& packet, size_t& size) {
  if (bytes.size() < 2) return Parsed::kIncomplete;
  size_t remaining = 0;
  size_t at = 1;
  for (int shift = 0;; shift += 7) {
    if (at >= bytes.size()) return Parsed::kIncomplete;
    if (shift > 21) return Parsed::kMalformed;
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    remaining |= static_cast<size_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) break;
  }
  if (bytes.size() - at < remaining) return Parsed::kIncomplete;
  packet.type = static_cast<PacketType>(static_cast<uint8_t>(bytes[0]) >> 4);
  packet.flags = static_cast<uint8_t>(bytes[0]) & 0x0f;
  packet.body = bytes.substr(at, remaining);
  size = at + remaining;
  return Parsed::kPacket;
}

bool ParsePublish(const PacketView& packet, PublishView& publish) {
  std::string_view body = packet.body;
  publish.qos = (packet.flags >> 1) & 0x03;
  if (body.size() < 2) return false;
  const size_t topic = GetU16(body);
  body.remove_prefix(2);
  const size_t id = publish.qos > 0 ? 2 : 0;
  if (body.size() < topic + id) return false;
  publish.topic = body.substr(0, topic);
  body.remove_prefix(topic);
  publish.packet_id = 0;
  if (id > 0) {
    publish.packet_id = GetU16(body);
    body.remove_prefix(2);
  }
  publish.payload = body;
  return true;
}

uint16_t ParsePacketId(const PacketView& packet) {
  return packet.body.size() < 2 ? 0 : GetU16(packet.body);
}

}  // namespace nightjar::swarm
