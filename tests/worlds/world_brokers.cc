// What worlds have when there are several brokers: what goes wrong between them, what the hub says
// of who lives and who clears whom, and what must hold in the end.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/hub/keys.h"
#include "tests/worlds/world.h"

namespace nightjar::worlds {

void World::InflictOnBrokers(Fault fault) {
  Broker& broker = SomeBroker();
  const int64_t ttl = shape_.config.broker_ttl_ms;
  switch (fault) {
    case Fault::kRelayCut:
      Say("{}: relay breaks", broker.name());
      oracle_.Disturbed(TrueNow(), "the relay breaks", false);
      broker.relay().Cut();
      scheduler_.After(dice_.Between(1, 6000), [this, &broker, life = broker.life()] {
        if (!broker.alive() || broker.life() != life) return;
        Say("{}: relay is back", broker.name());
        broker.relay().Connect();
      });
      return;
    case Fault::kBeatsLost:
      Say("{}: beats are lost", broker.name());
      oracle_.Disturbed(TrueNow(), "a broker's beats are lost", true);
      broker.LoseBeats(time() + dice_.Between(ttl / 2, 3 * ttl));
      scheduler_.After(3 * ttl, [this] { oracle_.Disturbed(TrueNow(), "beats are back", true); });
      return;
    case Fault::kPausedLong:
      oracle_.Disturbed(TrueNow(), "a broker is paused for long", true);
      broker.Pause();
      scheduler_.After(dice_.Between(ttl, 3 * ttl), [this, &broker, life = broker.life()] {
        oracle_.Disturbed(TrueNow(), "a broker wakes", true);
        if (broker.life() == life) broker.Wake();
      });
      return;
    case Fault::kFrozenLong: {
      coverage_.Hit(Point::kHubFrozenLong);
      const int64_t until = time() + ttl + dice_.Between(1, ttl);
      Say("the hub is paused for {} ms", until - time());
      oracle_.Disturbed(TrueNow(), "the hub is paused for long", false);
      return FreezeHub(until);
    }
    case Fault::kDrain:
      oracle_.Disturbed(TrueNow(), "a broker is drained", true);
      return broker.Drain();
    case Fault::kDrainAll:
      return DrainNext(0);
    case Fault::kLeftBehind:
      return SomePhone().LeaveBehind();
    case Fault::kFailover:
      return MasterFalters();
    default:
      return;
  }
}

// It stands for all alike: of several pauses the one that ends last counts. (With one broker this
// makes no difference, and old seeds mean what they did.)
void World::FreezeHub(int64_t until) {
  if (Several()) until = hub_frozen_until_ = std::max(hub_frozen_until_, until);
  for (auto& broker : brokers_) broker->line().Freeze(until);
  keeper_->line().Freeze(until);
}

// One after another, the next when the one before is back.
void World::DrainNext(size_t index) {
  if (index >= brokers_.size() || settling_) return;
  oracle_.Disturbed(TrueNow(), "brokers are drained one after another", true);
  brokers_[index]->Drain();
  scheduler_.After(shape_.config.drain_ms + 4000, [this, index] { DrainNext(index + 1); });
}

// A broker that could reach the hub all the time must not be taken for dead, whatever pauses the
// hub makes.
void World::CheckClaimed(const std::string& name) {
  const HubLineShape& line = shape_.hub_line;
  if (line.late_permille > 0 || line.lose_permille > 0 || line.refuse_permille > 0) return;
  const int64_t ttl = shape_.config.broker_ttl_ms;
  if (time() - hub_stepped_at_ <= 3 * ttl) return;
  for (const auto& broker : brokers_) {
    const int64_t since = broker->well_since();
    if (broker->name() == name && !broker->draining() && since < time() - 2 * ttl) {
      Break("G6",
            fmt::format("{} is cleared, which has been well for {} ms", name, time() - since));
    }
  }
}

void World::NoteBrokers(const hub::Call& call, const hub::Reply& reply,
                        const std::map<hub::BrokerName, int64_t>& lived,
                        const std::map<hub::BrokerName, int64_t>& dying) {
  if (!Several()) return;
  const auto* lease = std::get_if<hub::Lease>(&call);
  if (lease != nullptr && lease->ttl_ms == 0) coverage_.Hit(Point::kLeaseGivenBack);
  if (const auto* in = std::get_if<hub::LoginReply>(&reply); in != nullptr && in->cleared) {
    coverage_.Hit(Point::kLoginFenced);
  }
  if (const auto* gone = std::get_if<hub::Gone>(&call);
      gone != nullptr && dying.count(gone->broker) > 0) {
    coverage_.Hit(Point::kGoneSaid);
  }
  const auto* beat = std::get_if<hub::Beat>(&call);
  const auto* done = std::get_if<hub::BeatReply>(&reply);
  if (beat == nullptr || done == nullptr) return;
  if (done->outcome == hub::BeatReply::Outcome::kCleared) coverage_.Hit(Point::kFoundCleared);
  if (done->outcome == hub::BeatReply::Outcome::kTaken) {
    Break("brokers", beat->broker + " is told that another goes by its id");
  }
  for (const hub::BrokerName& name : done->clear) {
    if (hub::keys::BrokerId(name) == hub::keys::BrokerId(beat->broker)) continue;
    if (lived.count(name) > 0) {
      coverage_.Hit(Point::kDeadClaimed);
      // With a hub whose answers are late or lost it may happen to who is well.
      oracle_.Disturbed(TrueNow(), "a broker is taken for dead", true);
      CheckClaimed(name);
    } else if (const auto claim = dying.find(name); claim != dying.end() && claim->second > 0) {
      coverage_.Hit(Point::kClaimInherited);
    }
  }
}

// What is still to be done between brokers; empty: nothing.
std::string World::RestlessBrokers() {
  std::string why;
  if (!Several()) return why;
  std::map<std::string, int> connections;
  for (const auto& broker : brokers_) {
    if (!broker->alive()) {
      why += broker->name() + " is dead; ";
      continue;
    }
    if (broker->draining()) why += broker->name() + " drains; ";
    if (!broker->engine().stats().registered) why += broker->name() + " is not registered; ";
    for (const auto& [id, conn] : broker->sessions()) ++connections[conn->client_id];
  }
  for (const auto& [client, n] : connections) {
    if (n > 1) why += fmt::format("{} is connected {} times; ", client, n);
  }
  for (const auto& [name, until] : state().dying) why += name + " is to be cleared; ";
  return why;
}

void World::CheckBrokers() {
  if (!Several()) return;
  std::map<std::string, int64_t> living = state().living;
  for (const auto& broker : brokers_) {
    if (living.erase(broker->name()) == 0) {
      Break("brokers", broker->name() + " is not among the living");
    }
  }
  for (const auto& [name, beat] : living)
    Break("brokers", name + " is among the living, and is not");
  if (hub_stepped_at_ > 0) return;  // leases may run on until the clock is there again
  for (const auto& [p, partition] : state().partitions) {
    const auto lease = partition.leases.find(hub::Role::kFanOut);
    if (lease == partition.leases.end() || !lease->second.HeldAt(HubClock()) ||
        state().living.count(lease->second.owner) == 0) {
      Break("leases", fmt::format("no living broker does the fan-out of partition {}", p));
    }
  }
}

}  // namespace nightjar::worlds
