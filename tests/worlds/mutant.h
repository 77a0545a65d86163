// Faults planted on purpose between the engine and the rest, to see that worlds find them. Each
// stands for a bug somebody could write. Off (kNone) but in the test of the worlds themselves.
#pragma once

#include <cstdint>
#include <string_view>

namespace nightjar::worlds {

enum class Mutant {
  kNone,
  kForgetsWindow,    // a repeat is stored again
  kLosesJournal,     // a record is not journalled
  kLosesEntry,       // one inbox does not get an entry
  kSwapsEntries,     // two entries of an inbox change places
  kTrimsUnstored,    // the journal is trimmed before it is stored
  kAcksTooMuch,      // a cursor moves beyond what was acknowledged
  kLeavesRoute,      // a logout leaves its route
  kStaysOnline,      // going offline is not written down
  kTaskDropped,      // a task is trimmed unfinished
  kAcceptsUnstored,  // Accepted is told for what the hub never took
  kLosesDelivered,   // marks do not move
  kMarksAhead,       // Delivered is told before an acknowledgement
  // Of worlds with several brokers only:
  kIgnoresCleared,  // a broker goes on that was told it had been cleared
  kSkipsPage,       // who clears passes over a page of sessions
  kRelayDrops,      // relayed messages get lost within one subscription
  kIgnoresKick,     // a connection that is to be closed stays open
  kKeepsLeases,     // leases neither run out nor go back
  kNeverClears,     // who is to clear dead brokers does not
  // From here on, of worlds with failovers only:
  kUnreplicated,  // answers are given before replicas have what they rest on
  kOldIds,        // after a failover ids are given from when a send was received
  kRelaysAhead,   // ... relayed messages are
  kReadsAhead,    // ... a history is read
  kCount
};

inline constexpr std::string_view kMutantNames[] = {
    "none",          "forgets-window",  "loses-journal",    "loses-entry",
    "swaps-entries", "trims-unstored",  "acks-too-much",    "leaves-route",
    "stays-online",  "task-dropped",    "accepts-unstored", "loses-delivered",
    "marks-ahead",   "ignores-cleared", "skips-page",       "relay-drops",
    "ignores-kick",  "keeps-leases",    "never-clears",     "unreplicated",
    "old-ids",       "relays-ahead",    "reads-ahead"};

}  // namespace nightjar::worlds
