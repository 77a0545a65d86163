// What a world is like: how many people, how small its queues are, what goes wrong in it and how
// often. Each seed has some of the faults and some of the bounds, so that every mixture comes up.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "plugin/core/engine.h"
#include "tests/fakes/fake_hub.h"
#include "tests/worlds/dice.h"
#include "tests/worlds/hub_line.h"

namespace nightjar::worlds {

enum class Fault {
  kHubCut,     // the connection between a broker and the hub breaks
  kHubFrozen,  // the hub answers nobody for a while
  kBrokerKilled,
  kBrokerPaused,
  kLineCut,    // a device's line breaks; both sides notice, sooner or later
  kHalfOpen,   // ... much later
  kRoaming,    // a device comes again from elsewhere, and its old line says nothing
  kStaleSend,  // what was sent long ago is sent again
  kBadBytes,
  kNewEpoch,
  kBrokerClock,
  kHubClock,
  kDaysPass,
  kPersisterDies,
  kStoreAway,
  kLeaseLost,  // somebody else holds a lease for a while
  // Of worlds with several brokers only:
  kRelayCut,    // a broker is not told by relay for a while
  kBeatsLost,   // a broker's beats do not reach the hub, all else does
  kPausedLong,  // a broker is paused until others take it for dead
  kFrozenLong,  // the hub is paused for longer than every ttl
  kDrain,       // a broker is emptied, and starts again
  kDrainAll,    // ... one after another
  kLeftBehind,  // a device goes to another broker, and its old line stands
  // Drawn apart, with any number of brokers:
  kFailover,  // the hub dies; its replica has all that was told, and not what came last
  kCount
};

struct Shape {
  core::Config config;
  hub::FakeHubOptions hub;
  HubLineShape hub_line;

  int brokers = 1;  // drawn apart from all else, which is the same with any number
  // Also drawn apart: that the hub is spread over so many servers, under a SplitHub (hub_link.h).
  // 0: one line to a hub that does every call in one step.
  int servers = 0;
  uint32_t page_most = 0;  // sessions in a page of those who clear; 0: as they ask
  int people = 4;          // with devices
  int names = 6;           // without: they are in groups, and never come
  int second_device_permille = 400;
  int json_permille = 150, brief_permille = 300, small_frames_permille = 0;
  int groups = 2;
  bool large_group = true;
  bool new_devices = false;
  bool members_change = true;
  bool watchers = true, tails = false;

  int64_t busy_ms = 30'000;
  int64_t act_ms = 1500;    // a device's person does something about this often
  int64_t away_ms = 4000;   // how long somebody stays away
  int64_t fault_ms = 2500;  // something goes wrong about this often; 0: never
  std::vector<Fault> faults;
  int64_t line_ms = 20;  // latency of a device's line, at most
  int64_t slow_line_permille = 0;
  int64_t lossy_permille = 0;  // packets to a device that the broker drops
  int64_t tick_slack_ms = 0;   // ticks come so much late
  int64_t store_fails_permille = 0;

  std::string Describe() const;
};

// What is to be so, whatever the seed says.
struct Chosen {
  int brokers = 0;     // so many; 0: as the seed has it
  int servers = -1;    // so many; -1: as the seed has it
  int failovers = -1;  // 0: none, 1: some; -1: as the seed has it
};
Shape ShapeOf(uint64_t seed, const Chosen& chosen = {});

}  // namespace nightjar::worlds
