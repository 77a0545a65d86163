#include "common/wire/names.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace nightjar {
namespace {

constexpr size_t kUidMost = 64;
constexpr size_t kDeviceMost = 32;
constexpr size_t kGroupDigits = 26;
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";

constexpr bool IsAlnum(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

void AppendPart(std::string& out, std::string_view part) {
  // The length in front keeps ("ab","c") and ("a","bc") apart.
  const auto size = static_cast<uint32_t>(part.size());
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(size >> shift));
  out.append(part);
}

}  // namespace

bool ValidUid(std::string_view uid) {
  if (uid.empty() || uid.size() > kUidMost) return false;
  return std::all_of(uid.begin(), uid.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool ValidDevice(std::string_view device) {
  if (device.empty() || device.size() > kDeviceMost) return false;
  return std::all_of(device.begin(), device.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '-'; });
}

std::optional<ClientId> ParseClientId(std::string_view client_id) {
  // Neither part may contain a colon, so the first one is the only one.
  const size_t colon = client_id.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view uid = client_id.substr(0, colon);
  const std::string_view device = client_id.substr(colon + 1);
  if (!ValidUid(uid) || !ValidDevice(device)) return std::nullopt;
  return ClientId{std::string(uid), std::string(device)};
}

std::string DirectChatId(std::string_view a, std::string_view b) {
  if (b < a) std::swap(a, b);  // char_traits<char> compares as unsigned bytes
  std::string id = "d:";
  id.reserve(3 + a.size() + b.size());
  id.append(a).append(":").append(b);
  return id;
}

std::string GroupChatId(std::string_view uid, std::string_view device,
                        std::string_view request_id) {
  std::string parts;
  AppendPart(parts, uid);
  AppendPart(parts, device);
  AppendPart(parts, request_id);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(parts.data()), parts.size(), digest.data());

  // The digest's first 130 bits, five at a time.
  std::string id = "g:";
  uint32_t bits = 0;
  int held = 0;
  size_t next = 0;
  for (size_t i = 0; i < kGroupDigits; ++i) {
    if (held < 5) {
      bits = (bits << 8) | digest[next++];
      held += 8;
    }
    held -= 5;
    id.push_back(kBase32[(bits >> held) & 31]);
  }
  return id;
}

std::vector<std::string> ChatName::Members() const {
  if (low == high) return {low};
  return {low, high};
}

std::optional<ChatName> ParseChatId(std::string_view chat_id) {
  if (chat_id.starts_with("g:")) {
    const std::string_view digits = chat_id.substr(2);
    if (digits.size() != kGroupDigits) return std::nullopt;
    if (digits.find_first_not_of(kBase32) != std::string_view::npos) return std::nullopt;
    return ChatName{};
  }
  if (!chat_id.starts_with("d:")) return std::nullopt;
  const std::string_view pair = chat_id.substr(2);
  const size_t colon = pair.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view low = pair.substr(0, colon);
  const std::string_view high = pair.substr(colon + 1);
  if (!ValidUid(low) || !ValidUid(high) || high < low) return std::nullopt;
  return ChatName{.direct = true, .low = std::string(low), .high = std::string(high)};
}

uint32_t PartitionOf(std::string_view id, uint32_t partitions) {
  // FNV-1a, 64 bits.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : id) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  // FNV's low bits are weak in the last byte; MurmurHash3's finaliser spreads every bit.
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53;
  hash ^= hash >> 33;
  return partitions == 0 ? 0 : static_cast<uint32_t>(hash % partitions);
}

}  // namespace nightjar
