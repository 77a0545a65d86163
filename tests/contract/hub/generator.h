// Random calls on a small world: most of them sensible for the state as it is, so that rare paths
// are reached, and some not. Seeded; the same seed and the same fake give the same calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/hub/hub.h"
#include "tests/contract/hub/world.h"
#include "tests/fakes/fake_hub_state.h"

namespace nightjar::hub::contract {

// One step: the clock moves, then the call.
struct Step {
  int64_t advance_ms = 0;
  bool raise_epoch = false;
  bool lose_everything = false;
  std::optional<std::pair<std::string, size_t>> listen;  // World::Listen
  Call call;
};

// What kind of world: which calls are frequent.
enum class Mix {
  kEverything,
  kWindows,   // sends of many devices with ids from a small range
  kFanOut,    // a big group, tasks, leases, trims
  kSessions,  // many devices, brokers and incarnations
  kBrokers,   // brokers that begin, die, are cleared and leave; who watches whom
};

class Generator {
 public:
  Generator(uint64_t seed, Mix mix, const Bounds& bounds);

  Step Next(const fake::HubState& state, int64_t clock);
  const Names& names() const { return names_; }

 private:
  bool Chance(int percent) { return Below(100) < static_cast<uint32_t>(percent); }
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  template <typename T>
  const T& Pick(const std::vector<T>& of) {
    return of[Below(static_cast<uint32_t>(of.size()))];
  }
  const std::string& Uid() { return Pick(Chance(80) ? main_uids_ : names_.uids); }
  std::vector<std::string> Shuffled(std::vector<std::string> of);
  EntryTemplate Template(size_t parts);
  // Never where windows are to be filled: open tasks would soon leave room for nothing else.
  bool ByTask() { return mix_ != Mix::kWindows && Chance(mix_ == Mix::kFanOut ? 25 : 8); }
  uint32_t Partition() { return Below(names_.partitions); }
  std::vector<uint32_t> SomePartitions();
  // Mostly one that lives.
  BrokerName Broker(const fake::HubState& state);

  Call Any(const fake::HubState& state, int64_t clock);
  Call MakeSend(const fake::HubState& state, int64_t clock);
  Call MakeAppend(const fake::HubState& state, int64_t clock);
  Call MakeCreate(const fake::HubState& state, int64_t clock);
  Call MakeUpdate(const fake::HubState& state, int64_t clock);
  Call MakeLogin(const fake::HubState& state, int64_t clock);
  Call MakeLogout(const fake::HubState& state, int64_t clock);
  Call MakeAck(const fake::HubState& state, int64_t clock);
  Call MakeBeat(const fake::HubState& state);
  Call MakeTrim(const fake::HubState& state);
  Call MakeSetting(int64_t clock);
  Call MakeRead(const fake::HubState& state);

  std::mt19937_64 random_;
  Mix mix_;
  Names names_;
  std::vector<std::string> main_uids_, groups_, owners_;
  uint64_t text_ = 0, session_ = 0;
};

// May it be repeated with the state staying as it is after the first time?
bool RepeatSafe(const Call& call);

}  // namespace nightjar::hub::contract
