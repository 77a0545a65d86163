#include "plugin/startup.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>
#include <utility>

#include "common/base/clock.h"
#include "common/hub/redis/open_hub.h"
#include "common/hub/redis/redis_hub.h"
#include "plugin/claim.h"

namespace nightjar::plugin {
namespace {

constexpr int64_t kProbeAgainMs = 200;
constexpr int64_t kLeastJoinMs = 2000;  // Redis is there: it has just been asked
constexpr size_t kLongestPassword = 1024;

// One line with the address in it, once.
std::string Naming(const std::string& where, const std::string& message) {
  if (message.find(where) != std::string::npos) return message;
  return fmt::format("{} (Redis at {})", message, where);
}

// The first line of the file, if one is named.
Status ReadPassword(std::string_view option, const std::string& path, std::string& password) {
  if (path.empty()) return Status::Ok();
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line.empty() || line.size() > kLongestPassword) {
    return {Code::kFailedPrecondition,
            fmt::format("plugin_opt_{} {} cannot be read or has no password in its first line",
                        option, path)};
  }
  password = line;
  return Status::Ok();
}

Status ReadPasswords(Options& options) {
  const Status status =
      ReadPassword("redis_password_file", options.redis_password_file, options.redis.password);
  if (!status.ok()) return status;
  return ReadPassword("sentinel_password_file", options.sentinel_password_file,
                      options.redis.sentinel_password);
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
      return Status(why.code(), Naming(hub::Where(options.redis), why.message()));
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

// Until calls and relay both stand. Shared with the hub's thread.
class Arrival {
 public:
  void Calls(bool up) { Set(calls_, up); }
  void Relay(bool up) { Set(relay_, up); }
  bool Wait(int64_t ms) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(ms),
                             [this] { return calls_ && relay_; });
  }

 private:
  void Set(bool& which, bool up) {
    std::lock_guard lock(mutex_);
    which = up;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool calls_ = false, relay_ = false;
};

// The shell's connection to the hub, with this broker's relay and its id claimed.
Status Join(const Options& options, const core::Config& config, HubShell& link) {
  hub::RedisOptions redis = options.redis;
  // The shell bounds calls; the hub's own bound must not be met before it.
  redis.max_calls = std::max(redis.max_calls, link.capacity());
  const auto arrival = std::make_shared<Arrival>();
  hub::RelayHooks relay;
  relay.broker_id = config.broker_id;
  relay.on_message = [&link](hub::Relayed what) { link.Relayed(std::move(what)); };
  relay.on_state = [&link, arrival](bool up) {
    if (up) link.RelayUp();
    arrival->Relay(up);
  };
  auto owned = hub::OpenHub(
      redis, config.partitions,
      [&link, arrival](const hub::RedisHub::Status& status) {
        if (status.up) {
          link.LinkUp(status.warnings);
        } else {
          link.LinkDown(status.reason, status.partly);
        }
        arrival->Calls(status.up);
      },
      std::move(relay));
  hub::Hub& hub = *owned;
  link.Attach(std::move(owned));
  if (!arrival->Wait(std::max(options.hub_start_wait_ms, kLeastJoinMs))) {
    return {Code::kUnavailable, "no connection for calls and relay to the Redis at " +
                                    hub::Where(options.redis) + " within its time"};
  }
  return ClaimBrokerId(
      hub, config, [](int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); });
}

}  // namespace

Result<std::unique_ptr<BrokerShell>> Start(const OptionLines& lines) {
  auto parsed = ParseOptions(lines);
  if (!parsed.ok()) return parsed.status();
  Options& options = parsed.value();
  if (const Status status = CheckTogether(options); !status.ok()) return status;
  if (const Status status = ReadPasswords(options); !status.ok()) return status;

  KeyFile key_file(options.key_file, options.key_check_ms);
  auto keys = key_file.Load();
  if (!keys.ok()) return keys.status();

  const auto hub = WaitForHub(options);
  if (!hub.ok()) return hub.status();

  core::Config config = options.core;
  config.partitions = hub->info.partitions;
  config.incarnation = MakeIncarnation();
  auto shell = std::make_unique<BrokerShell>(options, config, std::move(key_file), keys.value());
  if (const Status status = Join(options, config, shell->hub()); !status.ok()) return status;
  Log(core::LogLevel::kNotice,
      fmt::format("version {} ready: broker {}#{}, Redis {} at {}, {} partitions, epoch {}",
                  config.version, config.broker_id, config.incarnation, hub->server_version,
                  hub::Where(options.redis), hub->info.partitions, hub->info.epoch));
  return shell;
}

}  // namespace nightjar::plugin
