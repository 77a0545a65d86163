#include "common/hub/redis/slot_map.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "common/hub/redis/command.h"

namespace nightjar::hub {
namespace {

constexpr size_t kReplicasMost = 16;  // of one range

// CRC-16 with the polynomial 0x1021, from 0, as XMODEM has it.
constexpr std::array<uint16_t, 256> MakeCrcTable() {
  std::array<uint16_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0);
    table[byte] = static_cast<uint16_t>(crc);
  }
  return table;
}
constexpr std::array<uint16_t, 256> kCrcTable = MakeCrcTable();

Status Bad() { return {Code::kInternal, "CLUSTER SLOTS gave an answer of the wrong shape"}; }

bool InRange(const redisReply& reply, long long most) {
  return reply.type == REDIS_REPLY_INTEGER && reply.integer >= 0 && reply.integer <= most;
}

// Nothing: no address is known of it. A node that was never told its own is where it was asked.
std::optional<ClusterNode> ReadNode(const redisReply& reply, const RedisAddress& asked) {
  std::string_view host = Text(*reply.element[0]);
  if (host == "?") return {};
  if (host.empty()) host = asked.host;
  if (host.empty() || reply.element[1]->integer == 0) return {};
  return ClusterNode{std::string(Text(*reply.element[2])),
                     {std::string(host), static_cast<int>(reply.element[1]->integer)}};
}

bool IsNode(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ARRAY && reply.elements >= 3 &&
         InRange(*reply.element[1], 65535) && reply.element[2]->type == REDIS_REPLY_STRING &&
         reply.element[2]->len > 0;
}

}  // namespace

uint32_t SlotOfTag(std::string_view tag) {
  uint16_t crc = 0;
  for (const char c : tag) {
    crc = static_cast<uint16_t>((crc << 8) ^ kCrcTable[(crc >> 8) ^ static_cast<uint8_t>(c)]);
  }
  return crc % kSlots;
}

uint32_t SlotOfPartition(uint32_t partition) { return SlotOfTag(std::to_string(partition)); }

Result<SlotMap> SlotMap::Read(const redisReply& reply, const RedisAddress& asked) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements > kSlots) return Bad();
  SlotMap map;
  for (size_t i = 0; i < reply.elements; ++i) {
    const redisReply& range = *reply.element[i];
    if (range.type != REDIS_REPLY_ARRAY || range.elements < 3 ||
        range.elements > 3 + kReplicasMost || !InRange(*range.element[0], kSlots - 1) ||
        !InRange(*range.element[1], kSlots - 1)) {
      return Bad();
    }
    Shard shard;
    bool served = false;
    for (size_t n = 2; n < range.elements; ++n) {
      if (!IsNode(*range.element[n])) return Bad();
      auto node = ReadNode(*range.element[n], asked);
      if (!node) continue;
      if (n == 2) {
        served = true;
        shard.master = std::move(*node);
      } else {
        shard.replicas.push_back(std::move(*node));
      }
    }
    if (!served) continue;
    const auto index = static_cast<uint16_t>(map.Add(std::move(shard)));
    for (long long s = range.element[0]->integer; s <= range.element[1]->integer; ++s) {
      map.of_slot_[static_cast<size_t>(s)] = index;
    }
  }
  return map;
}

size_t SlotMap::Add(Shard shard) {
  const auto known = std::find_if(shards_.begin(), shards_.end(), [&shard](const Shard& other) {
    return other.master.id == shard.master.id;
  });
  if (known != shards_.end()) return static_cast<size_t>(known - shards_.begin());
  shards_.push_back(std::move(shard));
  return shards_.size() - 1;
}

std::optional<size_t> SlotMap::ShardOf(uint32_t slot) const {
  if (of_slot_[slot] == kNobody) return {};
  return of_slot_[slot];
}

bool SlotMap::IsMaster(const std::string& id) const {
  return std::any_of(shards_.begin(), shards_.end(),
                     [&id](const Shard& shard) { return shard.master.id == id; });
}

std::optional<Redirect> ReadRedirect(const redisReply& reply, const RedisAddress& asked) {
  if (!IsError(reply)) return {};
  const std::string_view text = Text(reply);
  if (text.starts_with("TRYAGAIN ") || text.starts_with("ASK ")) {
    return Redirect{.to = {}, .kind = Redirect::Kind::kOnItsWay};
  }
  if (!text.starts_with("MOVED ")) return {};
  Redirect moved;
  std::string address(text.substr(text.rfind(' ') + 1));
  if (address.starts_with(':')) address = asked.host + address;  // the same host as asked
  // An IPv6 address comes without brackets.
  if (const size_t colon = address.rfind(':');
      colon != std::string::npos && address[0] != '[' && address.find(':') != colon) {
    address = '[' + address.substr(0, colon) + ']' + address.substr(colon);
  }
  if (auto to = ParseRedisAddress(address); to.ok()) moved.to = std::move(to).value();
  return moved;
}

AskSlots::AskSlots(const RedisOptions& options, RedisAddress asked)
    : options_(options),
      asked_(std::move(asked)),
      step_(options.password.empty() ? Step::kAsk : Step::kAuth) {}

std::string AskSlots::Next() const {
  CommandWriter c;
  if (step_ == Step::kAuth) {
    c.Arg("AUTH");
    if (!options_.user.empty()) c.Arg(options_.user);
    c.Arg(options_.password);
  } else {
    c.Arg("CLUSTER").Arg("SLOTS");
  }
  std::string out;
  c.AppendTo(out);
  return out;
}

Status AskSlots::Take(const redisReply& reply) {
  const std::string text(Text(reply));
  if (step_ == Step::kAuth) {
    if (IsError(reply)) return {Code::kUnauthenticated, "Redis refused the password: " + text};
    step_ = Step::kAsk;
    return {};
  }
  if (IsError(reply)) {
    if (text.starts_with("NOAUTH")) {
      return {Code::kUnauthenticated, "Redis wants a password and none is configured"};
    }
    const Code code = text.starts_with("LOADING") ? Code::kUnavailable : Code::kFailedPrecondition;
    return {code, "Redis at " + Text(asked_) + " is not of a Cluster: " + text};
  }
  auto map = SlotMap::Read(reply, asked_);
  if (!map.ok()) return map.status();
  map_ = std::move(map).value();
  step_ = Step::kDone;
  return {};
}

}  // namespace nightjar::hub
