#include "persister/journal_worker.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "persister/hub_reader.h"
#include "tests/unit/persister/reader_world.h"

namespace nightjar::persist {
namespace {

// Tells when so many messages of a chat are stored.
class WatchedStore : public fakes::MemoryStore {
 public:
  Status Put(const std::vector<v1::JournalRecord>& records) override {
    const Status status = fakes::MemoryStore::Put(records);
    std::lock_guard lock(mutex_);
    stored_ += records.size();
    changed_.notify_all();
    return status;
  }
  void WaitFor(size_t records) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stored_ >= records; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t stored_ = 0;
};

TEST(JournalWorker, StoresWhatComesAndEndsCleanly) {
  ReaderWorld world;  // its hub, not its store
  WatchedStore store;
  JournalConsumer::Options options;
  options.owner = "p1#1";
  options.partitions = kReaderPartitions;
  options.poll_ms = options.idle_poll_ms = 5;
  JournalWorker worker(options, world.hub, store, nullptr, [](const Say&) {});
  worker.Start();
  for (int i = 0; i < 50; ++i) ASSERT_NE(world.Say("alice", "d:alice:bob", "x", 0), 0u);
  store.WaitFor(50);
  EXPECT_TRUE(worker.Stop(10'000));
  EXPECT_TRUE(worker.leased_once());
  EXPECT_EQ(worker.counters().stored, 50u);
  EXPECT_EQ(store.History({"d:alice:bob", 0, 0, 100})->messages.size(), 50u);
  hub::Lease lease{.role = hub::Role::kPersist, .owner = "next", .partitions = {0, 1, 2, 3}};
  const auto leased = std::get<hub::LeaseReply>(world.hub.Do(lease));
  for (const uint64_t token : leased.tokens) EXPECT_NE(token, 0u) << "given back";
}

// Keeps the callbacks and answers nothing.
class SilentHub : public hub::Hub {
 public:
  void Submit(hub::Call, hub::Callback done) override { waiting.push_back(std::move(done)); }
  std::vector<hub::Callback> waiting;
};

TEST(HubReader, WaitsNoLongerThanTold) {
  SilentHub hub;
  {
    HubReader reader(hub, 20);
    const auto reply = reader.AskOne<hub::InfoReply>(hub::Info{});
    EXPECT_EQ(reply.status().code(), Code::kUnavailable);
  }
  hub.waiting.at(0)(hub::InfoReply{});  // late: nobody is there any more
}

TEST(JournalWorker, GivesUpOnAHubThatDoesNotAnswer) {
  SilentHub hub;
  WatchedStore store;
  JournalConsumer::Options options;
  options.owner = "p1#1";
  options.partitions = kReaderPartitions;
  {
    JournalWorker worker(options, hub, store, nullptr, [](const Say&) {});
    worker.Start();
    EXPECT_FALSE(worker.Stop(20));
  }
  for (auto& done : hub.waiting) done(hub::Failure{});
}

}  // namespace
}  // namespace nightjar::persist
