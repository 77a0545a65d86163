// Decides how the journal gets into the store: which leases to hold, when to read, what to put,
// when to trim. Does nothing itself: events go in, actions come out, and time is handed in, so that
// a test can stop it between any two steps.
//
// One round: ReadLog over all partitions held → Put (synced) → dead letters, if any → Remember
// (what was stored, for the memory of hot chats) → TrimLog with the leases' tokens. Whatever fails
// ends the round; after a wait the next one reads the same records again. So nothing is trimmed
// that was not stored, and whatever was done twice was done idempotently. A partition whose list of
// dead letters is full stalls by itself: its journal stays, and is looked at again every now and
// then; the others go on. Leases are renewed beside the rounds.
//
// Threads: one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/result.h"
#include "common/hub/hub.h"
#include "persister/batcher.h"
#include "persister/hot_chats.h"

namespace nightjar::persist {

// Answer with OnHubReply(tag, ...).
struct AskHub {
  uint64_t tag = 0;
  hub::Call call;
};
// Answer with OnStored(...). At most one is under way.
struct PutRecords {
  std::shared_ptr<const Records> records;
};
// For the memory of hot chats, in this order with the others. Nothing is answered.
struct Remember {
  std::vector<HotChats::Lease> leases;  // of all partitions; none: as they were
  std::vector<HotChats::Round> rounds;
};
struct Say {
  enum class Level { kInfo, kWarn, kError };
  Level level = Level::kInfo;
  std::string text;
};
using Action = std::variant<AskHub, PutRecords, Remember, Say>;
using Actions = std::vector<Action>;

class JournalConsumer {
 public:
  struct Options {
    std::string owner = "";  // unique per process life
    uint32_t partitions = 64;
    int64_t lease_ttl_ms = 5000;
    uint32_t read_count = 1024;     // of one partition in a round
    uint32_t read_bytes = 1 << 20;  // of a round
    int64_t poll_ms = 200;          // while something comes; back to back while there is a backlog
    int64_t idle_poll_ms = 1000;    // what poll_ms grows to when nothing comes
    int64_t retry_first_ms = 100;
    int64_t retry_cap_ms = 5000;
    uint64_t seed = 1;  // of the jitter
  };
  struct Counters {
    uint64_t rounds = 0;    // that trimmed something
    uint64_t stored = 0;    // records put (again, after a failed trim)
    uint64_t dead = 0;      // dead letters
    uint64_t failures = 0;  // rounds that ended in a wait
    uint64_t fenced = 0;    // partitions whose trim came from a lease that was no longer held
    uint64_t stalled = 0;   // times that a partition's dead letters were full
  };

  explicit JournalConsumer(Options options);

  // Call when NextWakeMs() has come; earlier does no harm.
  void Tick(int64_t now_ms, Actions& out);
  void OnHubReply(uint64_t tag, hub::Reply reply, int64_t now_ms, Actions& out);
  void OnStored(const Status& status, int64_t now_ms, Actions& out);
  // Which partitions to hold, by partition; the leases of others are let run out (giving them back
  // could be done late, after they were taken again). At first: all; and all if it were none.
  void Share(std::vector<bool> mine);
  // Ends after the round under way; then the leases are given back and stopped() holds.
  void Stop(int64_t now_ms, Actions& out);

  int64_t NextWakeMs() const;
  bool stopped() const { return stopped_; }
  bool leased_once() const { return leased_once_; }  // the hub has answered about leases
  bool leasing(int64_t now_ms) const {               // ... within the time that a lease is good for
    return leased_once_ && now_ms < leased_until_ms_;
  }
  uint32_t held(int64_t now_ms) const;  // partitions
  std::vector<uint32_t> HeldPartitions(int64_t now_ms) const;
  const Counters& counters() const { return counters_; }

 private:
  enum class Phase { kWaiting, kReading, kStoring, kLayingAside, kTrimming };
  struct Stall {
    bool on = false;       // its last dead letter found no place
    int64_t again_ms = 0;  // not read before
  };

  void Ask(hub::Call call, uint64_t& tag, Actions& out);
  void AskLeases(int64_t ttl_ms, int64_t now_ms, Actions& out);
  void OnLeases(const hub::Reply& reply, int64_t now_ms, Actions& out);
  void StartRound(int64_t now_ms, Actions& out);
  void OnRead(hub::ReadLogReply reply, int64_t now_ms, Actions& out);
  void PutNext(Actions& out);
  void LayAsideNext(Actions& out);
  void OnLaidAside(Actions& out);
  void StallPartition(int64_t now_ms, Actions& out);
  void RememberStored(Actions& out);
  hub::TrimLog::Upto& TrimOf(uint32_t partition);
  void OnTrimmed(const hub::TrimLogReply& reply, int64_t now_ms, Actions& out);
  void FailRound(const std::string& why, Say::Level level, int64_t now_ms, Actions& out);
  void EndRound(int64_t now_ms, Actions& out);

  const Options options_;
  Backoff backoff_;
  Phase phase_ = Phase::kWaiting;
  std::vector<bool> mine_;
  std::vector<HotChats::Lease> held_;
  std::vector<uint32_t> lease_asked_;  // partitions, of the call under way
  std::vector<Stall> stalls_;          // by partition
  uint64_t next_tag_ = 1;
  uint64_t lease_tag_ = 0, work_tag_ = 0;  // of the call under way; 0: none
  int64_t lease_asked_ms_ = 0, leased_until_ms_ = 0;
  int64_t next_lease_ms_ = 0;
  int64_t next_round_ms_ = 0;
  int64_t poll_ms_;
  uint32_t first_partition_ = 0;  // where reading begins: turns, so that no partition starves
  Batch batch_;
  std::vector<hub::TrimLog::Upto> trims_;
  size_t laid_aside_ = 0;
  bool failing_ = false, hub_away_ = false;
  bool stopping_ = false, giving_back_ = false, stopped_ = false, leased_once_ = false;
  Counters counters_;
};

}  // namespace nightjar::persist
