#include "plugin/relay_queue.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace nightjar::plugin {
namespace {

// About what it takes in memory; texts of a mark or a kick are names, and bounded.
size_t Bytes(const hub::Relayed& what) {
  size_t bytes = sizeof(hub::Relayed);
  if (const auto* entry = std::get_if<hub::RelayedEntry>(&what)) {
    bytes += entry->entry.size();
    for (const auto& delivery : entry->deliveries) bytes += sizeof(delivery) + delivery.uid.size();
  }
  return bytes;
}

// What it makes the broker do: a publish for each recipient, or one thing.
size_t Work(const hub::Relayed& what) {
  const auto* entry = std::get_if<hub::RelayedEntry>(&what);
  return entry == nullptr ? 1 : std::max<size_t>(entry->deliveries.size(), 1);
}

}  // namespace

bool RelayQueue::Push(hub::Relayed what) {
  const size_t bytes = Bytes(what);
  std::lock_guard lock(mutex_);
  if (items_.size() >= most_ || bytes_ + bytes > most_bytes_) {
    missed_ = true;
    return false;
  }
  bytes_ += bytes;
  items_.push_back(std::move(what));
  return true;
}

bool RelayQueue::Take(std::vector<hub::Relayed>& out, size_t count) {
  out.clear();
  std::lock_guard lock(mutex_);
  for (size_t work = 0; !items_.empty() && work < count;) {
    work += Work(items_.front());
    bytes_ -= Bytes(items_.front());
    out.push_back(std::move(items_.front()));
    items_.pop_front();
  }
  return !items_.empty();
}

bool RelayQueue::Missed() {
  std::lock_guard lock(mutex_);
  return std::exchange(missed_, false);
}

}  // namespace nightjar::plugin
