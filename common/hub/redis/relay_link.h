// The connection that listens to a broker's relay at one server: subscribed to relay:{p}:<broker
// id> of every partition there, connected anew whenever it ends. It carries no calls, since Redis
// lets a subscribed connection say nothing else.
//
// Threads: the hub's, which polls fd() for events(); counts() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/backoff.h"
#include "common/hub/redis/link.h"
#include "common/hub/redis/opening.h"
#include "common/hub/redis/options.h"
#include "common/hub/redis/redis_hub.h"

namespace nightjar::hub {

// A message of the relay (v1::Relayed); nothing if it cannot be read. REQUIRES: not empty.
std::optional<Relayed> DecodeRelayed(std::string_view message);

// AUTH, then SSUBSCRIBE to all channels. What is published before the last of them is confirmed is
// lost.
class Subscription final : public Opening {
 public:
  Subscription(const RedisOptions& options, const std::vector<std::string>& channels);
  bool done() const override { return step_ == Step::kDone; }
  std::string Next() const override;
  Status Take(const redisReply& reply) override;

 private:
  enum class Step { kAuth, kSubscribe, kDone };
  const RedisOptions& options_;
  const std::vector<std::string>& channels_;
  size_t confirmed_ = 0;
  mutable bool asked_ = false;
  Step step_;
};

class RelayLink {
 public:
  // Without hooks.broker_id it never connects.
  RelayLink(const RedisOptions& options, RelayHooks hooks, uint64_t seed);

  // Where the calls' connection came up, in which life of that server, and which partitions are
  // there: what is published where calls do not go (by a master that is none any more) is not to be
  // listened to. Here it connects for the first time.
  void Follow(const RedisAddress& at, const std::string& run_id,
              const std::vector<uint32_t>& partitions, int64_t now_ms);

  int fd() const { return link_.fd(); }
  short events() const { return link_.events(); }
  // What is due: connecting, a PING, giving up what is silent.
  void Work(int64_t now_ms);
  // When Work is due next, if nothing comes before.
  int64_t DueMs() const;
  // After poll.
  void OnEvents(short revents, int64_t now_ms);
  // For good.
  void Stop();

  struct Counts {
    uint64_t ups = 0, relayed = 0, bad = 0;
  };
  Counts counts() const { return {ups_, relayed_, bad_}; }

 private:
  void Up();
  void Break(const std::string& why, int64_t now_ms);
  bool OnReply(const redisReply& reply);
  void OnMessage(std::string_view message);
  void Trouble(const std::string& line);

  const RedisOptions& options_;
  const RelayHooks hooks_;
  std::vector<std::string> channels_;
  bool on_;
  std::optional<RedisAddress> at_;
  std::string run_id_;  // of the server there, as the calls' connection found it
  Link link_;
  std::optional<Subscription> opening_;
  Backoff backoff_;
  int64_t next_open_ = 0;
  int64_t asked_ = 0;          // when a PING went that is not answered yet; 0: none
  bool told_trouble_ = false;  // since it was last up
  bool told_bad_ = false;      // in this subscription
  std::atomic<uint64_t> ups_ = 0, relayed_ = 0, bad_ = 0;
};

}  // namespace nightjar::hub
