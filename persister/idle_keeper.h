// Keeps the hub small: walks over all chats and users that the store names, again and again, and
// has the hub let go of what of them nobody used for long (hub::Retire). The hub says what is idle;
// what comes here is that the store has it: it is the store that named it, and the journal has been
// trimmed beyond where it ended when the walk began.
//
// Each persister walks over all names and keeps to the partitions that it holds. Two that take
// themselves for holders do no harm: letting go twice is letting go once.
//
// Threads: one owner; Step blocks for the store and (bounded) for the hub.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/hub/hub.h"
#include "persister/hub_reader.h"
#include "persister/store.h"

namespace nightjar::persist {

class IdleKeeper {
 public:
  struct Options {
    uint32_t partitions = 64;
    int64_t idle_ms = int64_t{30} * 24 * 3600 * 1000;
    uint32_t names_per_s = 1000;              // looked at
    int64_t walk_every_ms = 6 * 3600 * 1000;  // from the beginning of one to that of the next
    // A message's id may be of a time some seconds before it was journalled, and clocks differ.
    int64_t margin_ms = 60'000;
    int64_t hub_timeout_ms = 5000;
  };
  struct Counters {
    uint64_t walks = 0;                          // that came to their end
    uint64_t names = 0;                          // looked at
    uint64_t chats = 0, users = 0, entries = 0;  // that went, or lost something
    uint64_t failures = 0;
  };

  // `hub` and `store` must outlive this.
  IdleKeeper(Options options, hub::Hub& hub, Store& store);

  // Does a little: one page of names, at most. Returns after how many ms to call again. `held`: the
  // partitions whose journal is this persister's.
  int64_t Step(const Now& now, const std::vector<uint32_t>& held);

  const Counters& counters() const { return counters_; }
  // What the last step that failed ended with; it is tried again.
  const Status& failed() const { return failed_; }

 private:
  enum class Phase { kResting, kJournals, kChats, kUsers };

  Status LookAtJournals(const Now& now, const std::vector<uint32_t>& held);
  Status LookAtNames(const std::vector<uint32_t>& held, uint32_t& looked_at);
  Status LetGo(std::vector<hub::Retire> calls);
  void NextPhase();

  const Options options_;
  HubReader hub_;
  Store& store_;
  Phase phase_ = Phase::kResting;
  int64_t walk_ms_ = 0;                   // mono; when this walk began, or the next one will
  int64_t idle_since_ms_ = 0;             // of this walk
  std::map<uint32_t, uint64_t> waiting_;  // partition -> up to where its journal is to be trimmed
  std::vector<bool> stored_;              // partition: this has been seen
  std::string from_;                      // of Names
  bool last_page_ = false;                // has been looked at
  std::vector<hub::Retire> again_;        // that may not have been done with
  Counters counters_;
  Status failed_;
};

}  // namespace nightjar::persist
