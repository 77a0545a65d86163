// What RocksDB has answered is there after a kill -9, and nothing is there by half. Also: errors of
// opening that an operator meets.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "persister/rocksdb_store.h"
#include "tests/contract/store/store_under_test.h"

namespace nightjar {
namespace {

constexpr int kBatch = 20;
constexpr uint64_t kBegun = uint64_t{1} << 32;

std::unique_ptr<RocksDbStore> MustOpen(const std::string& dir) {
  RocksDbStore::Options options;
  options.dir = dir;
  options.write_buffer_bytes = 1 << 20;  // files are written often, too
  auto opened = RocksDbStore::Open(options);
  if (!opened.ok()) {
    ADD_FAILURE() << opened.status().message();
    return nullptr;
  }
  return std::move(opened).value();
}

// Batch n: in chat n one message and one mark each, kBatch chats, all with id n.
std::vector<v1::JournalRecord> BatchOf(uint64_t n) {
  std::vector<v1::JournalRecord> batch;
  for (int i = 0; i < kBatch; ++i) {
    const std::string chat = "d:u:v" + std::to_string(i);
    batch.push_back(MessageRecord(chat, n, "u", std::string(200, 'a' + i)));
    batch.push_back(MarkRecord(chat, "u", n));
  }
  return batch;
}

// Runs in the child: puts batches from `from` on for ever, and writes each number to `out` before
// Put is asked (as kBegun + number), and when it has answered.
[[noreturn]] void PutForEver(const std::string& dir, uint64_t from, int out) {
  auto store = MustOpen(dir);
  if (!store) _exit(2);
  for (uint64_t n = from;; ++n) {
    const uint64_t begun = kBegun + n;
    if (write(out, &begun, sizeof begun) != sizeof begun) _exit(4);
    if (!store->Put(BatchOf(n)).ok()) _exit(3);
    if (write(out, &n, sizeof n) != sizeof n) _exit(4);
  }
}

pid_t Start(const std::string& dir, uint64_t from, int out) {
  const pid_t pid = fork();
  if (pid == 0) {
    // A fresh image: RocksDB's threads do not survive a fork.
    const std::string from_text = std::to_string(from);
    const std::string out_text = std::to_string(out);
    execl("/proc/self/exe", "store-child", "--put-for-ever", dir.c_str(), from_text.c_str(),
          out_text.c_str(), nullptr);
    _exit(5);
  }
  return pid;
}

TEST(StoreCrash, KilledInTheMiddleOfPut) {
  TempDir temp;
  const std::string dir = temp.path() + "/store";
  std::mt19937 random(20260101);
  uint64_t acknowledged = 0;
  for (int life = 0; life < 8; ++life) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t pid = Start(dir, acknowledged + 1, ends[1]);
    close(ends[1]);
    const uint64_t until = acknowledged + 1 + random() % 200;
    // Just after a Put was asked for, or just after one has answered: what follows is cut
    // somewhere.
    const uint64_t last = random() % 2 == 0 ? until : kBegun + until + 1;
    uint64_t n = 0;
    const auto next = [&] {
      if (read(ends[0], &n, sizeof n) != sizeof n) return false;
      if (n < kBegun) acknowledged = n;
      return true;
    };
    while (n != last && next()) {
    }
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    while (next()) {
    }
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    ASSERT_GE(acknowledged, until);

    auto store = MustOpen(dir);
    ASSERT_TRUE(store);
    const uint64_t newest = (*store->ReadChat("d:u:v0"))->last_msg_id;
    ASSERT_TRUE(newest == acknowledged || newest == acknowledged + 1)
        << newest << " after " << acknowledged;
    for (int i = 0; i < kBatch; ++i) {
      const std::string chat = "d:u:v" + std::to_string(i);
      const auto page = store->History({chat, 0, 0, 100'000});
      ASSERT_EQ(page->messages.size(), newest) << "a batch by half, or lost";
      for (uint64_t k = 0; k < newest; ++k) ASSERT_EQ(page->messages[k].msg_id(), k + 1);
      ASSERT_EQ((*store->ReadChat(chat))->delivered.at(0).second, newest);
    }
    acknowledged = newest;
  }
}

TEST(StoreOpen, ASecondOpenIsRefusedClearly) {
  TempDir temp;
  auto first = MustOpen(temp.path() + "/store");
  RocksDbStore::Options options;
  options.dir = temp.path() + "/store";
  const auto second = RocksDbStore::Open(options);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  EXPECT_NE(second.status().message().find("another process has it open"), std::string::npos)
      << second.status().message();
}

TEST(StoreOpen, DamageIsSaidAndNotSkipped) {
  TempDir temp;
  const std::string dir = temp.path() + "/store";
  {
    auto store = MustOpen(dir);
    for (uint64_t n = 1; n <= 300; ++n) ASSERT_TRUE(store->Put(BatchOf(n)).ok());
  }
  int damaged = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir)) {
    if (file.path().extension() != ".sst") continue;
    std::fstream stream(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(100);
    stream.write(std::string(400, '\x5a').data(), 400);
    ++damaged;
  }
  ASSERT_GT(damaged, 0);
  RocksDbStore::Options options;
  options.dir = dir;
  auto store = RocksDbStore::Open(options);
  if (!store.ok()) {
    EXPECT_EQ(store.status().code(), Code::kInternal) << store.status().message();
    return;
  }
  Status seen;
  for (int i = 0; i < kBatch && seen.ok(); ++i) {
    seen = (*store)->History({"d:u:v" + std::to_string(i), 0, 0, 100'000}).status();
  }
  EXPECT_EQ(seen.code(), Code::kInternal);
  EXPECT_NE(seen.message().find("damaged"), std::string::npos) << seen.message();
}

TEST(StoreOpen, ADirectoryThatCannotBe) {
  TempDir temp;
  std::ofstream(temp.path() + "/file") << "x";
  RocksDbStore::Options options;
  options.dir = temp.path() + "/file/store";
  const auto store = RocksDbStore::Open(options);
  ASSERT_FALSE(store.ok());
  EXPECT_NE(store.status().message().find(options.dir), std::string::npos);
}

}  // namespace
}  // namespace nightjar

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "--put-for-ever") == 0) {
    nightjar::PutForEver(argv[2], std::stoull(argv[3]), std::stoi(argv[4]));
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
