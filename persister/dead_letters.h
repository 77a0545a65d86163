// What a person does about dead letters: looks at them, tries them again, throws them away. A
// letter is named by what it is, not by its place, since places shift while one looks: whatever
// else happens to the list, no other letter is meant by a name.
//
// Threads: one owner, who may be kept waiting; not the hub's own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "common/base/result.h"
#include "common/hub/hub.h"
#include "persister/hub_reader.h"
#include "persister/store.h"

namespace nightjar::persist {

// "<partition>-<16 hex digits>", of all that the letter is. Letters that are the same in everything
// share it; they are replayed and dropped together.
std::string DeadLetterId(uint32_t partition, const hub::DeadLetter& letter);
// The partition that an id names; nothing: it is no id.
std::optional<uint32_t> PartitionOfDeadLetter(const std::string& id);

class DeadLetterDesk {
 public:
  struct Options {
    uint32_t partitions = 64;         // the hub's
    std::string owner;                // of the leases that Replay takes; unique per process life
    std::function<bool()> stop = {};  // asked between letters; true: end with kUnavailable
  };
  // Which letters: all, or those of one partition, or (if there are any ids) those named.
  struct Choice {
    std::optional<uint32_t> partition;
    std::set<std::string> ids;
  };
  struct Counts {
    uint64_t done = 0;                   // dropped, or stored and dropped
    uint64_t refused = 0;                // still cannot be stored: they stay
    std::set<std::string> missing = {};  // ids that were not found
  };
  struct Letter {
    uint32_t partition = 0;
    std::string id;
    hub::DeadLetter letter;
  };

  // `hub` must outlive this.
  DeadLetterDesk(Options options, hub::Hub& hub);

  // Letters one by one, by partition, oldest first, at most `limit`. Returns how many there are
  // in the partitions looked at up to then.
  Result<uint64_t> List(const Choice& choice, uint64_t limit,
                        const std::function<void(const Letter&)>& each);
  // Only letters that were there when it began.
  Result<Counts> Drop(const Choice& choice);
  // Puts letters to the store, and takes out of the list what it has taken. `told` hears why one is
  // refused. Holds the partition's lease meanwhile, as the store has one writer per partition:
  // kUnavailable where a persister holds it.
  Result<Counts> Replay(const Choice& choice, Store& store,
                        const std::function<void(const Letter&, const std::string& why)>& told);

 private:
  // What becomes of a letter: the walk goes on behind it, or finds it gone, or ends.
  enum class Next { kKept, kRemoved, kEnough };
  using Visit = std::function<Result<Next>(const Letter&)>;

  // Visits what was there when it came to each partition. Returns how many that was.
  Result<uint64_t> Walk(const Choice& choice, const Visit& visit);
  Result<uint64_t> WalkPartition(uint32_t partition, const Visit& visit, bool& enough);
  Result<uint64_t> TakeLease(uint32_t partition, int64_t ttl_ms);
  Status Remove(const Letter& letter);
  // kInvalidArgument: refused. kOk: stored, and removed.
  Status ReplayOne(const Letter& letter, Store& store);

  const Options options_;
  HubReader hub_;
};

}  // namespace nightjar::persist
