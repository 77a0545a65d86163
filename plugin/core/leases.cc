#include "plugin/core/leases.h"

#include <algorithm>
#include <utility>

#include "common/base/share.h"
#include "plugin/core/tell.h"

namespace nightjar::core::leases {
namespace {

void AskLease(State& s, std::vector<uint32_t> partitions, int64_t ttl_ms) {
  hub::Lease call;
  call.role = hub::Role::kFanOut;
  call.owner = s.broker;
  call.ttl_ms = ttl_ms;
  call.partitions = std::move(partitions);
  if (ttl_ms == 0) return Ask(s, std::move(call), PendingIgnored{});
  PendingLease pending{call.partitions};
  Ask(s, std::move(call), std::move(pending));
}

void Drop(FanOutPartition& part) {
  part.token = 0;
  StartOver(part);
}

// What is this broker's, and what it is still busy with; the rest goes back.
void Renew(State& s) {
  FanOutState& fan = s.fan_out;
  if (s.now.mono_ms - fan.renewed_at > s.config.lease_ttl_ms) {  // ours no more, for all we know
    for (FanOutPartition& part : fan.partitions) part.token = 0;
  }
  if (std::exchange(fan.leasing, true)) {
    fan.lease_again = true;
    return;
  }
  std::vector<uint32_t> keep, give;
  for (uint32_t p = 0; p < fan.partitions.size(); ++p) {
    FanOutPartition& part = fan.partitions[p];
    if (fan.mine[p] || (part.token != 0 && part.busy)) {
      keep.push_back(p);
    } else if (part.token != 0) {
      Drop(part);
      give.push_back(p);
    }
  }
  if (!give.empty()) AskLease(s, std::move(give), 0);
  fan.leasing = !keep.empty();
  fan.asked_at = s.now.mono_ms;
  if (!keep.empty()) AskLease(s, std::move(keep), s.config.lease_ttl_ms);
}

}  // namespace

void StartOver(FanOutPartition& part) {
  ++part.run;
  part.busy = part.trim_again = false;
  part.lanes.clear();
  part.open = 0;
}

bool Mine(const State& s, uint32_t partition) {
  const FanOutState& fan = s.fan_out;
  return partition < fan.mine.size() && fan.mine[partition] && fan.partitions[partition].token != 0;
}

void Share(State& s) {
  FanOutState& fan = s.fan_out;
  fan.mine.assign(fan.partitions.size(), false);
  for (uint32_t p = 0; p < fan.mine.size(); ++p) {
    const auto& living = s.membership.brokers;
    const auto best = std::max_element(living.begin(), living.end(), [&](auto& a, auto& b) {
      return ShareWeight(p, a) < ShareWeight(p, b);
    });
    fan.mine[p] = best != living.end() && *best == s.broker;
  }
  Renew(s);
}

void OnTimer(State& s) {
  s.timers.Add(s.now.mono_ms + s.config.lease_ttl_ms / 3, TimerKind::kLease, 0);
  if (!s.fan_out.mine.empty()) Renew(s);
}

std::vector<uint32_t> OnLease(State& s, const PendingLease& pending, hub::Reply& reply) {
  FanOutState& fan = s.fan_out;
  fan.leasing = false;
  std::vector<uint32_t> look;
  hub::Failure failure;
  const auto* lease = Expect<hub::LeaseReply>(reply, failure);
  if (lease != nullptr && lease->tokens.size() == pending.partitions.size() && !fan.mine.empty()) {
    fan.renewed_at = fan.asked_at;
    for (size_t i = 0; i < pending.partitions.size(); ++i) {
      FanOutPartition& part = fan.partitions[pending.partitions[i]];
      if (part.token == lease->tokens[i]) continue;
      Drop(part);
      part.token = lease->tokens[i];
      if (part.token != 0) look.push_back(pending.partitions[i]);
    }
  }
  if (std::exchange(fan.lease_again, false)) Renew(s);
  return look;
}

void Forget(State& s) {
  FanOutState& fan = s.fan_out;
  for (FanOutPartition& part : fan.partitions) Drop(part);
  fan.mine.clear();
  fan.lease_again = false;
}

void GiveBackAll(State& s) {
  std::vector<uint32_t> held;
  for (uint32_t p = 0; p < s.fan_out.partitions.size(); ++p) {
    if (s.fan_out.partitions[p].token != 0) held.push_back(p);
  }
  Forget(s);
  if (!held.empty()) AskLease(s, std::move(held), 0);
}

}  // namespace nightjar::core::leases
