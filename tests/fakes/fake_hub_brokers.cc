// Brokers: who lives, who clears whom; and the relay between them.
#include <algorithm>
#include <cassert>
#include <utility>

#include "common/hub/keys.h"
#include "common/wire/names.h"
#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

namespace {

// As a sorted set would list them: by score, of equal ones by name.
std::vector<BrokerName> ByTime(const std::map<BrokerName, int64_t>& names) {
  std::vector<std::pair<int64_t, BrokerName>> order;
  for (const auto& [name, ms] : names) order.emplace_back(ms, name);
  std::sort(order.begin(), order.end());
  std::vector<BrokerName> sorted;
  for (auto& [ms, name] : order) sorted.push_back(std::move(name));
  return sorted;
}

// Other incarnations of a broker's id among `names`, sorted.
std::vector<BrokerName> OthersOfId(const std::map<BrokerName, int64_t>& names,
                                   const BrokerName& broker) {
  std::vector<BrokerName> others;
  for (const auto& [name, ms] : names) {
    if (name != broker && keys::BrokerId(name) == keys::BrokerId(broker)) others.push_back(name);
  }
  return others;
}

}  // namespace

Reply FakeHub::Do(const Beat& c) {
  BeatReply reply;
  reply.epoch = state_.epoch;
  const int64_t dead_before = Clock() - c.ttl_ms;
  const bool taken_in = c.first || c.epoch != state_.epoch;
  const bool lived = Lives(c.broker);
  if ((!lived && (!taken_in || state_.dying.count(c.broker) > 0)) ||
      state_.partitions[0].fenced.contains(c.broker)) {
    reply.outcome = BeatReply::Outcome::kCleared;
    return reply;
  }
  bool list_changed = !lived;
  if (taken_in) {
    const auto others = OthersOfId(state_.living, c.broker);
    for (const auto& other : others) {
      if (state_.living[other] >= dead_before &&
          listeners(std::string(keys::BrokerId(other))) > 1) {
        reply.outcome = BeatReply::Outcome::kTaken;
        return reply;
      }
    }
    for (const auto& other : others) {
      state_.living.erase(other);
      state_.dying[other] = 0;  // claimed below
      list_changed = true;
    }
  }
  const bool judges = lived && state_.living[c.broker] >= Clock() - c.ttl_ms / 2;
  state_.living[c.broker] = Clock();
  for (const auto& name : c.clearing) {
    if (state_.dying.count(name) > 0) state_.dying[name] = Clock() + c.ttl_ms;
  }
  reply.clear = Claim(c, taken_in, c.may_clear && judges, list_changed);
  if (list_changed) ++state_.living_version;
  reply.version = state_.living_version;
  if (c.known != reply.version || c.epoch != state_.epoch) {
    for (const auto& [name, ms] : state_.living) reply.brokers.push_back(name);
  }
  return reply;
}

std::vector<BrokerName> FakeHub::Claim(const Beat& c, bool taken_in, bool judges,
                                       bool& list_changed) {
  std::vector<BrokerName> claimed;
  const int64_t until = Clock() + c.ttl_ms;
  if (taken_in) {
    claimed = OthersOfId(state_.dying, c.broker);
    for (const auto& name : claimed) state_.dying[name] = until;
  }
  if (!judges) return claimed;
  for (const auto& name : ByTime(state_.dying)) {
    if (claimed.size() >= kClearAtOnce || state_.dying[name] > Clock()) break;
    state_.dying[name] = until;
    claimed.push_back(name);
  }
  for (const auto& name : ByTime(state_.living)) {
    if (claimed.size() >= kClearAtOnce || state_.living[name] >= Clock() - c.ttl_ms) break;
    state_.living.erase(name);
    state_.dying[name] = until;
    claimed.push_back(name);
    list_changed = true;
  }
  return claimed;
}

Reply FakeHub::Do(const Fence& c) {
  for (const uint32_t p : c.partitions) {
    auto& fenced = state_.partitions[p].fenced;
    std::erase_if(fenced, [&](const auto& one) { return one.second < Clock() - kFencedMs; });
    fenced.emplace(c.broker, Clock());
  }
  return Done{};
}

bool FakeHub::Fenced(const std::string& uid, const BrokerName& broker) {
  return state_.partitions[PartitionOf(uid, options_.partitions)].fenced.contains(broker);
}

Reply FakeHub::Do(const Gone& c) {
  const bool lived = state_.living.erase(c.broker) > 0;
  if (lived) ++state_.living_version;
  const auto dying = state_.dying.find(c.broker);
  const bool unclaimed = dying != state_.dying.end() && dying->second == 0;
  state_.dying.erase(c.broker);
  if ((lived || unclaimed) && !c.clean) state_.dying[c.broker] = 0;
  return Done{};
}

void FakeHub::Admit(const std::vector<BrokerName>& brokers) {
  for (const auto& broker : brokers) {
    const Reply reply = Execute(Beat{.broker = broker, .first = true, .clearing = {}});
    assert(std::get<BeatReply>(reply).outcome == BeatReply::Outcome::kAlive);
    static_cast<void>(reply);
  }
}

uint64_t FakeHub::Subscribe(const std::string& broker_id, Listener listener) {
  subscriptions_[++last_subscription_] = {broker_id, std::move(listener)};
  return last_subscription_;
}

void FakeHub::Unsubscribe(uint64_t subscription) { subscriptions_.erase(subscription); }

size_t FakeHub::listeners(const std::string& broker_id) const {
  return static_cast<size_t>(
      std::count_if(subscriptions_.begin(), subscriptions_.end(),
                    [&](const auto& one) { return one.second.broker_id == broker_id; }));
}

size_t FakeHub::Publish(const std::string& broker_id, const Relayed& what) {
  size_t told = 0;
  for (const auto& [number, subscription] : subscriptions_) {
    if (subscription.broker_id != broker_id) continue;
    ++told;
    if (subscription.listener) subscription.listener(what);
  }
  return told;
}

}  // namespace nightjar::hub
