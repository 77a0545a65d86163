// The thread that does what the JournalConsumer decides.
//
// Threads: the consumer belongs to the worker's own thread. Put has a second one, so that leases
// are renewed however long a store takes; what it says, and replies of the hub, come back through a
// mailbox. The other methods: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "common/hub/hub.h"
#include "persister/hot_chats.h"
#include "persister/journal_consumer.h"
#include "persister/mailbox.h"
#include "persister/store.h"

namespace nightjar::persist {

class JournalWorker {
 public:
  // `hub`, `store` and `hot` (null: nothing is remembered) must outlive the worker; `say` is called
  // on its thread.
  JournalWorker(JournalConsumer::Options options, hub::Hub& hub, Store& store, HotChats* hot,
                std::function<void(const Say&)> say);
  ~JournalWorker();  // as Stop(0), if nobody stopped it

  void Start();
  // Finishes the round under way and gives the leases back, for at most `most_ms`, and then for as
  // long as a Put under way takes. False: gave up (the leases then run out by themselves).
  bool Stop(int64_t most_ms);

  // As JournalConsumer's; the next time that it is asked, at the latest after a second.
  void Share(std::vector<bool> mine);
  bool leased_once() const { return leased_once_; }
  bool leasing() const { return leasing_; }    // as of the last second or so
  JournalConsumer::Counters counters() const;  // as of the last round
  std::vector<uint32_t> held() const;          // partitions, likewise

 private:
  struct Answer {
    uint64_t tag = 0;
    hub::Reply reply;
    std::optional<Status> stored;  // the store's rather than the hub's
  };
  void Run();
  void StoreAll();
  void Do(Actions actions);
  void TakeShare();
  void Publish();

  JournalConsumer consumer_;
  hub::Hub& hub_;
  Store& store_;
  HotChats* const hot_;
  const std::function<void(const Say&)> say_;
  std::shared_ptr<Mailbox<Answer>> answers_;  // outlives the worker in the hub's callbacks
  std::atomic<int64_t> stop_at_ms_{-1};       // mono; by when to give up; -1: run
  std::atomic<bool> leased_once_{false}, leasing_{false};
  std::mutex share_mutex_;
  std::optional<std::vector<bool>> share_;  // to be handed over
  std::atomic<bool> stopped_cleanly_{false};
  mutable std::mutex counters_mutex_;
  JournalConsumer::Counters counters_;
  std::vector<uint32_t> held_;
  Mailbox<PutRecords> puts_;
  std::thread thread_, storing_;
};

}  // namespace nightjar::persist
