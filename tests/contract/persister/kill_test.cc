// The real persister process on a real Redis, killed in the middle of the load again and again: in
// the end the store holds every journalled message once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "common/hub/redis/testing.h"
#include "common/hub/sync_call.h"
#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "persister/rocksdb_store.h"
#include "tests/contract/store/store_under_test.h"

namespace nightjar {
namespace {

// Messages between a few people, as fast as the hub takes them.
class Load {
 public:
  explicit Load(hub::Hub& hub) : hub_(hub), thread_([this] { Run(); }) {}
  ~Load() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::map<std::string, std::set<MsgId>> Accepted() {
    std::lock_guard lock(mutex_);
    return accepted_;
  }
  // Waits for so many more messages to be accepted; false: the load has ended before.
  bool Wait(uint64_t more) {
    std::unique_lock lock(mutex_);
    const uint64_t until = count_ + more;
    moved_.wait(lock, [&] { return count_ >= until || !running_; });
    return count_ >= until;
  }

 private:
  void Run() {
    SendAll();
    std::lock_guard lock(mutex_);
    running_ = false;
    moved_.notify_all();
  }
  void SendAll() {
    std::mt19937 random(3);
    for (uint64_t n = 1; !stop_; ++n) {
      const std::string from = "u" + std::to_string(random() % 8);
      const std::string to = "u" + std::to_string(random() % 8);
      hub::Send send;
      send.chat = DirectChatId(from, to);
      send.author = from;
      send.device = "phone";
      send.client_msg_id = n;
      send.received_ms = 1;
      send.broker = "b1#1";
      send.members = {std::min(from, to)};
      if (from != to) send.members.push_back(std::max(from, to));
      v1::Message message;
      message.set_chat_id(send.chat);
      message.set_author(from);
      message.set_text("message " + std::to_string(n));
      send.shared = send.own = MessageTemplate(message);
      const std::string chat = send.chat;
      const auto reply = hub::CallAndWait(hub_, std::move(send));
      const auto* sent = std::get_if<hub::SendReply>(&reply);
      if (sent == nullptr || sent->outcome != hub::SendReply::Outcome::kAccepted) {
        ADD_FAILURE() << "not accepted: "
                      << (sent ? std::to_string(static_cast<int>(sent->outcome))
                               : std::get<hub::Failure>(reply).message);
        return;
      }
      std::lock_guard lock(mutex_);
      accepted_[chat].insert(sent->msg_id);
      ++count_;
      moved_.notify_all();
    }
  }
  hub::Hub& hub_;
  std::mutex mutex_;
  std::map<std::string, std::set<MsgId>> accepted_;
  std::condition_variable moved_;
  uint64_t count_ = 0;
  bool running_ = true;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class Persister {
 public:
  Persister(const hub::RedisOptions& redis, const std::string& dir) {
    const std::string ready = dir + "/ready";  // a pipe: what is written there can be waited for
    std::filesystem::remove(ready);
    if (mkfifo(ready.c_str(), 0600) != 0) return;
    const int pipe = open(ready.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const std::string hub = redis.unix_path.empty() ? redis.host + ":" + std::to_string(redis.port)
                                                    : "unix:" + redis.unix_path;
    const std::string log = dir + "/log";
    const std::string store = dir + "/store";
    pid_ = fork();
    if (pid_ == 0) {
      const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      dup2(fd, 2);
      execl(NIGHTJAR_PERSISTER, "nightjar-persister", "--redis", hub.c_str(), "--data",
            store.c_str(), "--ready-file", ready.c_str(), "--lease-ttl-ms", "300", nullptr);
      _exit(127);
    }
    const int life = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    pollfd ends[] = {{pipe, POLLIN, 0}, {life, POLLIN, 0}};
    ready_ = poll(ends, 2, 60'000) > 0 && (ends[0].revents & POLLIN) != 0;
    close(life);
    close(pipe);
  }
  ~Persister() { End(SIGKILL); }
  bool ready() const { return ready_; }
  int End(int with) {
    if (pid_ <= 0) return -1;
    kill(pid_, with);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  bool ready_ = false;
};

size_t JournalSize(hub::Hub& hub) {
  hub::ReadLog read;
  for (uint32_t p = 0; p < 64; ++p) read.partitions.push_back(p);
  read.count = 1;
  const auto reply = hub::CallAndWait(hub, read);
  const auto* log = std::get_if<hub::ReadLogReply>(&reply);
  if (log == nullptr) return 1;
  size_t size = 0;
  for (const auto& slice : log->slices) size += slice.end - slice.first;
  return size;
}

TEST(PersisterKilled, EveryJournalledMessageIsStoredOnce) {
  hub::TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  TempDir temp;
  const auto probe = hub::Probe(redis.options());
  ASSERT_TRUE(probe.ok()) << probe.status().message();
  hub::RedisHub hub(redis.options());
  Load load(hub);
  std::mt19937 random(std::random_device{}());
  for (int life = 0; life < 6; ++life) {
    Persister persister(redis.options(), temp.path());
    ASSERT_TRUE(persister.ready());
    ASSERT_TRUE(load.Wait(200 + random() % 1500));  // wherever that finds it
    persister.End(SIGKILL);
  }
  Persister last(redis.options(), temp.path());
  ASSERT_TRUE(last.ready());
  load.Stop();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (JournalSize(hub) > 0) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  EXPECT_EQ(last.End(SIGTERM), 0) << "a clean end";
  hub.Stop();

  RocksDbStore::Options options;
  options.dir = temp.path() + "/store";
  auto store = RocksDbStore::Open(options);
  ASSERT_TRUE(store.ok()) << store.status().message();
  size_t total = 0;
  for (const auto& [chat, ids] : load.Accepted()) {
    const auto page = (*store)->History({chat, 0, 0, 10'000'000});
    ASSERT_TRUE(page.ok());
    std::vector<MsgId> stored;
    for (const auto& message : page->messages) stored.push_back(message.msg_id());
    ASSERT_EQ(stored, std::vector<MsgId>(ids.begin(), ids.end())) << chat;
    total += ids.size();
  }
  EXPECT_GT(total, 1200u);
}

}  // namespace
}  // namespace nightjar
