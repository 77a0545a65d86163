// A process's connection to the hub, with the manners of common/hub/redis/: calls take effect in
// the order of submission and are answered in it; while the line is down they wait, at most
// `timeout_ms`; after a reconnect what may be repeated is repeated, whether or not it had its
// effect; what may not fails. A call whose time is over is answered as unavailable and may take
// effect all the same.
//
// Threads: none. Callbacks run from scheduled events or inside Cut(), and may submit again.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "common/hub/hub.h"
#include "tests/worlds/coverage.h"
#include "tests/worlds/dice.h"
#include "tests/worlds/scheduler.h"

namespace nightjar::worlds {

struct HubLineShape {
  int64_t latency_ms = 1;     // each way, at most
  int64_t late_permille = 0;  // calls that take up to late_ms
  int64_t late_ms = 3000;
  int64_t refuse_permille = 0;  // fail without effect, from time to time as full
  int64_t lose_permille = 0;    // fail after the effect
  int64_t zombie_permille = 0;  // cuts whose calls under way take effect until it connects again
  int64_t timeout_ms = 10'000;
  bool frozen_is_frozen = false;  // a paused hub does nothing for a line that breaks either
};

class HubLine : public hub::Hub {
 public:
  using Executor = std::function<hub::Reply(const hub::Call&)>;
  HubLine(Scheduler& scheduler, Dice& dice, Coverage& coverage, HubLineShape shape,
          Executor execute);

  void Submit(hub::Call call, hub::Callback done) override;

  bool up() const { return up_; }
  size_t size() const { return calls_.size(); }
  void Connect();
  void Cut();
  // The server at the other end has died: what is under way there, over this connection or the one
  // before, has no effect any more. Up or down, it is down then.
  void ServerDied();
  // While muted nothing is answered. What would have been is asked again by the next connection.
  void Mute(bool muted) { muted_ = muted; }
  // The process behind it has died: nobody is answered; what was written may still have its effect.
  void Die();
  // Until then nothing takes effect (the hub is paused).
  void Freeze(int64_t until) { frozen_until_ = until; }
  // Until then beats fail without effect.
  void LoseBeats(int64_t until) { no_beats_until_ = until; }
  void Calm() {
    no_beats_until_ = 0;
    shape_.late_permille = shape_.refuse_permille = shape_.lose_permille = shape_.zombie_permille =
        0;
  }

 private:
  struct Entry {
    hub::Call call;
    hub::Callback done;  // empty: answered already
    std::optional<hub::Reply> reply;
    int64_t at = 0;
    bool sent = false;
  };

  void Send(uint64_t number);
  void Effect(uint64_t number);
  void AnswerFront();
  void Answer(Entry& entry, hub::Reply reply);
  void WatchTime(const Entry& entry);
  void Expire();
  void SomeTakeEffect();
  void GiveUp();
  Entry& At(uint64_t number) { return calls_[number - first_]; }

  Scheduler& scheduler_;
  Dice& dice_;
  Coverage& coverage_;
  HubLineShape shape_;
  const Executor execute_;
  std::deque<Entry> calls_;
  uint64_t first_ = 0;  // number of calls_[0]
  uint64_t era_ = 0;    // of the connection: events of an earlier one mean nothing
  bool up_ = false, muted_ = false;
  int64_t effect_at_ = 0, answer_at_ = 0, frozen_until_ = 0, no_beats_until_ = 0;
};

}  // namespace nightjar::worlds
