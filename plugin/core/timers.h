// Everything that waits for time to pass. Timers are not taken back: whoever gets one looks whether
// it still means anything. So they are set only where something is under way, and rarely twice.
#pragma once

#include <cstdint>
#include <queue>
#include <string>
#include <vector>

namespace nightjar::core {

enum class TimerKind : uint8_t {
  kSilent,         // session: has the device acknowledged?
  kCloseSequence,  // session: close a sequence that ends in skipped entries
  kLogin,          // session: try again
  kRead,           // session: read the inbox again
  kAckAgain,       // session: hand its acknowledgement over again
  kOnline,         // session: steadily connected
  kPresence,       // "<uid> <broker>": publish it
  kTail,           // uid: say again whether there are tails
  kDelivered,      // uid: tell gathered marks
  kStore,          // a request to the persisters is without answer
  kLease,          // renew
  kTasks,          // look for fan-out tasks
  kTaskAgain,      // partition, lane << 32 (or none): a call for it failed
  kSweep,          // compare heads again
  kClearing,       // go on, or begin again
  kBeat,           // say that this broker lives
  kLogins,         // those that wait may go on
  kRoutes,         // compare routes and heads, as a matter of course
  kWatches,        // say again what is watched: it failed
  kShow,           // show presence to further watchers
  kDrain,          // move some more away
};

struct Timer {
  int64_t at = 0;  // steady ms
  uint64_t order = 0;
  TimerKind kind = TimerKind::kSilent;
  uint64_t key = 0;
  std::string uid;
};

class Timers {
 public:
  void Add(int64_t at, TimerKind kind, uint64_t key, std::string uid = {}) {
    queue_.push({at, ++order_, kind, key, std::move(uid)});
  }
  // The earliest one due, taken out; false if there is none.
  bool Pop(int64_t now, Timer& out) {
    if (queue_.empty() || queue_.top().at > now) return false;
    out = queue_.top();
    queue_.pop();
    return true;
  }
  int64_t Next() const { return queue_.empty() ? INT64_MAX : queue_.top().at; }
  size_t size() const { return queue_.size(); }

 private:
  struct Later {
    bool operator()(const Timer& a, const Timer& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  std::priority_queue<Timer, std::vector<Timer>, Later> queue_;
  uint64_t order_ = 0;
};

}  // namespace nightjar::core
