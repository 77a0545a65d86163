// Rare paths that worlds should reach. A point is counted where it is passed; worlds_test.cc asks
// that over many seeds each was.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nightjar::worlds {

// Not among them: tails, since no service subscribes one here, and an 11th device of a user that
// pushes out another, since people have fewer. Nor what leaves no trace outside the engine: the
// second sending to a silent device, a takeover during a login, a reconnect within the grace, the
// clearing of what a former life left; unit tests of the core have those.
#define NIGHTJAR_WORLD_POINTS(X)                                         \
  X(kRepeatAnswered, "a repeat is answered by the window")               \
  X(kBelowWindow, "a send below what is remembered")                     \
  X(kStaleMembers, "a send with an old membership")                      \
  X(kGapSeen, "a device sees a gap and asks again")                      \
  X(kRepeatFrame, "a device drops a repeat")                             \
  X(kSilentClosed, "a silent device is closed")                          \
  X(kResync, "resync")                                                   \
  X(kNewDevice, "a device that appears in the middle")                   \
  X(kTaskMade, "a fan-out by task")                                      \
  X(kTaskInterrupted, "a broker dies with a task open")                  \
  X(kTaskResumed, "a task is finished by another life than its own")     \
  X(kLostAfterEffect, "a call took effect and its reply was lost")       \
  X(kRefusedByHub, "a call is refused by the hub")                       \
  X(kRepeatedCall, "a call is repeated on a new connection")             \
  X(kLateReply, "a call is answered as late and takes effect after")     \
  X(kZombieCall, "a call of a dead connection takes effect late")        \
  X(kTakeover, "a takeover")                                             \
  X(kReplacedTold, "the old connection is told that it was replaced")    \
  X(kExhausted, "RESOURCE_EXHAUSTED")                                    \
  X(kUnavailable, "UNAVAILABLE")                                         \
  X(kTenSeconds, "a call fails after 10 s without the hub")              \
  X(kRefusedForGood, "a send refused for good")                          \
  X(kJson, "a JSON device gets a message")                               \
  X(kBrief, "a device with short topics gets a message")                 \
  X(kTruncated, "a message cut to max_frame")                            \
  X(kBadFrame, "a bad frame is answered")                                \
  X(kOnlineSeen, "online is seen")                                       \
  X(kOfflineSeen, "offline is seen")                                     \
  X(kBrokerClockBack, "a broker's clock goes back")                      \
  X(kHubClockBack, "the hub's clock goes back")                          \
  X(kDaysPass, "a month passes")                                         \
  X(kTokenExpired, "a token expires")                                    \
  X(kJournalFull, "the journal is full")                                 \
  X(kTasksFull, "the tasks are full")                                    \
  X(kInboxTrimmed, "an inbox at its bound drops the oldest")             \
  X(kOtherEpoch, "an acknowledgement of another epoch")                  \
  X(kPersisterDied, "the persister dies")                                \
  X(kTrimFenced, "a trim with a lease that is somebody else's")          \
  X(kStoreFailed, "a Put fails")                                         \
  X(kHistoryFromJournal, "history has what is not stored yet")           \
  X(kNoPersister, "a request while no persister is there")               \
  X(kMemberRemoved, "a member is removed")                               \
  X(kMemberRemovedInTask, "a member is removed while a fan-out is open") \
  X(kMemberBackInTask, "a member comes back while a fan-out is open")    \
  X(kStaleChange, "a change of an old version")                          \
  X(kStaleSend, "an old send comes once more")                           \
  X(kBrokerPaused, "a broker is paused")                                 \
  X(kLeaseLost, "a fan-out lease is lost")                               \
  X(kSkippedOwn, "own messages are skipped, the sequence closed")        \
  X(kDelivered, "a delivered mark moves")                                \
  X(kMarkAsked, "marks are asked for")                                   \
  X(kDue, "somebody becomes due for push")                               \
  X(kEntryRelayed, "an entry is relayed")                                \
  X(kMarkRelayed, "a delivered mark is relayed")                         \
  X(kPresenceRelayed, "presence is relayed")                             \
  X(kKickRelayed, "a takeover on another broker is relayed")             \
  X(kTaskRelayed, "a task is relayed to who holds the lease")            \
  X(kRelayLost, "a relay breaks with messages under way")                \
  X(kDeadClaimed, "a broker is claimed for dead by another")             \
  X(kClaimInherited, "the clearing of a broker goes over to another")    \
  X(kFoundCleared, "a broker finds itself cleared")                      \
  X(kLoginFenced, "a login over a broker that was cleared")              \
  X(kGoneSaid, "a broker is said to be gone by another")                 \
  X(kTaskElsewhere, "a task is finished by another broker than its own") \
  X(kLeaseGivenBack, "a lease is given back")                            \
  X(kDrained, "a broker is drained")                                     \
  X(kHubFrozenLong, "the hub is paused for longer than every ttl")       \
  X(kFailoverLost, "a failover loses messages that nobody was told of")  \
  X(kFailoverEpoch, "a failover raises the epoch")

enum class Point : size_t {
#define X(name, text) name,
  NIGHTJAR_WORLD_POINTS(X)
#undef X
      kCount
};

inline constexpr std::array kPointNames = {
#define X(name, text) std::string_view(text),
    NIGHTJAR_WORLD_POINTS(X)
#undef X
};
inline constexpr size_t kPoints = static_cast<size_t>(Point::kCount);

struct Coverage {
  std::array<uint64_t, kPoints> counts{};
  void Hit(Point point) { ++counts[static_cast<size_t>(point)]; }
  uint64_t operator[](Point point) const { return counts[static_cast<size_t>(point)]; }
  void Add(const Coverage& other) {
    for (size_t i = 0; i < kPoints; ++i) counts[i] += other.counts[i];
  }
};

}  // namespace nightjar::worlds
