#include "persister/peers.h"

#include <algorithm>

#include "common/base/share.h"

namespace nightjar::persist {
namespace {

constexpr size_t kIdMost = 256;

}  // namespace

void Peers::Hear(std::string_view id, int64_t now_ms) {
  if (id.empty() || id.size() > kIdMost || id == options_.id) return;
  std::lock_guard lock(mutex_);
  const auto known = heard_ms_.find(id);
  if (known != heard_ms_.end()) {
    known->second = now_ms;
  } else if (heard_ms_.size() < options_.most) {
    heard_ms_.emplace(id, now_ms);
  }
}

std::vector<bool> Peers::Mine(int64_t now_ms) {
  std::lock_guard lock(mutex_);
  std::erase_if(heard_ms_,
                [&](const auto& peer) { return now_ms - peer.second > options_.gone_after_ms; });
  std::vector<bool> mine(options_.partitions);
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    const uint64_t own = ShareWeight(p, options_.id);
    mine[p] = std::none_of(heard_ms_.begin(), heard_ms_.end(), [&](const auto& peer) {
      const uint64_t theirs = ShareWeight(p, peer.first);
      return theirs > own || (theirs == own && peer.first > options_.id);
    });
  }
  return mine;
}

}  // namespace nightjar::persist
