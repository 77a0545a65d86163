// Between the broker's thread and the hub's: calls go out; replies, what is relayed from other
// brokers, and changes of the connections come back. Bounded queues are all that crosses: the hub's
// own for calls, and one for replies and one for what is relayed here.
//
// No reply is ever lost to a full queue. A call counts as under way from Ask() until its reply has
// been drained, at most `capacity` are under way, and the completion queue holds as many; what is
// beyond is refused at once, as a reply like any other (kFull). What is relayed may be lost to a
// full queue: that is told like a new subscription, upon which the core compares heads.
//
// Threads: the owner's (the broker's) unless a method says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bounded_queue.h"
#include "common/hub/hub.h"
#include "plugin/core/event.h"
#include "plugin/relay_queue.h"

namespace nightjar::plugin {

class HubShell {
 public:
  // `wake` is called, on any thread, when there is something to drain. It must not wait.
  HubShell(size_t capacity, std::function<void()> wake);
  ~HubShell();
  HubShell(const HubShell&) = delete;
  HubShell& operator=(const HubShell&) = delete;

  // REQUIRES: once, before the first Ask(). The hub answers on whatever thread it likes.
  void Attach(std::unique_ptr<hub::Hub> hub);

  void Ask(uint64_t token, hub::Call call);

  // Told by the hub, on its thread. Only the latest state and whether it broke meanwhile are kept.
  void LinkUp(std::vector<std::string> warnings);
  void LinkDown(std::string reason, bool partly = false);
  // The subscription to the relay is confirmed; then what comes over it.
  void RelayUp();
  void Relayed(hub::Relayed what);

  // What came back since the last time: the connections' changes first, then all replies, then the
  // oldest of what was relayed. If more of that waits, the owner is woken again: its other work
  // comes in between.
  struct Drained {
    std::optional<core::HubDown> down;  // it broke (and may be up again)
    bool up = false;                    // it came up
    std::vector<std::string> warnings;  // of the server, with `up`
    bool relay_up = false;              // subscribed, or something was lost
    bool relay_overflow = false;        // of the latter kind
    std::vector<core::HubReplied> replies;
    std::vector<hub::Relayed> relayed;
    void clear();
  };
  // `out` is cleared first; its storage is reused.
  void Drain(Drained& out);

  size_t capacity() const { return completions_.capacity(); }
  // Calls whose reply has not been drained.
  size_t under_way() const { return under_way_; }

  // Ends the hub: it answers or fails everything that is under way (bounded by its own drain time),
  // and its threads are gone when this returns. Drain() afterwards gets what is left.
  void Stop();

 private:
  // Deliveries wait in the broker's memory anyhow; this is a few seconds of a busy broker.
  static constexpr size_t kRelayed = 50'000, kRelayedBytes = 64 << 20;
  static constexpr size_t kRelayedAtOnce = 128;  // devices: a few ms of the broker's time

  void Complete(uint64_t token, hub::Reply reply);  // any thread

  const std::function<void()> wake_;
  BoundedQueue<core::HubReplied> completions_;
  std::unique_ptr<hub::Hub> hub_;
  std::vector<core::HubReplied> refused_;
  size_t under_way_ = 0;

  std::mutex link_mutex_;
  std::optional<core::HubDown> link_down_;
  bool link_up_ = false;
  bool relay_up_ = false;
  std::vector<std::string> link_warnings_;

  RelayQueue relayed_{kRelayed, kRelayedBytes};
};

}  // namespace nightjar::plugin
