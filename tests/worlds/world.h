// A whole Nightjar on virtual time in one thread: brokers with the real engine, the hub in memory,
// the persister's real consumer and reader, people with client-sim's brain, and its judge.
// Everything that happens comes from the seed; the same seed gives the same world.
//
// A world is busy for a while, with faults; then the faults stop, everybody comes back, and when
// nothing is left to do the promises are checked (docs/guarantees.md).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client-sim/judge/oracle.h"
#include "common/wire/jwt.h"
#include "plugin/core/action.h"
#include "tests/fakes/fake_hub.h"
#include "tests/worlds/broker.h"
#include "tests/worlds/coverage.h"
#include "tests/worlds/dice.h"
#include "tests/worlds/keeper.h"
#include "tests/worlds/ledger.h"
#include "tests/worlds/mutant.h"
#include "tests/worlds/phone.h"
#include "tests/worlds/scheduler.h"
#include "tests/worlds/shape.h"
#include "tests/worlds/trace.h"

namespace nightjar::worlds {

struct Outcome {
  uint64_t seed = 0;
  uint64_t hash = 0;  // of everything that happened
  uint64_t events = 0;
  int64_t virtual_ms = 0;
  uint64_t accepted = 0;
  Coverage coverage;
  std::vector<std::string> broken;  // promises, with their stories; empty: all were kept
};

class World {
 public:
  // `out`: where the trace is printed; null: nowhere.
  World(uint64_t seed, std::ostream* out, Mutant mutant = Mutant::kNone, const Chosen& chosen = {});
  ~World();
  Outcome Run();

  // ---- for the parts of the world
  Scheduler& scheduler() { return scheduler_; }
  Dice& dice() { return dice_; }
  Trace& trace() { return trace_; }
  Coverage& coverage() { return coverage_; }
  const Shape& shape() const { return shape_; }
  bool settling() const { return settling_; }
  int64_t time() const { return scheduler_.now(); }
  Now TrueNow() const;
  Now BrokerNow(int broker) const;
  int64_t HubClock() const;
  std::shared_ptr<const KeySet> keys() const { return keys_; }
  const std::string& Token(const std::string& uid, bool service);
  template <typename... Args>
  void Say(fmt::format_string<Args...> format, Args&&... args) {
    trace_.Print(time(), format, std::forward<Args>(args)...);
  }
  void Break(const std::string& promise, std::string what);

  // The hub does it, now.
  hub::Reply Execute(const hub::Call& asked, const std::string& who);
  void NotOnePartition(const hub::Call& call);
  const hub::fake::HubState& state() const { return hub_.state(); }
  // ... of it what somebody may know of.
  const hub::fake::HubState& Told() const { return replica_ ? replica_->state : state(); }
  hub::FakeHub& hub() { return hub_; }
  // The hub can be connected to; it answers.
  bool HubThere() const { return hub_fails_ != HubFails::kDead; }
  bool HubAnswers() const { return hub_fails_ == HubFails::kNot || mutant_ == Mutant::kReadsAhead; }

  // ---- lines
  ConnPtr NewConn(int phone, const std::string& uid, const std::string& device);
  void UpSubscribe(const ConnPtr& conn, const std::string& filter);
  void UpPublish(const ConnPtr& conn, const std::string& topic, const std::string& payload);
  void GoodBye(const ConnPtr& conn);                  // the device closes, in order
  void Abandon(const ConnPtr& conn);                  // the device closes, and waits for nothing
  void CutSoon(const ConnPtr& conn, bool half_open);  // both ends learn of it, some time
  void AcceptClient(const ConnPtr& conn);             // the broker has let it in
  void CloseClientSoon(const ConnPtr& conn);          // the broker closes
  void Down(const ConnPtr& conn, const std::string& topic, std::string payload);

  // ---- what parts tell
  void Saw(const Phone& phone, const client::Happening& happening);
  void OnFrame(const Phone& phone, const std::string& payload, bool json, bool brief, size_t size);
  void OnLog(const core::LogLine& line);
  void OnBrokerDied() { ledger_.BrokerDied(state()); }
  void StoreAsked(int broker, uint64_t life, const std::string& topic, const std::string& payload,
                  bool connected);
  void StoreAnswered(int broker, uint64_t life, const std::string& topic,
                     const std::string& payload);
  bool PersisterUp() const { return keeper_ && keeper_->alive(); }
  void KillKeeper();
  bool Stored(const v1::Message& message);

