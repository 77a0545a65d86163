#include "common/hub/redis/options.h"

#include <algorithm>
#include <charconv>

namespace nightjar::hub {
namespace {

Status Bad(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

}  // namespace

std::string Text(const RedisAddress& address) {
  if (!address.unix_path.empty()) return address.unix_path;
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return (ipv6 ? '[' + address.host + ']' : address.host) + ':' + std::to_string(address.port);
}

Result<RedisAddress> ParseRedisAddress(std::string_view text) {
  RedisAddress address;
  const size_t colon = text.rfind(':');
  std::string_view host = colon == std::string_view::npos ? "" : text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    host = {};  // an IPv6 address without brackets
  }
  if (!host.empty()) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (error == std::errc() && rest == end && address.port >= 1 && address.port <= 65535) {
      address.host = host;
      return address;
    }
  }
  return Bad("\"" + std::string(text) + "\" is not HOST:PORT");
}

Result<std::vector<RedisAddress>> ParseRedisAddresses(std::string_view text) {
  std::vector<RedisAddress> addresses;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    auto address = ParseRedisAddress(text.substr(at, comma - at));
    if (!address.ok()) return address.status();
    addresses.push_back(std::move(address).value());
    at = comma + 1;
  }
  return addresses;
}

Result<Durability> ParseDurability(std::string_view text) {
  if (text == "fsync") return Durability::kFsync;
  if (text == "replica") return Durability::kReplica;
  return Bad("\"" + std::string(text) + "\" is neither fsync nor replica");
}

Status CheckDurability(const RedisOptions& options) {
  if (options.sentinels.empty() || options.durability == Durability::kReplica) return {};
  return {Code::kFailedPrecondition,
          "durability fsync cannot be kept with Sentinel: a failover loses whatever the master has "
          "in its own file only, accepted messages too; durability replica waits for the replicas"};
}

RedisAddress AddressOf(const RedisOptions& options) {
  return {options.host, options.port, options.unix_path};
}

std::string Where(const RedisOptions& options) {
  const auto with = [](std::string where, const std::vector<RedisAddress>& nodes) {
    for (const RedisAddress& node : nodes) {
      if (!where.ends_with(' ')) where += ',';
      where += Text(node);
    }
    return where;
  };
  if (!options.cluster.empty()) return with("Cluster of ", options.cluster);
  if (options.sentinels.empty()) return Text(AddressOf(options));
  return with("master \"" + options.master + "\" of Sentinel ", options.sentinels);
}

RedisOptions WithFailoverTimes(RedisOptions options) {
  if (options.sentinels.empty() && options.cluster.empty()) return options;
  options.ping_ms = std::min<int64_t>(options.ping_ms, 1000);
  options.silence_ms = std::min<int64_t>(options.silence_ms, 2000 + options.wait_ms);
  options.backoff_cap_ms = std::min<int64_t>(options.backoff_cap_ms, 500);
  return options;
}

}  // namespace nightjar::hub
