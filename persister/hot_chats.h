// The newest messages of chats that are being read, in memory, so that most reads of a newest page
// touch no store.
//
// What an entry says. Of its chat it holds every message with an id above its floor that is stored
// and no longer in the journal. (It may hold messages that still are in the journal.) So a reader
// who takes the journal's tail first and this second has everything above the floor, as with the
// store itself. That is kept true so:
//  - Only the holder of the partition's lease has entries for it, and they are good for as long as
//    that lease surely is held, by this process's own clock, from before the hub was asked for it.
//    Who holds it is the only one to take anything out of the partition's journal, or to write to
//    the store from elsewhere (dead letters put back).
//  - Stored() brings every message after it is stored and before it is taken out of the journal. A
//    round that begins behind the end of the one before, or under another lease, voids what there
//    was.
//  - An entry begins empty with nothing known (floor: everything), takes what Stored() brings from
//    then on, and then the page that is read from the store after it began. The page covers what
//    left the journal before it was read, Stored() what left it since.
//  - Messages that are let go (a chat has a bound) raise the floor to the newest of them, and a
//    page read before cannot lower it again.
// A lease that was lost and is held again has another token; nothing from before is used.
//
// Entries are made by reading only: a chat that nobody reads costs a look-up per message. The least
// recently read goes first.
//
// Threads: any; one mutex, never held while anything is waited for.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "persister/store.h"

namespace nightjar::persist {

class HotChats {
 public:
  struct Options {
    uint32_t partitions = 64;
    size_t bytes = 32 << 20;     // over all chats, with what each costs beside its messages
    size_t chat_messages = 256;  // of one chat
    size_t chat_bytes = 128 << 10;
    std::function<int64_t()> mono_ms = {};  // the machine's, if not set
  };
  struct Counters {
    uint64_t hits = 0, misses = 0;  // of partitions held here
    uint64_t elsewhere = 0;         // the lease is another's, or not sure
    uint64_t evicted = 0;           // chats, for want of room
    size_t chats = 0, bytes = 0;    // now
  };
  struct Lease {
    uint64_t token = 0;    // 0: not held
    int64_t until_ms = 0;  // mono, counted from before the hub was asked
  };
  // What one round has stored of a partition and is about to trim.
  struct Round {
    uint32_t partition = 0;
    uint64_t token = 0;                      // that it is trimmed with
    uint64_t first = 0, upto = 0;            // positions in the journal
    std::vector<v1::Message> messages = {};  // stored ones; what became a dead letter is not there
  };
  // Held by who reads the store to fill an entry.
  struct Ticket {
    std::string chat;
    uint64_t entry = 0;
  };

  explicit HotChats(Options options);

  // ---- for the journal's worker

  // By partition, after each answer about leases and whenever one turns out to be lost.
  void SetLeases(const std::vector<Lease>& leases);
  // Between storing and trimming.
  void Stored(const Round& round);
  // The hub was away or is another one: nothing is sure until leases are set again.
  void Clear();

  // ---- for readers, after the tail was read

  // What the store would say of stored messages, or nothing: ask the store. `tail_first`: where the
  // partition's journal began when its tail was read, if anything was in it.
  std::optional<HistoryPage> Read(uint32_t partition, const HistoryQuery& query,
                                  std::optional<uint64_t> tail_first);
  // Before a newest page (no bounds) is read from the store; that page goes to Fill. Nothing: not
  // this process's to remember.
  std::optional<Ticket> Begin(uint32_t partition, const std::string& chat);
  void Fill(const Ticket& ticket, const HistoryPage& page);

  Counters counters() const;

 private:
  static constexpr MsgId kNothingKnown = UINT64_MAX;
  struct Partition {
    Lease lease;
    std::optional<uint64_t> fed;  // Stored() has brought everything up to this position
    uint64_t life = 1;            // entries of an earlier one are void
  };
  struct Entry {
    uint64_t number = 0;  // never used again
    uint32_t partition = 0;
    uint64_t life = 0;
    MsgId floor = kNothingKnown;
    MsgId let_go = 0;  // newest that came and is not kept
    std::map<MsgId, std::string> messages;
    size_t bytes = 0;
    std::list<std::string>::iterator turn;
  };
  using Entries = std::unordered_map<std::string, Entry>;

  bool Held(const Partition& partition) const;
  static void Void(Partition& partition);
  Entry* Find(const std::string& chat);  // a valid one
  void Insert(Entry& entry, MsgId id, std::string bytes);
  void DropOldest(Entry& entry);
  void KeepToBounds(Entry& entry);
  void Erase(Entries::iterator it);
  void MakeRoom();

  const Options options_;
  mutable std::mutex mutex_;
  std::vector<Partition> partitions_;
  Entries entries_;
  std::list<std::string> turns_;  // the most recently read first
  uint64_t last_number_ = 0;
  size_t bytes_ = 0;
  Counters counters_;
};

}  // namespace nightjar::persist
