// How brokers know of each other through the hub: calls with their replies, a part of the port
// (common/hub/hub.h). docs/decisions/0007-who-may-judge.md says why it is so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nightjar::hub {

// A broker in one of its lives: "<id>#<incarnation>". Routes name it, so that what a dead one left
// behind is told from what its successor writes.
using BrokerName = std::string;

// A broker says that it lives, every few seconds, by the hub's clock. Who has not said so for more
// than ttl_ms is dead: one of the living takes it out of the living (its beats are answered
// kCleared), fences it (its logins are refused), ends what sessions are recorded of it, and then
// says Gone. Claims of who clears whom last ttl_ms and are renewed by beats; at their end anybody
// else may claim. A name that is being cleared or fenced is not taken in again.
//
// One step of the hub, in this order:
// 1. Not among the living: unless it is first (or knows another epoch), or if this very name is
//    being cleared; or fenced (in the first partition), and so of no use ever again: kCleared.
// 2. first, or another epoch: another incarnation of its id lives, is not dead, and more than one
//    connection listens to relay:<id> (the caller's own is one): kTaken. A dead one or one that
//    nobody listens for moves to those to be cleared, and the caller lives.
// 3. Its time of beat is now. Claims on `clearing` are renewed, where these are still to be
// cleared.
// 4. first, or another epoch: claims all earlier incarnations of its own id.
// 5. may_clear, and the caller itself had lived and its own last beat before this one is no older
//    than half of ttl_ms (a pause of the hub makes all beats late, not all alike: such a beat judges
//    nobody): claims those whose claim is over (longest over first), then the dead among the living
//    (longest silent first), as long as `clear` has fewer than kClearAtOnce.
// The list's version grows by one in a call that changes it. kCleared and kTaken: nothing was done,
// of the reply only the epoch counts.
inline constexpr size_t kClearAtOnce = 4;
struct Beat {
  BrokerName broker;
  bool first = false;  // it begins, or begins anew under another incarnation (or is not sure that
                       // it has: it may be among the living already, by this very name)
  bool may_clear = false;  // its own beats have succeeded for a full ttl
  int64_t ttl_ms = 8000;
  uint64_t epoch =
      0;  // the epoch it knows (0: none): another one now, and it is taken in as if first
  uint64_t known = 0;                // the version of the list of brokers that it has; 0: none
  std::vector<BrokerName> clearing;  // what it is clearing: claims to renew
};
struct BeatReply {
  enum class Outcome {
    kAlive,
    kCleared,  // not first, and not among the living: its sessions are or will be ended by another
    kTaken,    // first: another incarnation of this id has beaten within ttl, and listens to its
               // relay
  };
  Outcome outcome = Outcome::kAlive;
  uint64_t epoch = 0;
  uint64_t version = 0;             // of the list; grows with every change
  std::vector<BrokerName> brokers;  // the living, sorted; empty if `known` is this version, of this
                                    // epoch
  std::vector<BrokerName> clear;    // to be cleared by the caller: new claims. First its own id's
                                    // earlier incarnations, sorted, whoever claimed them
  friend bool operator==(const BeatReply&, const BeatReply&) = default;
};

// From now on, and for kFencedMs, this very name writes no routes and tails of users in these
// partitions: what it left there can be ended once and for all. Repeated, it does nothing.
inline constexpr int64_t kFencedMs = int64_t{24} * 3600 * 1000;
struct Fence {
  BrokerName broker;
  std::vector<uint32_t> partitions;
};

// The broker is no more: said by who has cleared it, or by itself when it leaves. Unless it leaves
// clean (none of its sessions is recorded any more) it becomes one to be cleared by others; and
// stays so if it says it again (a repeat) before anybody has claimed it.
struct Gone {
  BrokerName broker;
  bool clean = false;  // counts if it lived, or nobody has claimed it yet
};

}  // namespace nightjar::hub
