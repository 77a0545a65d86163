// What the hub relays to one process, waiting until the test or a simulation lets it arrive; and
// the subscription, which may be cut.
//
// Threads: none; one owner. The hub must outlive it.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "common/hub/hub.h"
#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

class RelayQueue {
 public:
  // Not subscribed yet.
  RelayQueue(FakeHub& hub, std::string broker_id) : hub_(hub), broker_id_(std::move(broker_id)) {}
  ~RelayQueue() { Cut(); }
  RelayQueue(const RelayQueue&) = delete;
  RelayQueue& operator=(const RelayQueue&) = delete;

  // Subscribes, if it is not yet.
  void Connect() {
    if (!subscription_) {
      subscription_ =
          hub_.Subscribe(broker_id_, [this](const Relayed& what) { waiting_.push_back(what); });
    }
  }
  // The subscription is over, and what was under way is lost.
  void Cut() {
    if (subscription_) hub_.Unsubscribe(*subscription_);
    subscription_.reset();
    waiting_.clear();
  }
  bool connected() const { return subscription_.has_value(); }

  size_t size() const { return waiting_.size(); }
  // The oldest message that has not arrived, or nothing.
  std::optional<Relayed> Take() {
    if (waiting_.empty()) return std::nullopt;
    Relayed what = std::move(waiting_.front());
    waiting_.pop_front();
    return what;
  }
  // Loses what waits while the subscription stays: a receiver whose queue ran over. Returns how
  // much that was; the receiver is told so (core::RelayUp).
  size_t Overflow() {
    const size_t lost = waiting_.size();
    waiting_.clear();
    return lost;
  }

 private:
  FakeHub& hub_;
  std::string broker_id_;
  std::optional<uint64_t> subscription_;
  std::deque<Relayed> waiting_;
};

}  // namespace nightjar::hub
