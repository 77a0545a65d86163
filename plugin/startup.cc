#include "plugin/startup.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>
#include <utility>

#include "common/base/clock.h"
#include "common/hub/redis/redis_hub.h"

namespace nightjar::plugin {
namespace {

constexpr int64_t kProbeAgainMs = 200;
constexpr size_t kLongestPassword = 1024;

std::string Where(const hub::RedisOptions& redis) {
  return redis.unix_path.empty() ? fmt::format("{}:{}", redis.host, redis.port) : redis.unix_path;
}

// One line with the address in it, once.
std::string Naming(const std::string& where, const std::string& message) {
  if (message.find(where) != std::string::npos) return message;
  return fmt::format("{} (Redis at {})", message, where);
}

// The first line of the file.
Status ReadPassword(Options& options) {
  if (options.redis_password_file.empty()) return Status::Ok();
  std::ifstream file(options.redis_password_file);
  std::string line;
  if (!std::getline(file, line) || line.empty() || line.size() > kLongestPassword) {
    return {Code::kFailedPrecondition, "plugin_opt_redis_password_file " +
                                           options.redis_password_file +
                                           " cannot be read or has no password in its first line"};
  }
  options.redis.password = line;
  return Status::Ok();
}

// Asks until Redis is ready or the wait is over. What waiting cannot mend is told at once.
Result<hub::ProbeResult> WaitForHub(const Options& options) {
  const int64_t until = SystemNow().mono_ms + options.hub_start_wait_ms;
  bool told = false;
  while (true) {
    hub::RedisOptions attempt = options.redis;
    const int64_t left = until - SystemNow().mono_ms;
    attempt.connect_timeout_ms = std::clamp<int64_t>(left, 100, attempt.connect_timeout_ms);
    auto probe = hub::Probe(attempt);
    if (probe.ok()) return probe;
    const Status why = probe.status();
    if (why.code() != Code::kUnavailable || SystemNow().mono_ms + kProbeAgainMs > until) {
      return Status(why.code(), Naming(Where(options.redis), why.message()));
    }
    if (!told) Log(core::LogLevel::kNotice, "waiting for Redis: " + why.message());
    told = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(kProbeAgainMs));
  }
}

// Differs from that of every earlier life: the time, then chance for clocks that were set back.
uint64_t MakeIncarnation() {
  uint32_t chance = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&chance), sizeof(chance));
  constexpr int kChanceBits = 12;  // in all below 2^53 for centuries
  return (static_cast<uint64_t>(SystemNow().unix_ms) << kChanceBits) |
         (chance >> (32 - kChanceBits));
}

}  // namespace

Result<std::unique_ptr<BrokerShell>> Start(const OptionLines& lines) {
  auto parsed = ParseOptions(lines);
  if (!parsed.ok()) return parsed.status();
  Options& options = parsed.value();
  if (const Status status = ReadPassword(options); !status.ok()) return status;

  KeyFile key_file(options.key_file, options.key_check_ms);
  auto keys = key_file.Load();
  if (!keys.ok()) return keys.status();

  const auto hub = WaitForHub(options);
  if (!hub.ok()) return hub.status();

  core::Config config = options.core;
  config.partitions = hub->info.partitions;
  config.incarnation = MakeIncarnation();
  auto shell = std::make_unique<BrokerShell>(options, config, std::move(key_file), keys.value());

  // The shell bounds calls; the hub's own bound must not be met before it.
  hub::RedisOptions redis = options.redis;
  redis.max_calls = std::max(redis.max_calls, shell->hub().capacity());
  HubShell& link = shell->hub();
  link.Attach(std::make_unique<hub::RedisHub>(redis, [&link](const hub::RedisHub::Status& status) {
    if (status.up) {
      link.LinkUp(status.warnings);
    } else {
      link.LinkDown(status.reason);
    }
  }));
  Log(core::LogLevel::kNotice,
      fmt::format("version {} ready: broker {}#{}, Redis {} at {}, {} partitions, epoch {}",
                  config.version, config.broker_id, config.incarnation, hub->server_version,
                  Where(options.redis), hub->info.partitions, hub->info.epoch));
  return shell;
}

}  // namespace nightjar::plugin
