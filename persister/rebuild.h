// Fills a hub that has lost its data from the store: every chat with its members, marks, newest id
// and repeat windows, every user with names, chat list, registrations and mutes.
//
// What the store lacks and a journal still has is stored first. Partitions are closed from the
// beginning to the end (hub/keeping.h): a run that ends early leaves them so, and the next one
// begins anew, to the same effect. No persister may be running meanwhile: what it was about to
// store when the hub was lost might come after it has been looked for.
//
// Threads: Run blocks the caller's; the rest of a Rebuilder belongs to the same one.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/hub/hub.h"
#include "persister/store.h"

namespace nightjar::persist {

class Rebuilder {
 public:
  struct Options {
    uint32_t partitions = 0;
    int64_t now_ms = 0;          // Unix; who left long before it, and mutes over by then, stay away
    size_t calls = 1000;         // under way at a time
    uint32_t page = 500;         // messages read at once
    std::function<bool()> stop;  // asked now and then: true ends the run; empty: never
  };
  struct Counts {
    uint64_t records = 0;  // of journals, stored first
    uint64_t bad = 0;      // of them, that cannot be stored: the persister will lay them aside
    uint64_t chats = 0, messages = 0, users = 0;
  };
  // Called on the thread of Run whenever some more is done.
  using Progress = std::function<void(const Counts&)>;

  // Both must outlive this. Over Redis the hub's options say `rebuilding`.
  Rebuilder(Options options, hub::Hub& hub, Store& store, Progress progress = {});

  // kUnavailable: the hub or the store is away, or it was told to stop: run it again.
  Status Run();
  // Opens what is closed as it is. What was not brought back is missing then.
  Status Open() { return SetClosed(false); }

  const Counts& counts() const { return counts_; }

 private:
  // Calls under way; outlives this in the hub's callbacks.
  struct UnderWay {
    std::mutex mutex;
    std::condition_variable changed;
    size_t calls = 0;
    Status failed;
  };

  Status SetClosed(bool closed);
  Status StoreJournals();
  Status StoreJournal(uint32_t partition);
  Status StoreAll(std::vector<v1::JournalRecord> records);
  Status Walk(Store::Named what, const std::function<Status(const std::string&)>& each);
  Status Chat(const std::string& chat_id);
  Status User(const std::string& uid);
  // Waits for room; then the call is under way. The first failure is what all later ones return.
  Status Submit(hub::Call call);
  Status WaitForAll();
  Status Tell();

  const Options options_;
  hub::Hub& hub_;
  Store& store_;
  const Progress progress_;
  const std::shared_ptr<UnderWay> under_way_;
  Counts counts_;
};

// Of the first chats that the store names, one that the hub does not know: it has lost them, and
// goes on without. Empty: none.
Result<std::string> LostByHub(hub::Hub& hub, Store& store);

}  // namespace nightjar::persist
