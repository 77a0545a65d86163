// Virtual time: what happens when. Events at the same instant happen in the order they were put in.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace nightjar::worlds {

class Scheduler {
 public:
  using Event = std::function<void()>;

  int64_t now() const { return now_; }
  uint64_t done() const { return done_; }
  void At(int64_t at, Event event) {
    queue_.push({at < now_ ? now_ : at, ++order_, std::move(event)});
  }
  void After(int64_t ms, Event event) { At(now_ + ms, std::move(event)); }

  // Everything up to `until`, or `most` events. False: there were more.
  bool RunUntil(int64_t until, uint64_t most) {
    while (!queue_.empty() && queue_.top().at <= until) {
      if (most-- == 0) return false;
      // The event is moved out before it is popped: the order of the heap does not look at it.
      Event event = std::move(const_cast<Item&>(queue_.top()).event);
      now_ = queue_.top().at;
      queue_.pop();
      ++done_;
      event();
    }
    now_ = until;
    return true;
  }

 private:
  struct Item {
    int64_t at;
    uint64_t order;
    Event event;
  };
  struct Later {
    bool operator()(const Item& a, const Item& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  std::priority_queue<Item, std::vector<Item>, Later> queue_;
  int64_t now_ = 1'000'000;
  uint64_t order_ = 0, done_ = 0;
};

}  // namespace nightjar::worlds
