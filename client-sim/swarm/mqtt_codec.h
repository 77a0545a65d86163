// The few MQTT 3.1.1 packets that a load generator needs, written to and read from plain bytes.
//
// Pure functions; any thread. Reading is bounds-checked: the far side is a server under test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nightjar::swarm {

enum class PacketType : uint8_t {
  kConnect = 1,
  kConnack = 2,
  kPublish = 3,
  kPuback = 4,
  kSubscribe = 8,
  kSuback = 9,
  kPingreq = 12,
  kPingresp = 13,
  kDisconnect = 14,
};

// Each appends one packet to `out`. Strings are at most 65,535 bytes.
void PutConnect(std::string& out, std::string_view client_id, std::string_view user,
                std::string_view password, uint16_t keep_alive_s);
// REQUIRES: at least one filter.
void PutSubscribe(std::string& out, uint16_t packet_id, const std::vector<std::string>& filters,
                  int qos);
void PutPublish(std::string& out, std::string_view topic, std::string_view payload, int qos,
                uint16_t packet_id);
void PutPuback(std::string& out, uint16_t packet_id);
void PutPingreq(std::string& out);
void PutDisconnect(std::string& out);

struct PacketView {
  PacketType type = PacketType::kPingresp;
  uint8_t flags = 0;
  std::string_view body;  // into the bytes that were read
};
enum class Parsed { kPacket, kIncomplete, kMalformed };
// Reads the first packet of `bytes`; `size` is how many of them it takes.
Parsed ParsePacket(std::string_view bytes, PacketView& packet, size_t& size);

struct PublishView {
  std::string_view topic, payload;
  int qos = 0;
  uint16_t packet_id = 0;  // with QoS 1
};
bool ParsePublish(const PacketView& packet, PublishView& publish);
// Packet id of a PUBACK or SUBACK; 0 if malformed.
uint16_t ParsePacketId(const PacketView& packet);

}  // namespace nightjar::swarm
