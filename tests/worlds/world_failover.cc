// A hub with replicas (docs/decisions/0008-replicas-before-telling.md): its master stops
// replicating, so that nothing is answered or relayed any more, goes on deciding for a moment, and
// dies. The replica that takes over has everything that anybody was told, and nothing of what came
// after.
#include <algorithm>
#include <utility>

#include "tests/worlds/world.h"

namespace nightjar::worlds {

void World::MasterFalters() {
  if (hub_fails_ != HubFails::kNot) return;
  Say("the master replicates no more");
  oracle_.Disturbed(TrueNow(), "the hub fails over", Several());
  hub_fails_ = HubFails::kFalters;
  replica_ = Replica{state(), ledger_.books()};
  if (mutant_ != Mutant::kUnreplicated) MuteHub(true);
  scheduler_.After(dice_.Between(1, 1500), [this] { MasterDies(); });
}

void World::MuteHub(bool muted) {
  for (auto& broker : brokers_) {
    broker->line().Mute(muted);
    broker->relay().Mute(muted);
  }
  keeper_->line().Mute(muted);
}

void World::MasterDies() {
  const size_t lost = ledger_.Count() - replica_->books.Count();
  Say("the master dies, and with it {} messages", lost);
  if (lost > 0) coverage_.Hit(Point::kFailoverLost);
  hub_fails_ = HubFails::kDead;
  for (auto& broker : brokers_) {
    broker->HubDied();
    broker->relay().Cut();
  }
  keeper_->line().ServerDied();
  MuteHub(false);
  hub_.mutable_state() = std::move(replica_->state);
  if (mutant_ != Mutant::kUnreplicated) ledger_.Restore(std::move(replica_->books));
  replica_.reset();
  scheduler_.After(dice_.Between(200, 4000), [this] { ReplicaTakesOver(); });
}

void World::ReplicaTakesOver() {
  hub_fails_ = HubFails::kNot;
  Say("the replica takes over");
  if (mutant_ != Mutant::kOldIds) ids_from_ms_ = HubClock();
  for (auto& [p, partition] : hub_.mutable_state().partitions) {
    // They end with the life of the server.
    for (auto& [role, lease] : partition.leases) lease.until = 0;
  }
  if (dice_.Chance(400)) {  // nobody was left who could prove that it has everything
    coverage_.Hit(Point::kFailoverEpoch);
    hub_.RaiseEpoch();
    for (auto& [uid, user] : hub_.mutable_state().users) {
      for (auto& [name, device] : user.devices) device.resync = true;
    }
    Say("a new epoch: {}", state().epoch);
  }
  oracle_.Disturbed(TrueNow(), "the hub has failed over", Several());
  for (auto& broker : brokers_) {
    broker->HubConnect();
    if (Several() && broker->alive()) broker->relay().Connect();
  }
  if (keeper_->alive()) keeper_->line().Connect();
}

// What was received while a master of before gave ids counts as received when its replica took
// over: an id is above those of the lost end of that history, too.
void World::RaiseReceived(hub::Call& call) const {
  if (auto* send = std::get_if<hub::Send>(&call)) {
    send->received_ms = std::max(send->received_ms, ids_from_ms_);
  } else if (auto* create = std::get_if<hub::CreateChat>(&call)) {
    create->received_ms = std::max(create->received_ms, ids_from_ms_);
  } else if (auto* update = std::get_if<hub::UpdateChat>(&call)) {
    update->received_ms = std::max(update->received_ms, ids_from_ms_);
  }
}

}  // namespace nightjar::worlds
