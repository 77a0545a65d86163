// A hub with replicas (docs/decisions/0008-replicas-before-telling.md): a master stops replicating,
// so that nothing is answered or relayed any more, goes on deciding for a moment, and dies. The
// replica that takes over has everything that anybody was told, and nothing of what came after.
// Where the hub is spread over servers, this happens to one of them, and the others go on.
#include <algorithm>
#include <utility>

#include "common/hub/split/parts.h"
#include "common/wire/names.h"
#include "tests/worlds/world.h"

namespace nightjar::worlds {
namespace {

// Of those that `which` says by their key, `now` has what `then` had.
template <typename Map, typename Which>
void GoBack(Map& now, Map& then, const Which& which) {
  std::erase_if(now, [&](const auto& element) { return which(element.first); });
  for (auto& [key, value] : then) {
    if (which(key)) now[key] = std::move(value);
  }
}

}  // namespace

uint32_t World::ServerOf(const hub::Call& call) const {
  if (shape_.servers < 2) return 0;
  return ServerOf(hub::PartitionOfCall(call, shape_.hub.partitions).value_or(0));
}

uint32_t World::ServerOf(uint32_t partition) const {
  return partition % static_cast<uint32_t>(std::max(shape_.servers, 1));
}

void World::MasterFalters() {
  if (hub_fails_ != HubFails::kNot) return;
  failing_ = static_cast<uint32_t>(dice_.Below(std::max(shape_.servers, 1)));
  Say("master {} replicates no more", failing_);
  oracle_.Disturbed(TrueNow(), "the hub fails over", Several());
  hub_fails_ = HubFails::kFalters;
  replica_ = Replica{state(), ledger_.books()};
  MuteMaster(mutant_ != Mutant::kUnreplicated);
  scheduler_.After(dice_.Between(1, 1500), [this] { MasterDies(); });
}

void World::MuteMaster(bool muted) {
  for (auto& broker : brokers_) broker->line().Mute(failing_, muted);
  keeper_->line().Mute(failing_, muted);
}

// Is what the hub does with this call never told to anybody?
bool World::Untold(const hub::Call& call) const {
  return hub_fails_ == HubFails::kFalters && mutant_ != Mutant::kUnreplicated &&
         ServerOf(call) == failing_;
}

void World::MasterDies() {
  hub_fails_ = HubFails::kDead;
  for (auto& broker : brokers_) {
    broker->HubDied(failing_);
    broker->relay().Cut();
  }
  keeper_->line().ServerDied(failing_);
  MuteMaster(false);
  const size_t had = ledger_.books().Count();
  GoBackToReplica();
  const size_t lost = had - ledger_.books().Count();
  if (lost > 0) coverage_.Hit(Point::kFailoverLost);
  Say("the master dies, and with it {} messages", lost);
  scheduler_.After(dice_.Between(200, 4000), [this] { ReplicaTakesOver(); });
}

void World::GoBackToReplica() {
  const auto of_partition = [this](uint32_t p) { return ServerOf(p) == failing_; };
  const auto of_name = [&](const std::string& id) {
    return of_partition(PartitionOf(id, shape_.hub.partitions));
  };
  hub::fake::HubState& now = hub_.mutable_state();
  hub::fake::HubState& then = replica_->state;
  GoBack(now.chats, then.chats, of_name);
  GoBack(now.users, then.users, of_name);
  GoBack(now.partitions, then.partitions, of_partition);
  for (auto& [broker, records] : then.sessions) now.sessions[broker];
  for (auto& [broker, records] : now.sessions) {
    std::erase_if(records, [&](const auto& record) { return of_name(record.second.uid); });
    for (auto& [element, record] : then.sessions[broker]) {
      if (of_name(record.uid)) records[element] = std::move(record);
    }
  }
  if (of_partition(0)) {
    now.living = std::move(then.living);
    now.dying = std::move(then.dying);
    now.living_version = then.living_version;
  }
  Ledger::Books books = ledger_.books();
  GoBack(books.accepted, replica_->books.accepted, of_name);
  GoBack(books.newest, replica_->books.newest, of_name);
  GoBack(books.task_makers, replica_->books.task_makers, of_partition);
  GoBack(books.by_client_id, replica_->books.by_client_id,
         [&](const auto& key) { return of_name(std::get<0>(key)); });
  if (mutant_ != Mutant::kUnreplicated) ledger_.Restore(std::move(books));
  replica_.reset();
}

void World::ReplicaTakesOver() {
  hub_fails_ = HubFails::kNot;
  Say("the replica takes over");
  if (mutant_ != Mutant::kOldIds) ids_from_ms_[failing_] = HubClock();
  for (auto& [p, partition] : hub_.mutable_state().partitions) {
    if (ServerOf(p) != failing_) continue;
    // They end with the life of the server.
    for (auto& [role, lease] : partition.leases) lease.until = 0;
  }
  if (dice_.Chance(400)) NobodyCanProve();
  oracle_.Disturbed(TrueNow(), "the hub has failed over", Several());
  for (auto& broker : brokers_) {
    broker->HubConnect();
    if (Several() && broker->alive()) broker->relay().Connect();
  }
  if (keeper_->alive()) keeper_->line().Connect();
}

// ... that the replica has everything that was told.
void World::NobodyCanProve() {
  coverage_.Hit(Point::kFailoverEpoch);
  hub_.RaiseEpoch();
  for (auto& [uid, user] : hub_.mutable_state().users) {
    for (auto& [name, device] : user.devices) device.resync = true;
  }
  Say("a new epoch: {}", state().epoch);
}

// What was received while a master of before gave ids counts as received when its replica took
// over: an id is above those of the lost end of that history, too.
void World::RaiseReceived(hub::Call& call) const {
  const auto since = ids_from_ms_.find(ServerOf(call));
  if (since == ids_from_ms_.end()) return;
  const auto raise = [&](int64_t& ms) { ms = std::max(ms, since->second); };
  if (auto* send = std::get_if<hub::Send>(&call)) raise(send->received_ms);
  if (auto* create = std::get_if<hub::CreateChat>(&call)) raise(create->received_ms);
  if (auto* update = std::get_if<hub::UpdateChat>(&call)) raise(update->received_ms);
}

}  // namespace nightjar::worlds
