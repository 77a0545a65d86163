// The only thing that crosses between two threads. Full means "no", never "wait".
//
// Threads: any number may push and pop; a mutex guards the queue, and a drain takes everything in
// one lock, so that under load its cost is shared by a batch.
#pragma once

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace nightjar {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  // False, and `item` untouched, if the queue is full.
  [[nodiscard]] bool TryPush(T&& item) {
    std::lock_guard lock(mutex_);
    if (items_.size() >= capacity_) return false;
    items_.push_back(std::move(item));
    return true;
  }

  // Everything that was in the queue, oldest first. `out` is cleared first; its storage is reused.
  void Drain(std::vector<T>& out) {
    out.clear();
    std::lock_guard lock(mutex_);
    items_.swap(out);
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }
  size_t capacity() const { return capacity_; }

 private:
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::vector<T> items_;
};

}  // namespace nightjar
