// A hub in memory, a store that can be made to fail, and consumers that can be stopped between any
// two steps; all in one thread on virtual time.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "persister/journal_consumer.h"
#include "tests/fakes/call_queue.h"
#include "tests/fakes/fake_hub.h"
#include "tests/fakes/memory_store.h"

namespace nightjar::persist {

inline constexpr uint32_t kPartitions = 4;

// What the store does with the next Puts.
enum class StoreMood { kGood, kAway, kStoresButFails };

// Mistakes that somebody could make, planted to see that a test finds them.
enum class Fault {
  kNone,
  kRemembersLate,    // memory hears of a round after its trim
  kForgetsRounds,    // ... and of some never
  kTrustsLeases,     // leases never run out for memory, nor pass to others
  kOneLeaseForAll,   // memory cannot tell a lease from the one before
  kStoresLate,       // the store says "done" and is not, for a while
  kReadsStoreFirst,  // a reader takes the store before the tail
  kReadsNoTail,      // ... takes no tail
  kFillsLate,        // ... begins an entry after it has read the page for it
  kCount
};

class ConsumerWorld {
 public:
  // One process life.
  struct Life {
    std::unique_ptr<JournalConsumer> consumer;
    std::unique_ptr<hub::CallQueue> hub;
    std::shared_ptr<HotChats> hot;      // readers may outlive the life
    std::vector<HotChats::Round> late;  // that a fault holds back, until a step after the trim
    bool trimmed = false;
    std::deque<Action> todo;
  };

  explicit ConsumerWorld(size_t dead_max = 10'000);

  Life& Start(JournalConsumer::Options options = {});
  void Kill(size_t i) { lives_.erase(lives_.begin() + static_cast<ptrdiff_t>(i)); }
  std::vector<std::unique_ptr<Life>>& lives() { return lives_; }

  void Tick(Life& life);
  // Does the oldest thing to do; false: there is none.
  bool Step(Life& life);
  // Everything there is to do, hub answers included, until nothing is left at this time.
  void Settle(Life& life);
  // Lets time pass in small steps, settling everybody, until the journal is empty or `most_ms` is
  // over.
  bool Drain(int64_t most_ms);

  void SendOne(const std::string& from, const std::string& to);
  void PutRaw(const std::string& chat, std::string record);  // straight into the journal
  size_t JournalSize();
  // Empty, or what is wrong: a message that is neither stored nor in the journal.
  std::string Lost();
  // Empty, or what is wrong: the store does not hold exactly what was accepted.
  std::string NotExactlyOnce();

  int64_t now_ms = 1'000'000;
  StoreMood mood = StoreMood::kGood;
  std::vector<std::string> said;
  uint64_t puts = 0;
  Fault fault = Fault::kNone;
  size_t hot_messages = 256;  // of a chat in memory, for lives that start from now on

  hub::FakeHub& hub() { return hub_; }
  fakes::MemoryStore& store() { return store_; }
  const std::map<std::string, std::set<MsgId>>& accepted() const { return accepted_; }

 private:
  Status Put(const Records& records);
  void Do(Life& life, Remember remember);
  void RememberRounds(Life& life);

  hub::FakeHub hub_;
  fakes::MemoryStore store_;
  std::vector<std::unique_ptr<Life>> lives_;
  std::map<std::string, std::set<MsgId>> accepted_;  // by chat
  int owners_ = 0;
  std::deque<Records> late_puts_;  // that a fault holds back
};

}  // namespace nightjar::persist
