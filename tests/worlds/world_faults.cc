// What goes wrong.
#include <utility>

#include "tests/worlds/world.h"

namespace nightjar::worlds {

void World::FaultLater() {
  if (shape_.fault_ms == 0) return;
  scheduler_.After(dice_.Around(shape_.fault_ms), [this] {
    if (settling_) return;
    FaultNow();
    FaultLater();
  });
}

void World::FaultNow() {
  const Fault fault = dice_.Of(shape_.faults);
  trace_.Note(time(), "fault", static_cast<uint64_t>(fault));
  Inflict(fault);
}

Phone& World::SomePhone() { return *dice_.Of(phones_); }
Broker& World::SomeBroker() { return *dice_.Of(brokers_); }

void World::Inflict(Fault fault) {
  switch (fault) {
    case Fault::kHubCut: {
      Broker& broker = SomeBroker();
      broker.HubCut("cut", shape_.servers > 1 && dice_.Chance(700));
      const int64_t away = dice_.Chance(150) ? dice_.Between(5000, 25'000) : dice_.Between(1, 1500);
      oracle_.Disturbed(TrueNow(), "the hub is away", Several());
      scheduler_.After(away, [this, &broker, life = broker.life()] {
        if (broker.life() != life) return;
        oracle_.Disturbed(TrueNow(), "the hub is back", Several());
        broker.HubConnect();
      });
      if (dice_.Chance(300)) {
        keeper_->line().Cut();
        scheduler_.After(dice_.Between(1, 2000), [this] {
          if (keeper_->alive()) keeper_->line().Connect();
        });
      }
      return;
    }
    case Fault::kHubFrozen: {
      const int64_t until = time() + dice_.Between(100, 8000);
      oracle_.Disturbed(TrueNow(), "the hub is paused", false);
      return FreezeHub(until);
    }
    case Fault::kBrokerKilled: {
      Broker& broker = SomeBroker();
      if (!broker.alive()) return;
      oracle_.Disturbed(TrueNow(), "a broker is killed", true);
      broker.Kill();
      // With several, mostly until the others have cleared it.
      const int64_t longest = Several() ? 3 * shape_.config.broker_ttl_ms : 6000;
      scheduler_.After(dice_.Between(10, longest), [this, &broker] {
        oracle_.Disturbed(TrueNow(), "a broker starts", true);
        broker.Start();
      });
      return;
    }
    case Fault::kBrokerPaused: {
      Broker& broker = SomeBroker();
      oracle_.Disturbed(TrueNow(), "a broker is paused", true);
      broker.Pause();
      scheduler_.After(dice_.Between(100, 9000), [this, &broker, life = broker.life()] {
        oracle_.Disturbed(TrueNow(), "a broker wakes", true);
        if (broker.life() == life) broker.Wake();
      });
      return;
    }
    case Fault::kLineCut:
      return SomePhone().CutLine(false);
    case Fault::kHalfOpen:
      return SomePhone().CutLine(true);
    case Fault::kRoaming:
      return SomePhone().Roam();
    case Fault::kStaleSend:
      return SomePhone().SendOld();
    case Fault::kBadBytes:
      return SomePhone().SendGarbage();
    case Fault::kNewEpoch:
      return NewEpoch();
    case Fault::kBrokerClock: {
      const auto which = static_cast<size_t>(dice_.Below(shape_.brokers));
      const int64_t step = dice_.Between(-30'000, 30'000);
      if (step < 0) coverage_.Hit(Point::kBrokerClockBack);
      broker_skew_[which] += step;
      Say("b{}'s clock steps by {} ms", which + 1, step);
      return brokers_[which]->ClockStepped();
    }
    case Fault::kHubClock:
      return StepHubClock();
    case Fault::kDaysPass: {
      coverage_.Hit(Point::kDaysPass);
      Say("a month passes");
      oracle_.Disturbed(TrueNow(), "a month passes", true);
      hub_stepped_at_ = time();
      unix_base_ += int64_t{31} * 24 * 3600 * 1000;
      for (auto& broker : brokers_) broker->ClockStepped();
      return;
    }
    case Fault::kPersisterDies:
      if (keeper_->alive()) KillKeeper();
      return;
    case Fault::kStoreAway:
      keeper_->StoreAway(true);
      scheduler_.After(dice_.Between(500, 6000), [this] { keeper_->StoreAway(false); });
      return;
    case Fault::kLeaseLost: {
      // Somebody else takes leases as soon as they are free, and holds them for a while.
      Say("leases run out, and another takes them");
      const hub::Role role = dice_.Chance(600) ? hub::Role::kFanOut : hub::Role::kPersist;
      hub::Lease take;
      take.role = role;
      take.owner = "another" + std::to_string(time());
      take.ttl_ms = dice_.Between(100, 3000);
      for (uint32_t p = 0; p < shape_.hub.partitions; ++p) take.partitions.push_back(p);
      // A lease runs out when its holder cannot renew it: time passes at the hub.
      for (auto& [p, partition] : hub_.mutable_state().partitions) partition.leases[role].until = 0;
      (void)Execute(take, take.owner);
      return;
    }
    default:
      return InflictOnBrokers(fault);
  }
}

// As after a rebuild: every connection to the hub ends.
void World::NewEpoch() {
  if (hub_fails_ != HubFails::kNot) return;
  for (auto& broker : brokers_) {
    broker->HubCut("new epoch");
    broker->relay().Cut();
  }
  keeper_->line().Cut();
  hub_.RaiseEpoch();
  Say("a new epoch: {}", state().epoch);
  oracle_.Disturbed(TrueNow(), "a new epoch", Several());
  scheduler_.After(dice_.Between(10, 3000), [this] {
    for (auto& broker : brokers_) {
      broker->HubConnect();
      if (Several() && broker->alive()) broker->relay().Connect();
    }
    if (keeper_->alive()) keeper_->line().Connect();
  });
}

void World::StepHubClock() {
  const int64_t step = dice_.Between(-20'000, 20'000);
  if (step < 0) {
    coverage_.Hit(Point::kHubClockBack);
    ledger_.ClockWentBack();
  }
  hub_skew_ += step;
  hub_stepped_at_ = time();
  Say("the hub's clock steps by {} ms", step);
}

}  // namespace nightjar::worlds
