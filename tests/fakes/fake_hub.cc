#include "tests/fakes/fake_hub.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "common/hub/keys.h"
#include "common/wire/names.h"

namespace nightjar::hub {

namespace fake {

std::vector<std::string> ChatState::PresentMembers() const {
  std::vector<std::string> present;
  for (const auto& [uid, member] : members) {
    if (member.left == 0) present.push_back(uid);
  }
  return present;
}

uint32_t UserState::routes() const {
  return static_cast<uint32_t>(std::count_if(
      devices.begin(), devices.end(), [](const auto& d) { return d.second.route.has_value(); }));
}

uint64_t UserState::MaxAcked() const {
  uint64_t most = 0;
  for (const auto& [id, device] : devices) most = std::max(most, device.acked);
  return most;
}

std::set<std::string> UserState::BrokerIds() const {
  std::set<std::string> ids;
  for (const auto& [broker, count] : tails) ids.emplace(keys::BrokerId(broker));
  for (const auto& [id, device] : devices) {
    if (device.route) ids.emplace(keys::BrokerId(device.route->broker));
  }
  return ids;
}

bool UserState::ReachedThrough(const BrokerName& broker) const {
  if (tails.count(broker) > 0) return true;
  return std::any_of(devices.begin(), devices.end(), [&](const auto& d) {
    return d.second.route && d.second.route->broker == broker;
  });
}

}  // namespace fake

FakeHub::FakeHub(FakeHubOptions options)
    : CallQueue([this](const Call& call) { return Execute(call); }), options_(std::move(options)) {
  assert(options_.clock);
  LoseEverything();
}

void FakeHub::LoseEverything() {
  const uint64_t before = state_.epoch;
  state_ = {};
  const int64_t seconds = Clock() / 1000 - fake::kEpochFromS;
  state_.epoch =
      std::max<uint64_t>(static_cast<uint64_t>(std::max<int64_t>(seconds, 0)), before + 1);
}

Reply FakeHub::Execute(const Call& call) {
  if (Refused(call)) return Failure{Failure::Kind::kUnavailable, "the hub is being rebuilt"};
  return std::visit([this](const auto& c) { return Do(c); }, call);
}

fake::ChatState* FakeHub::FindChat(const std::string& chat) {
  const auto it = state_.chats.find(chat);
  return it == state_.chats.end() || it->second.last == 0 ? nullptr : &it->second;
}

fake::UserState* FakeHub::FindUser(const std::string& uid) {
  const auto it = state_.users.find(uid);
  return it == state_.users.end() ? nullptr : &it->second;
}

fake::PartitionState& FakeHub::Partition(const std::string& id) {
  return state_.partitions[PartitionOf(id, options_.partitions)];
}

const fake::PartitionState* FakeHub::FindPartition(const std::string& id) const {
  const auto it = state_.partitions.find(PartitionOf(id, options_.partitions));
  return it == state_.partitions.end() ? nullptr : &it->second;
}

bool FakeHub::JournalFull(const std::string& id) const {
  const auto* partition = FindPartition(id);
  return (partition ? partition->journal.records.size() : 0) >= options_.journal_max;
}

bool FakeHub::TasksFull(const std::string& id) const {
  const auto* partition = FindPartition(id);
  return (partition ? partition->tasks.records.size() : 0) >= options_.tasks_max;
}

void FakeHub::Journal(const std::string& id, std::string record) {
  Partition(id).journal.records.push_back(std::move(record));
}

void FakeHub::SetDue(const std::string& uid) {
  Partition(uid).due.emplace(uid, Clock());  // an element that is there keeps its time
}

}  // namespace nightjar::hub