  // ---- faults between a broker and the rest (world_mutants.cc)
  int CopiesOfRelayed();
  void SpoilReply(hub::Reply& reply);
  bool IgnoresKick();

  // ---- choices
  const std::string& SomePerson();
  std::string SomeName();
  std::vector<std::string> SomePeople();
  std::string SomeChat(const std::string& uid);
  std::string SomeGroup(const std::string& uid);  // that uid is in; empty: none
  size_t Groups() const;

 private:
  void NoteBounds(const hub::Call& call, const hub::Reply& reply);
  void TellJudge(const hub::Call& call, const hub::Reply& reply);
  // world_brokers.cc
  bool Several() const { return shape_.brokers > 1; }
  void NoteBrokers(const hub::Call& call, const hub::Reply& reply,
                   const std::map<hub::BrokerName, int64_t>& lived,
                   const std::map<hub::BrokerName, int64_t>& dying);
  void CheckClaimed(const std::string& name);
  void InflictOnBrokers(Fault fault);
  void DrainNext(size_t index);
  void FreezeHub(int64_t until);
  // world_failover.cc
  void MasterFalters();
  void MuteMaster(bool muted);
  bool Untold(const hub::Call& call) const;
  void MasterDies();
  void GoBackToReplica();
  void ReplicaTakesOver();
  void NobodyCanProve();
  void RaiseReceived(hub::Call& call) const;
  uint32_t ServerOf(const hub::Call& call) const;
  uint32_t ServerOf(uint32_t partition) const;
  std::string RestlessBrokers();
  void CheckBrokers();
  // world_people.cc
  void MakePeople();
  void MakeGroups();
  void AddPhone(const std::string& uid, const std::string& device, bool starts_online);
  // world_faults.cc
  void FaultLater();
  void FaultNow();
  void Inflict(Fault fault);
  Phone& SomePhone();
  Broker& SomeBroker();
  void NewEpoch();
  void StepHubClock();
  // world_mutants.cc
  hub::Reply ExecuteMutated(const hub::Call& call);
  bool Rarely();
  // world_settle.cc
  void StopFaults();
  bool Settle();
  std::string Restless();
  // world_check.cc
  void Check();
  void CheckHistory();
  void CheckJournal();
  void CheckUsers();
  void CheckSessions();
  void CheckPresence();
  void CheckEngines();

  const uint64_t seed_;
  const Mutant mutant_;
  Dice dice_;
  Trace trace_;
  Coverage coverage_;
  Shape shape_;
  Scheduler scheduler_;
  int64_t unix_base_;  // Unix ms at mono 0
  int64_t hub_skew_ = 0;
  std::vector<int64_t> broker_skew_;
  int64_t newest_hub_ms_ = 0;
  int64_t hub_frozen_until_ = 0;
  enum class HubFails {
    kNot,
    kFalters,  // nobody is told what it does
    kDead,     // nobody can connect
  };
  HubFails hub_fails_ = HubFails::kNot;
  uint32_t failing_ = 0;  // the server
  struct Replica {
    hub::fake::HubState state;
    Ledger::Books books;
  };
  std::optional<Replica> replica_;           // while the master falters: what it has
  bool untold_ = false;                      // is what the hub does at the moment
  std::map<uint32_t, int64_t> ids_from_ms_;  // by server: what came before counts as of then
  int64_t hub_stepped_at_ = INT64_MIN / 2;   // its clock
  std::shared_ptr<const KeySet> keys_;
  hub::FakeHub hub_;
  Ledger ledger_;
  client::Oracle oracle_;
  std::unique_ptr<Keeper> keeper_;
  std::vector<std::unique_ptr<Broker>> brokers_;
  std::vector<std::unique_ptr<Phone>> phones_;
  std::vector<client::DeviceId> judged_;  // by phone
  std::vector<std::string> people_, names_;
  std::vector<std::string> broken_;
  bool settling_ = false;
  int mutations_ = 0;
};

}  // namespace nightjar::worlds
