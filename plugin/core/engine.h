// The core of the plugin: everything that decides, as one state machine without I/O, threads or a
// clock of its own. The same code runs inside Mosquitto and in simulated worlds.
//
// Threads: none of its own; one owner, who makes every call.
// Bad input from clients is answered to them; Handle() never fails and never throws on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/wire/jwt.h"
#include "plugin/core/action.h"
#include "plugin/core/event.h"

namespace nightjar::core {

// Times in ms. docs/configuration.md lists them with their plugin_opt_ names.
struct Config {
  std::string broker_id = "b1";
  uint64_t incarnation = 1;  // of this life of the broker; differs from every earlier one
  uint32_t partitions = 64;
  uint32_t group_members = 1000;
  uint32_t sends_per_s = 50;
  uint32_t sends_burst = 200;
  int64_t online_after_ms = 3000;
  int64_t offline_after_ms = 5000;
  int64_t silent_after_ms = 10'000;  // plus what the bytes in flight need at 4 kbit/s; doubles
  int silent_rounds = 3;
  int64_t store_retry_ms = 1000;  // a store request is repeated once, then given up after 2 s more
  int64_t store_give_up_ms = 2000;
  int64_t close_sequence_ms = 500;  // a sequence that ends in skipped entries is closed after this
  int64_t lease_ttl_ms = 5000;
  int64_t beat_ms = 2000;           // how often the broker says that it lives
  int64_t broker_ttl_ms = 8000;     // who has not for so long is dead
  int64_t hub_away_ms = 5000;       // after so long without any of the hub nobody new is let in
  int64_t route_check_ms = 30'000;  // how often each session's route and head are compared
  uint32_t logins_at_once = 64;     // under way at the hub; the rest wait in order
  uint32_t logins_per_s = 2000;
  uint32_t acks_at_once = 64;      // under way at the hub; the rest wait in order, and gather
  uint32_t entries_at_once = 512;  // of fan-out, under way at the hub
  uint32_t drain_per_s = 500;      // sessions moved away; more if drain_ms would not do
  int64_t drain_ms = 30'000;       // a drained broker has stopped by then
  size_t hub_calls = 50'000;       // under way; beyond it sends are refused as full
  size_t store_requests = 10'000;
  size_t chat_cache = 100'000;  // chats whose membership is kept in memory
  std::string version = "0.1.0";
};

class Engine {
 public:
  // `keys` may be replaced later by SetKeys (a reload of the key file).
  Engine(Config config, std::shared_ptr<const KeySet> keys);
  ~Engine();

  // Takes one event at one instant; `out` is cleared first and gets what is to be done about it.
  // REQUIRES: now.mono_ms never goes back.
  void Handle(Event event, Now now, Actions& out);

  void SetKeys(std::shared_ptr<const KeySet> keys);

  // The steady instant of the earliest timer, or INT64_MAX: before it a Tick would find nothing to
  // do.
  int64_t NextDeadline() const;
  // Is there more to be done of what is done in steps? Then the next step should come at its time
  // rather than with the broker's next tick.
  bool Unfinished() const;

  // For status and tests.
  struct Stats {
    size_t sessions = 0, devices = 0, hub_calls = 0, store_requests = 0, timers = 0;
    size_t logins_waiting = 0, brokers = 0;  // brokers: the living, as last heard; 0: not yet
    bool registered = false, draining = false;
    uint64_t accepted = 0, rejected = 0, repeats = 0, delivered_frames = 0, acks = 0, resent = 0,
             closed_silent = 0, bad_frames = 0;
  };
  Stats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nightjar::core
