#include "tests/contract/hub/fake_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/hub/split/parts.h"
#include "common/hub/split/split_hub.h"
#include "tests/contract/hub/print.h"

namespace nightjar::hub::contract {

namespace {

const char* RoleName(Role role) {
  switch (role) {
    case Role::kFanOut:
      return "fanout";
    case Role::kPersist:
      return "persist";
    case Role::kNotify:
      return "notify";
  }
  return "?";
}

Hidden::User OfUser(const fake::UserState& user) {
  Hidden::User h;
  h.base = user.base;
  h.owed = user.owed;
  for (const auto& entry : user.inbox) h.inbox.push_back(entry.id);
  std::map<uint64_t, std::string> order;
  for (const auto& [name, device] : user.devices) order[device.order] = name;
  for (const auto& [place, name] : order) h.known += name + ",";
  for (const auto& [name, device] : user.devices) {
    h.devices[name] = {
        device.acked, device.last_seen,
        device.route ? fmt::format("{} {}", device.route->session, device.route->broker) : "",
        device.resync};
  }
  for (const auto& [broker, count] : user.tails) h.tails[broker] = count;
  h.watchers = user.watchers;
  if (!user.name.empty()) h.other["name"] = user.name;
  if (!user.email.empty()) h.other["email"] = user.email;
  for (const auto& [device, registration] : user.push) h.other["r:" + device] = registration;
  for (const auto& [what, until] : user.mutes) {
    h.other[what.first.empty() ? "m:" + what.second : "c:" + what.first] = std::to_string(until);
  }
  return h;
}

Hidden::Chat OfChat(const fake::ChatState& chat) {
  Hidden::Chat h;
  h.task_end = chat.task_end;
  for (const auto& [uid, devices] : chat.windows) {
    for (const auto& [device, window] : devices) h.windows[uid + "/" + device] = window;
  }
  h.floors = chat.floors;
  return h;
}

Hidden::Partition OfPartition(const fake::PartitionState& partition, int64_t clock) {
  Hidden::Partition h;
  h.journal_base = partition.journal.base;
  h.tasks_base = partition.tasks.base;
  h.due = partition.due;
  for (const auto& [role, lease] : partition.leases) {
    if (lease.counter > 0) h.tokens[RoleName(role)] = lease.counter;
    if (!lease.owner.empty() && lease.until > clock) {
      h.leases[RoleName(role)] = fmt::format("{} {} {}", lease.counter, lease.until, lease.owner);
    }
  }
  for (const auto& letter : partition.dead) {
    h.dead.push_back(fmt::format("{} {} {}", letter.at_ms, letter.reason, Escape(letter.record)));
  }
  h.fenced = partition.fenced;
  return h;
}

}  // namespace

void FakeWorld::Listen(const std::string& broker_id, size_t connections) {
  Relays& relays = listening_[broker_id];
  relays.resize(std::min(relays.size(), connections));
  while (relays.size() < connections) {
    relays.push_back(std::make_unique<RelayQueue>(*hub_, broker_id));
    relays.back()->Connect();
  }
}

std::map<std::string, std::vector<Relayed>> FakeWorld::TakeRelayed() {
  std::map<std::string, std::vector<Relayed>> relayed;
  for (auto& [id, relays] : listening_) {
    if (relays.empty() || relays[0]->size() == 0) continue;
    while (auto what = relays[0]->Take()) relayed[id].push_back(std::move(*what));
  }
  return relayed;
}

Reply FakeWorld::DoSplit(const Call& call) {
  CallQueue parts([this](const Call& part) -> Reply {
    if (!PartitionOfCall(part, bounds_.partitions)) {
      return Failure{Failure::Kind::kInternal, "touches several partitions: " + Print(part)};
    }
    return hub_->Execute(part);
  });
  SplitHub split(parts, bounds_.partitions);
  std::optional<Reply> reply;
  split.Submit(call, [&](Reply r) { reply = std::move(r); });
  parts.Run();
  return reply ? std::move(*reply) : Failure{Failure::Kind::kInternal, "not answered"};
}

void FakeWorld::Reset() {
  std::map<std::string, size_t> listening;
  for (const auto& [id, relays] : listening_) listening[id] = relays.size();
  listening_.clear();
  FakeHubOptions options;
  options.clock = [this] { return clock_; };
  options.partitions = bounds_.partitions;
  options.inbox_entries = bounds_.inbox;
  options.journal_max = bounds_.journal_max;
  options.tasks_max = bounds_.tasks_max;
  hub_ = std::make_unique<FakeHub>(options);
  for (const auto& [id, connections] : listening) Listen(id, connections);
}

Hidden FakeWorld::ReadHidden() {
  Hidden hidden;
  for (const auto& [uid, user] : hub_->state().users) hidden.users[uid] = OfUser(user);
  for (const auto& [id, chat] : hub_->state().chats) hidden.chats[id] = OfChat(chat);
  for (const auto& [p, partition] : hub_->state().partitions) {
    hidden.partitions[p] = OfPartition(partition, clock_);
  }
  hidden.living = hub_->state().living;
  hidden.dying = hub_->state().dying;
  hidden.living_version = hub_->state().living_version;
  return hidden;
}

}  // namespace nightjar::hub::contract
