#include "tests/worlds/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nightjar::worlds {
namespace {

constexpr std::string_view kFaultNames[] = {
    "hub-cut",     "hub-frozen",     "broker-killed", "broker-paused", "line-cut",     "half-open",
    "roaming",     "stale-send",     "bad-bytes",     "new-epoch",     "broker-clock", "hub-clock",
    "days-pass",   "persister-dies", "store-away",    "lease-lost",    "relay-cut",    "beats-lost",
    "paused-long", "frozen-long",    "drain",         "drain-all",     "left-behind",  "failover"};
static_assert(std::size(kFaultNames) == static_cast<size_t>(Fault::kCount));

// How likely a world has this fault at all.
int64_t Likely(Fault fault) {
  switch (fault) {
    case Fault::kNewEpoch:
    case Fault::kDaysPass:
    case Fault::kHubClock:
      return 120;
    case Fault::kBadBytes:
    case Fault::kBrokerClock:
    case Fault::kLeaseLost:
    case Fault::kFrozenLong:
    case Fault::kDrainAll:
      return 250;
    default:
      return 450;
  }
}

void Bounds(Shape& shape, Dice& dice) {
  core::Config& config = shape.config;
  config.partitions = shape.hub.partitions = static_cast<uint32_t>(dice.Between(1, 4));
  if (dice.Chance(250)) config.hub_calls = static_cast<size_t>(dice.Between(2, 8));
  if (dice.Chance(250)) config.store_requests = static_cast<size_t>(dice.Between(1, 2));
  if (dice.Chance(300)) config.chat_cache = static_cast<size_t>(dice.Between(1, 3));
  if (dice.Chance(300)) config.sends_per_s = static_cast<uint32_t>(dice.Between(1, 3));
  if (dice.Chance(300)) config.sends_burst = static_cast<uint32_t>(dice.Between(1, 4));
  if (dice.Chance(300)) config.lease_ttl_ms = dice.Between(600, 5000);
  if (dice.Chance(400)) config.silent_after_ms = dice.Between(1000, 10'000);
  if (dice.Chance(300)) config.silent_rounds = static_cast<int>(dice.Between(1, 3));
  if (dice.Chance(200)) shape.hub.inbox_entries = static_cast<size_t>(dice.Between(30, 100));
  if (dice.Chance(150)) shape.hub.journal_max = static_cast<size_t>(dice.Between(3, 30));
  if (dice.Chance(150)) shape.hub.tasks_max = static_cast<size_t>(dice.Between(1, 4));
}

void HubManners(Shape& shape, Dice& dice) {
  HubLineShape& line = shape.hub_line;
  line.latency_ms = dice.OneOf<int64_t>({0, 1, 3, 50});
  if (dice.Chance(350)) line.late_permille = dice.Between(1, 60);
  if (dice.Chance(350)) line.lose_permille = dice.Between(1, 40);
  if (dice.Chance(250)) line.refuse_permille = dice.Between(1, 40);
}

// What only several brokers have. From dice of its own, so that all else of a seed stays as it is.
void Brokers(Shape& shape, uint64_t seed, int brokers) {
  Dice dice(seed ^ 0x27d4eb2f);
  const int drawn = dice.OneOf({1, 2, 2, 2, 3, 3, 3, 4});
  shape.brokers = brokers == 0 ? drawn : brokers;
  if (shape.brokers == 1) return;
  shape.hub_line.frozen_is_frozen = true;
  core::Config& config = shape.config;
  config.broker_ttl_ms = dice.OneOf<int64_t>({2000, 4000, 8000});
  config.beat_ms = config.broker_ttl_ms / 4;
  config.route_check_ms = dice.OneOf<int64_t>({5000, 15'000, 30'000});
  config.drain_ms = dice.OneOf<int64_t>({3000, 12'000, 30'000});
  if (dice.Chance(300)) config.drain_per_s = static_cast<uint32_t>(dice.Between(1, 5));
  if (dice.Chance(300)) config.logins_at_once = static_cast<uint32_t>(dice.Between(1, 3));
  if (dice.Chance(500)) shape.page_most = static_cast<uint32_t>(dice.Between(1, 3));
  shape.busy_ms += dice.Between(0, 20'000);
  for (int i = static_cast<int>(Fault::kRelayCut); i < static_cast<int>(Fault::kFailover); ++i) {
    if (dice.Chance(Likely(static_cast<Fault>(i)))) shape.faults.push_back(static_cast<Fault>(i));
  }
}

// From dice of its own, as Brokers.
void Servers(Shape& shape, uint64_t seed, int servers) {
  Dice dice(seed ^ 0x1b873593);
  const auto drawn = static_cast<int>(dice.Between(1, shape.hub.partitions));
  const bool spread = dice.Chance(350);
  shape.servers = servers >= 0 ? servers : spread ? drawn : 0;
}

// From dice of its own, as Brokers.
void Failovers(Shape& shape, uint64_t seed, int failovers) {
  Dice dice(seed ^ 0x85ebca6b);
  const bool drawn = dice.Chance(300);
  const int64_t fault_ms = dice.Between(400, 4000);
  if (failovers < 0 ? !drawn : failovers == 0) return;
  shape.faults.push_back(Fault::kFailover);
  if (shape.fault_ms == 0) shape.fault_ms = fault_ms;
}

}  // namespace

Shape ShapeOf(uint64_t seed, const Chosen& chosen) {
  Dice dice(seed ^ 0x5bd1e995);
  Shape shape;
  Bounds(shape, dice);
  HubManners(shape, dice);
  shape.people = static_cast<int>(dice.Between(2, 5));
  shape.names = static_cast<int>(dice.Between(1, 8));
  shape.groups = static_cast<int>(dice.Between(1, 3));
  shape.large_group = dice.Chance(600);
  shape.new_devices = dice.Chance(300);
  shape.members_change = dice.Chance(600);
  shape.watchers = dice.Chance(600);
  shape.tails = dice.Chance(250);
  if (dice.Chance(300)) shape.small_frames_permille = 400;
  shape.busy_ms = dice.Between(8'000, 40'000);
  shape.act_ms = dice.Between(300, 3000);
  shape.away_ms = dice.OneOf<int64_t>({500, 3000, 8000, 20'000});
  shape.line_ms = dice.OneOf<int64_t>({1, 20, 200});
  if (dice.Chance(250)) shape.slow_line_permille = dice.Between(5, 100);
  if (dice.Chance(250)) shape.lossy_permille = dice.Between(5, 80);
  if (dice.Chance(500)) shape.tick_slack_ms = 100;
  if (dice.Chance(250)) shape.store_fails_permille = dice.Between(20, 300);
  shape.fault_ms = dice.Chance(100) ? 0 : dice.Between(400, 4000);
  for (int i = 0; i < static_cast<int>(Fault::kRelayCut); ++i) {
    if (dice.Chance(Likely(static_cast<Fault>(i)))) shape.faults.push_back(static_cast<Fault>(i));
  }
  if (shape.faults.empty()) shape.fault_ms = 0;
  if (dice.Chance(100)) shape.hub_line.zombie_permille = dice.Between(50, 500);
  Brokers(shape, seed, chosen.brokers);
  Servers(shape, seed, chosen.servers);
  Failovers(shape, seed, chosen.failovers);
  return shape;
}

std::string Shape::Describe() const {
  std::vector<std::string_view> names_of;
  for (const Fault fault : faults) names_of.push_back(kFaultNames[static_cast<size_t>(fault)]);
  return fmt::format(
      "{} brokers, {} servers (ttl {} routes {} drain {}), {} people, {} names, {} groups, {} ms "
      "busy, acts "
      "every {} ms, away {} ms, faults every {} "
      "ms: {}; "
      "hub latency {} late {} lose {} refuse {}; line {} ms slow {} lossy {}; calls {} store {} "
      "cache {} "
      "rate {}/{} lease {} silent {} x {} inbox {} journal {} tasks {} partitions {}",
      brokers, servers, config.broker_ttl_ms, config.route_check_ms, config.drain_ms, people, names,
      groups, busy_ms, act_ms, away_ms, fault_ms, fmt::join(names_of, " "), hub_line.latency_ms,
      hub_line.late_permille, hub_line.lose_permille, hub_line.refuse_permille, line_ms,
      slow_line_permille, lossy_permille, config.hub_calls, config.store_requests,
      config.chat_cache, config.sends_per_s, config.sends_burst, config.lease_ttl_ms,
      config.silent_after_ms, config.silent_rounds, hub.inbox_entries, hub.journal_max,
      hub.tasks_max, hub.partitions);
}

}  // namespace nightjar::worlds
