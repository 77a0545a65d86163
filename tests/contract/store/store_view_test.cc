// The RocksDB store read and backed up by others while it is written, flushed and compacted.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "persister/rocksdb_backup.h"
#include "persister/rocksdb_store.h"
#include "tests/contract/store/store_under_test.h"

namespace nightjar {
namespace {

constexpr char kChat[] = "d:alice:bob";
constexpr size_t kBatch = 20;

class StoreView : public testing::Test {
 protected:
  StoreView() {
    options_.dir = dir_.path() + "/store";
    options_.write_buffer_bytes = 256 << 10;
    auto opened = RocksDbStore::Open(options_);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(opened).value();
  }
  ~StoreView() override { Stop(); }
  // Ids 1, 2, 3 …, in other chats too, until Stop.
  void Write() {
    writer_ = std::thread([this] {
      for (MsgId next = 1; !stop_; next += kBatch) {
        std::vector<v1::JournalRecord> records;
        for (MsgId id = next; id < next + kBatch; ++id) {
          records.push_back(MessageRecord(kChat, id, "alice", std::string(300, 'x')));
          records.push_back(MessageRecord("d:a:u" + std::to_string(id % 50), id, "a"));
        }
        records.push_back(MarkRecord(kChat, "bob", next));
        ASSERT_TRUE(store_->Put(records).ok());
        written_ = next + kBatch - 1;
        if (next % 50 == 1) {
          ASSERT_TRUE(store_->Compact().ok());
        }
      }
    });
    while (written_ == 0) std::this_thread::yield();
  }
  void Stop() {
    stop_ = true;
    if (writer_.joinable()) writer_.join();
  }
  // The newest id, after a look that all of them are there.
  static MsgId Check(Store& store) {
    const auto page = store.History({kChat, 0, 0, 1'000'000});
    EXPECT_TRUE(page.ok()) << page.status().message();
    if (!page.ok() || page->messages.empty()) return 0;
    MsgId id = 0;
    for (const auto& message : page->messages) EXPECT_EQ(message.msg_id(), ++id);
    EXPECT_EQ(id % kBatch, 0u) << "half a batch";
    const auto chat = store.ReadChat(kChat);
    EXPECT_EQ((*chat)->last_msg_id, id);
    EXPECT_EQ((*chat)->delivered.at(0).second, id - kBatch + 1);
    return id;
  }

  TempDir dir_;
  RocksDbStore::Options options_;
  std::unique_ptr<RocksDbStore> store_;
  std::thread writer_;
  std::atomic<bool> stop_{false};
  std::atomic<MsgId> written_{0};
};

TEST_F(StoreView, WhoReadsAlongSeesAWholeMomentThatStays) {
  Write();
  const auto begun = std::chrono::steady_clock::now();
  for (int views = 0; views < 20;) {
    const MsgId least = written_;
    const auto view = RocksDbStore::OpenToRead(options_);
    if (!view.ok()) {  // to be tried again, but not for ever
      ASSERT_EQ(view.status().code(), Code::kUnavailable) << view.status().message();
      ASSERT_LT(std::chrono::steady_clock::now() - begun, std::chrono::minutes(1));
      continue;
    }
    ++views;
    const MsgId newest = Check(**view);
    EXPECT_GE(newest, least);
    EXPECT_EQ(Check(**view), newest);
    EXPECT_FALSE((*view)->Put({MessageRecord(kChat, 1, "alice")}).ok());
  }
  Stop();
  EXPECT_EQ(Check(*store_), written_);
}

TEST_F(StoreView, EveryBackupIsAWholeMoment) {
  Write();
  std::vector<MsgId> least;
  const std::string backups = dir_.path() + "/backups";
  for (int i = 0; i < 5; ++i) {
    least.push_back(written_);
    const auto backup = store_->BackUp({backups, 0, 0, {}});
    ASSERT_TRUE(backup.ok()) << backup.status().message();
    EXPECT_EQ(backup->number, least.size());
  }
  Stop();
  MsgId last = 0;
  for (uint32_t number = 1; number <= least.size(); ++number) {
    RocksDbStore::Options options = options_;
    options.dir = dir_.path() + "/restored" + std::to_string(number);
    const auto restored = storage::Restore(backups, number, options.dir);
    ASSERT_TRUE(restored.ok()) << restored.status().message();
    const auto store = RocksDbStore::Open(options);
    ASSERT_TRUE(store.ok()) << store.status().message();
    const MsgId newest = Check(**store);
    EXPECT_GE(newest, least[number - 1]);
    EXPECT_GE(newest, last);
    last = newest;
  }
}

TEST_F(StoreView, ABackupThatIsToldToStopLeavesTheOthers) {
  const std::string backups = dir_.path() + "/backups";
  for (const char* within : {"", "/backups"}) {
    EXPECT_EQ(store_->BackUp({options_.dir + within, 0, 0, {}}).status().code(),
              Code::kInvalidArgument);
  }
  ASSERT_TRUE(store_->BackUp({backups, 0, 0, {}}).ok());
  std::mt19937 random(7);
  std::vector<v1::JournalRecord> records;  // too many bytes to be copied between two looks
  for (MsgId id = 1; id <= 400; ++id) {
    std::string text(16 << 10, ' ');
    for (char& c : text) c = static_cast<char>('0' + random() % 64);
    records.push_back(MessageRecord(kChat, id, "alice", text));
  }
  ASSERT_TRUE(store_->Put(records).ok());
  const auto stopped = store_->BackUp({backups, 0, 0, [] { return true; }});
  EXPECT_FALSE(stopped.ok());
  const auto listed = storage::ListBackups(backups);
  ASSERT_TRUE(listed.ok());
  EXPECT_EQ(listed->size(), 1u);
  EXPECT_TRUE(store_->BackUp({backups, 1, 0, {}}).ok());
  EXPECT_EQ(storage::ListBackups(backups)->size(), 1u);
}

}  // namespace
}  // namespace nightjar
