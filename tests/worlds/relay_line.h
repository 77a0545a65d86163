// A broker's subscription to what the hub relays to it, on virtual time: messages arrive in order,
// a little later. It can be cut, which loses what is under way and what is published meanwhile, and
// come back, which tells of it (core::RelayUp) before anything newer.
//
// Threads: none; one owner. The hub must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tests/fakes/fake_hub.h"
#include "tests/worlds/coverage.h"
#include "tests/worlds/dice.h"
#include "tests/worlds/hub_line.h"
#include "tests/worlds/scheduler.h"

namespace nightjar::worlds {

class RelayLine {
 public:
  struct Ends {
    std::function<void()> up;
    std::function<void(const hub::Relayed&)> arrived;
    // Each message as it is published: how often it is sent on (1, but for faults).
    std::function<int(const hub::Relayed&)> copies;
  };
  RelayLine(Scheduler& scheduler, Dice& dice, Coverage& coverage, const HubLineShape& shape,
            hub::FakeHub& hub, std::string broker_id, Ends ends);
  ~RelayLine() { Cut(); }
  RelayLine(const RelayLine&) = delete;
  RelayLine& operator=(const RelayLine&) = delete;

  void Connect();
  void Cut();
  bool up() const { return subscription_.has_value(); }

 private:
  void Published(const hub::Relayed& what);

  Scheduler& scheduler_;
  Dice& dice_;
  Coverage& coverage_;
  const HubLineShape shape_;
  hub::FakeHub& hub_;
  const std::string broker_id_;
  const Ends ends_;
  std::optional<uint64_t> subscription_;
  uint64_t era_ = 0;        // of the subscription: what an earlier one was told is lost
  uint64_t under_way_ = 0;  // messages of this one
  int64_t arrives_at_ = 0;
};

}  // namespace nightjar::worlds
