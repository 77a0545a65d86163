// The faults stop, everybody comes back, and everything that is owed must be made good by itself.
#include <fmt/format.h>

#include "tests/worlds/world.h"

namespace nightjar::worlds {
namespace {

constexpr int64_t kStepMs = 500;
constexpr int64_t kMostMs = 600'000;  // of virtual time until all must be at rest
constexpr uint64_t kMostEvents = 3'000'000;
constexpr int kQuietSteps = 26;  // longer than any debounce, grace and lease

}  // namespace

void World::StopFaults() {
  Say("---- no more faults");
  settling_ = true;
  for (auto& broker : brokers_) {
    broker->Wake();
    broker->line().Calm();
    broker->LoseBeats(0);
  }
  keeper_->line().Calm();
  // With several brokers a pause of the hub ends for all at once, as it does when it is over: a
  // line that waits behind it would beat later than the others.
  if (!Several()) {
    brokers_.front()->line().Freeze(0);
    keeper_->line().Freeze(0);
  }
  keeper_->StoreAway(false);
  oracle_.Disturbed(TrueNow(), "no more faults", true);
  // What a fault has planned (restarts, reconnections) may still come; this makes it sure.
  scheduler_.After(3000, [this] {
    for (auto& broker : brokers_) {
      broker->Wake();
      broker->Start();
      broker->HubConnect();
      if (Several() && broker->alive()) broker->relay().Connect();
    }
    keeper_->Start();
    keeper_->line().Connect();
    for (auto& broker : brokers_) broker->ServiceIn();
    for (auto& phone : phones_) phone->Settle();
  });
}

// What is still to be done; empty: nothing.
std::string World::Restless() {
  std::string why = RestlessBrokers();
  for (const auto& phone : phones_) {
    if (!phone->Idle()) {
      why += fmt::format("{}: {}{}, unanswered {}, asking {}, held {}, acked {}; ", phone->name(),
                         phone->connected() ? "connected" : "not connected",
                         phone->brain().synced() ? "" : ", no sync", phone->brain().unanswered(),
                         phone->brain().asking(), phone->brain().cursor().held(),
                         phone->brain().cursor().acked());
    }
  }
  for (const auto& [p, partition] : state().partitions) {
    if (!partition.tasks.records.empty()) why += fmt::format("tasks in partition {}; ", p);
    if (!partition.journal.records.empty()) why += fmt::format("journal of partition {}; ", p);
  }
  for (const auto& phone : phones_) {
    const auto user = state().users.find(phone->uid());
    if (user == state().users.end()) continue;
    const auto device = user->second.devices.find(phone->device());
    if (device == user->second.devices.end()) continue;
    if (device->second.acked != user->second.head()) {
      why += fmt::format("{} has acknowledged {} of {}; ", phone->name(), device->second.acked,
                         user->second.head());
    }
  }
  if (why.empty() && !oracle_.Settled()) why = "the judge waits";
  return why;
}

bool World::Settle() {
  const int64_t end = time() + kMostMs;
  int quiet = 0;
  while (time() < end) {
    if (!scheduler_.RunUntil(time() + kStepMs, kMostEvents)) return false;
    quiet = time() > end - kMostMs + 4000 && Restless().empty() ? quiet + 1 : 0;
    if (quiet >= kQuietSteps) return true;
  }
  return false;
}

}  // namespace nightjar::worlds
