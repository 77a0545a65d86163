// One hub under test, with a clock that the test sets: the fake, or a real server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/hub/hub.h"

namespace nightjar::hub::contract {

// Small, so that bounds are reached soon. The inbox's is the same in all tests of one program: it
// is written into the library of functions.
inline constexpr size_t kInboxBound = 20;
inline constexpr int64_t kStartMs = 1'790'000'000'000;

struct Bounds {
  uint32_t partitions = 2;
  size_t journal_max = 1000;
  size_t tasks_max = 1000;
  size_t inbox = kInboxBound;
};

// What no call shows, read from where it is kept. Empty values are left out, so that "never
// written" and "written and taken back" are the same.
struct Hidden {
  struct Device {
    uint64_t acked = 0;
    int64_t last_seen = 0;
    std::string route;    // "session broker"
    bool resync = false;  // still owed
  };
  struct User {
    uint64_t base = 0, owed = 0;
    std::vector<MsgId> inbox;  // ids kept with the entries
    std::map<std::string, Device> devices;
    std::string known;  // the devices, as they became known, "phone,tablet,"
    std::map<std::string, uint64_t> tails;
    std::map<std::string, std::string> other;  // name, email, push, mutes
    std::set<std::string> watchers;            // broker ids
  };
  struct Chat {
    uint64_t task_end = 0;
    std::map<std::string, std::map<uint64_t, MsgId>> windows;  // "uid/device"
    std::map<std::string, uint64_t> floors;
  };
  struct Partition {
    uint64_t journal_base = 0, tasks_base = 0;
    std::map<std::string, int64_t> due;
    std::map<std::string, uint64_t> tokens;     // role -> newest token
    std::map<std::string, std::string> leases;  // role -> "token expires owner", those that hold
    std::vector<std::string> dead;
    std::map<BrokerName, int64_t> fenced;  // since when
  };
  std::map<std::string, User> users;
  std::map<std::string, Chat> chats;
  std::map<uint32_t, Partition> partitions;
  std::map<BrokerName, int64_t> living, dying;  // last beat; end of the claim
  uint64_t living_version = 0;

  std::string Text() const;
};

class World {
 public:
  virtual ~World() = default;
  virtual Reply Do(const Call& call) = 0;
  // In their order, with nothing in between.
  virtual std::vector<Reply> DoAll(const std::vector<Call>& calls) = 0;
  virtual Hidden ReadHidden() = 0;
  // How many connections are subscribed to the relay of this broker id from now on: 0 at first; 2
  // is two processes that go by one id.
  virtual void Listen(const std::string& broker_id, size_t connections) = 0;
  // What was relayed since the last call (or Reset) to each broker id that is listened to, in
  // order, as its first connection got it. Ids that were told nothing are left out.
  virtual std::map<std::string, std::vector<Relayed>> TakeRelayed() = 0;
  // Empties the hub: as newly set up at this time, by somebody who knew no earlier one. Who listens
  // goes on listening.
  virtual void Reset() = 0;
  virtual void RaiseEpoch() = 0;
  // The hub loses everything; whoever uses it next has it set up anew.
  virtual void LoseEverything() = 0;
  // As if the chat's newest id were this one.
  virtual void PokeLast(const std::string& chat, MsgId id) = 0;

  void SetClock(int64_t unix_ms) {
    clock_ = unix_ms;
    ClockSet();
  }
  void Advance(int64_t ms) { SetClock(clock_ + ms); }
  int64_t clock() const { return clock_; }

 protected:
  virtual void ClockSet() {}
  int64_t clock_ = kStartMs;
};

// "fake", "redis" or "valkey", the latter if it is installed, or NIGHTJAR_VALKEY says where it is.
// MakeWorld knows each with "-split" too: a SplitHub over it, where a call that touches more than one
// partition fails.
std::vector<std::string> WorldKinds();
std::unique_ptr<World> MakeWorld(const std::string& kind, const Bounds& bounds);
std::unique_ptr<World> MakeServerWorld(const std::string& program, const Bounds& bounds,
                                       bool split = false);

// Everybody and everything a test's state can be about.
struct Names {
  std::vector<std::string> uids, devices, chats, brokers;
  uint32_t partitions = 2;
};
// The whole state as text: through the calls that read, and Hidden. Equal states, equal texts.
std::string Dump(World& world, const Names& names);

}  // namespace nightjar::hub::contract
