#include "plugin/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "common/wire/names.h"

namespace nightjar::plugin {
namespace {

constexpr int64_t kSecond = 1000, kMinute = 60 * kSecond, kHour = 60 * kMinute;

#define NIGHTJAR_NUMBER(name, low, high, field)                         \
  NumberOption {                                                        \
    name, low, high, [](const Options& o) { return int64_t(o.field); }, \
        [](Options& o, int64_t v) { o.field = decltype(o.field)(v); }   \
  }

struct TextOption {
  std::string_view name;
  bool needed;
  Status (*set)(Options&, const std::string&);
};

Status Bad(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// HOST:PORT, [IPV6]:PORT, or the path of a Unix socket.
Status SetRedis(Options& options, const std::string& value) {
  if (value.starts_with('/')) {
    options.redis.unix_path = value;
    return Status::Ok();
  }
  auto address = hub::ParseRedisAddress(value);
  if (!address.ok()) {
    return Bad("plugin_opt_redis must be HOST:PORT or the path of a Unix socket, not \"" + value +
               "\"");
  }
  options.redis.host = address->host;
  options.redis.port = address->port;
  return Status::Ok();
}

Status SetSentinels(Options& options, const std::string& value) {
  auto addresses = hub::ParseRedisAddresses(value);
  if (!addresses.ok()) {
    return Bad("plugin_opt_redis_sentinels must be HOST:PORT[,HOST:PORT...]: " +
               addresses.status().message());
  }
  options.redis.sentinels = std::move(addresses).value();
  return Status::Ok();
}

Status SetCluster(Options& options, const std::string& value) {
  auto addresses = hub::ParseRedisAddresses(value);
  if (!addresses.ok()) {
    return Bad("plugin_opt_redis_cluster must be HOST:PORT[,HOST:PORT...]: " +
               addresses.status().message());
  }
  options.redis.cluster = std::move(addresses).value();
  return Status::Ok();
}

Status SetDurability(Options& options, const std::string& value) {
  const auto durability = hub::ParseDurability(value);
  if (!durability.ok()) return Bad("plugin_opt_durability: " + durability.status().message());
  options.redis.durability = durability.value();
  return Status::Ok();
}

Status SetBrokerId(Options& options, const std::string& value) {
  if (!ValidDevice(value)) {
    return Bad("plugin_opt_broker_id must be 1 to 32 of A-Z a-z 0-9 _ -, not \"" + value + "\"");
  }
  options.core.broker_id = value;
  return Status::Ok();
}

Status SetWakeSocket(Options& options, const std::string& value) {
  constexpr size_t kLongest = 107;  // sun_path less its terminator
  if (!value.starts_with('/') || value.size() > kLongest) {
    return Bad(
        "plugin_opt_wake_socket must be an absolute path of at most 107 bytes, that of the "
        "\"listener 0\" line, not \"" +
        value + "\"");
  }
  options.wake_socket = value;
  return Status::Ok();
}

Status SetLogLevel(Options& options, const std::string& value) {
  using core::LogLevel;
  constexpr std::pair<std::string_view, LogLevel> kLevels[] = {{"debug", LogLevel::kDebug},
                                                               {"info", LogLevel::kInfo},
                                                               {"notice", LogLevel::kNotice},
                                                               {"warning", LogLevel::kWarning},
                                                               {"error", LogLevel::kError}};
  for (const auto& [name, level] : kLevels) {
    if (value != name) continue;
    options.log_level = level;
    return Status::Ok();
  }
  return Bad("plugin_opt_log_level must be debug, info, notice, warning or error, not \"" + value +
             "\"");
}

const std::vector<TextOption>& TextOptions() {
  static const std::vector<TextOption> kOptions = {
      {"redis", true, SetRedis},
      {"redis_sentinels", false, SetSentinels},
      {"redis_cluster", false, SetCluster},
      {"redis_master", false,
       [](Options& o, const std::string& v) {
         o.redis.master = v;
         return Status::Ok();
       }},
      {"durability", false, SetDurability},
      {"key_file", true,
       [](Options& o, const std::string& v) {
         o.key_file = v;
         return Status::Ok();
       }},
      {"wake_socket", true, SetWakeSocket},
      {"broker_id", false, SetBrokerId},
      {"redis_user", false,
       [](Options& o, const std::string& v) {
         o.redis.user = v;
         return Status::Ok();
       }},
      {"redis_password_file", false,
       [](Options& o, const std::string& v) {
         o.redis_password_file = v;
         return Status::Ok();
       }},
      {"sentinel_password_file", false,
       [](Options& o, const std::string& v) {
         o.sentinel_password_file = v;
         return Status::Ok();
       }},
      {"log_level", false, SetLogLevel},
  };
  return kOptions;
}

size_t Distance(std::string_view a, std::string_view b) {  // Levenshtein
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

Status Unknown(const std::string& name) {
  std::string_view nearest;
  size_t least = 4;  // further off than this is no misspelling
  const auto look = [&](std::string_view known) {
    const size_t distance = Distance(name, known);
    if (distance < least) least = distance, nearest = known;
  };
  for (const auto& option : TextOptions()) look(option.name);
  for (const auto& option : NumberOptions()) look(option.name);
  std::string message = "unknown option plugin_opt_" + name;
  if (!nearest.empty()) message += fmt::format("; did you mean plugin_opt_{}?", nearest);
  return Bad(std::move(message));
}

Status SetNumber(Options& options, const NumberOption& option, const std::string& value) {
  const auto number = ParseNumber(value);
  if (!number || *number < option.low || *number > option.high) {
    return Bad(fmt::format("plugin_opt_{} must be a whole number from {} to {}, not \"{}\"",
                           option.name, option.low, option.high, value));
  }
  option.set(options, *number);
  return Status::Ok();
}

Status SetOne(Options& options, const std::string& name, const std::string& value) {
  for (const auto& option : TextOptions()) {
    if (option.name != name) continue;
    if (value.empty()) return Bad("plugin_opt_" + name + " has no value");
    return option.set(options, value);
  }
  for (const auto& option : NumberOptions()) {
    if (option.name == name) return SetNumber(options, option, value);
  }
  return Unknown(name);
}

}  // namespace

const std::vector<NumberOption>& NumberOptions() {
  static const std::vector<NumberOption> kOptions = {
      NIGHTJAR_NUMBER("redis_db", 0, 1023, redis.db),
      NIGHTJAR_NUMBER("replicas_min", 1, 100, redis.replicas_min),
      NIGHTJAR_NUMBER("replica_wait_ms", 50, kMinute, redis.wait_ms),
      NIGHTJAR_NUMBER("partitions", 1, 16'384, redis.partitions),
      NIGHTJAR_NUMBER("journal_max", 1000, 100'000'000, redis.journal_max),
      NIGHTJAR_NUMBER("tasks_max", 1000, 100'000'000, redis.tasks_max),
      NIGHTJAR_NUMBER("hub_start_wait_ms", 0, 10 * kMinute, hub_start_wait_ms),
      NIGHTJAR_NUMBER("hub_gather_ms", 0, 100, redis.gather_ms),
      NIGHTJAR_NUMBER("hub_timeout_ms", 100, 10 * kMinute, redis.call_timeout_ms),
      NIGHTJAR_NUMBER("hub_drain_ms", 0, kMinute, redis.drain_ms),
      NIGHTJAR_NUMBER("hub_calls", 100, 1'000'000, core.hub_calls),
      NIGHTJAR_NUMBER("hub_bytes", 1 << 20, int64_t{1} << 34, redis.max_bytes),
      NIGHTJAR_NUMBER("key_check_ms", 100, kHour, key_check_ms),
      NIGHTJAR_NUMBER("group_members", 2, 100'000, core.group_members),
      NIGHTJAR_NUMBER("sends_per_s", 1, 1'000'000, core.sends_per_s),
      NIGHTJAR_NUMBER("sends_burst", 1, 1'000'000, core.sends_burst),
      NIGHTJAR_NUMBER("online_after_ms", 0, kHour, core.online_after_ms),
      NIGHTJAR_NUMBER("offline_after_ms", 0, kHour, core.offline_after_ms),
      NIGHTJAR_NUMBER("silent_after_ms", 100, kHour, core.silent_after_ms),
      NIGHTJAR_NUMBER("silent_rounds", 1, 20, core.silent_rounds),
      NIGHTJAR_NUMBER("store_retry_ms", 10, kMinute, core.store_retry_ms),
      NIGHTJAR_NUMBER("store_give_up_ms", 10, 10 * kMinute, core.store_give_up_ms),
      NIGHTJAR_NUMBER("store_requests", 1, 1'000'000, core.store_requests),
      NIGHTJAR_NUMBER("close_sequence_ms", 10, kMinute, core.close_sequence_ms),
      NIGHTJAR_NUMBER("beat_ms", 50, kMinute, core.beat_ms),
      NIGHTJAR_NUMBER("broker_ttl_ms", 500, 10 * kMinute, core.broker_ttl_ms),
      NIGHTJAR_NUMBER("drain_per_s", 1, 1'000'000, core.drain_per_s),
      NIGHTJAR_NUMBER("drain_ms", 0, kHour, core.drain_ms),
      NIGHTJAR_NUMBER("logins_per_s", 1, 1'000'000, core.logins_per_s),
      NIGHTJAR_NUMBER("logins_at_once", 1, 1'000'000, core.logins_at_once),
      NIGHTJAR_NUMBER("lease_ttl_ms", 500, 10 * kMinute, core.lease_ttl_ms),
      NIGHTJAR_NUMBER("chat_cache", 1, 100'000'000, core.chat_cache),
  };
  return kOptions;
}

Result<Options> ParseOptions(const OptionLines& lines) {
  Options options;
  std::set<std::string> seen;
  for (const auto& [name, value] : lines) {
    if (!seen.insert(name).second) return Bad("plugin_opt_" + name + " is given twice");
    if (const Status status = SetOne(options, name, value); !status.ok()) return status;
  }
  for (const auto& option : TextOptions()) {
    const bool named_otherwise = option.name == "redis" && (seen.contains("redis_sentinels") ||
                                                            seen.contains("redis_cluster"));
    if (option.needed && !named_otherwise && !seen.contains(std::string(option.name))) {
      return Bad(fmt::format("plugin_opt_{} is missing from mosquitto.conf", option.name));
    }
  }
  if (seen.count("redis") + seen.count("redis_sentinels") + seen.count("redis_cluster") > 1) {
    return Bad(
        "plugin_opt_redis, plugin_opt_redis_sentinels and plugin_opt_redis_cluster: only one of "
        "them can be given");
  }
  if (const Status status = hub::CheckDurability(options.redis); !status.ok()) {
    return Bad("plugin_opt_durability: " + status.message());
  }
  return options;
}

Status CheckTogether(const Options& options) {
  if (options.core.broker_ttl_ms >= 3 * options.core.beat_ms) return Status::Ok();
  return Bad("plugin_opt_broker_ttl_ms must be at least three times plugin_opt_beat_ms");
}

}  // namespace nightjar::plugin
