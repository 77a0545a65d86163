#include "plugin/hub_shell.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <thread>

namespace nightjar::plugin {
namespace {

using hub::Callback;
using hub::Failure;

// Answers when told to, on the caller's thread.
class ManualHub : public hub::Hub {
 public:
  void Submit(hub::Call, Callback done) override { waiting.push_back(std::move(done)); }
  void AnswerOne() {
    Callback done = std::move(waiting.front());
    waiting.pop_front();
    done(hub::Done{});
  }
  ~ManualHub() override {
    while (!waiting.empty()) AnswerOne();
  }
  std::deque<Callback> waiting;
};

// Answers at once, on a thread of its own.
class ThreadHub : public hub::Hub {
 public:
  ThreadHub() : thread_([this] { Run(); }) {}
  ~ThreadHub() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void Submit(hub::Call, Callback done) override {
    std::lock_guard lock(mutex_);
    calls_.push_back(std::move(done));
    changed_.notify_one();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stop_ || !calls_.empty(); });
      if (calls_.empty()) return;
      Callback done = std::move(calls_.front());
      calls_.pop_front();
      lock.unlock();
      done(hub::Done{});
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Callback> calls_;
  bool stop_ = false;
  std::thread thread_;
};

struct HubShellTest : ::testing::Test {
  std::atomic<int> wakes{0};
  HubShell shell{3, [this] { ++wakes; }};
  ManualHub* hub = nullptr;
  HubShell::Drained drained;

  void SetUp() override {
    auto owned = std::make_unique<ManualHub>();
    hub = owned.get();
    shell.Attach(std::move(owned));
  }
};

TEST_F(HubShellTest, RepliesComeBackInOrderWithTheirTokensAndWakeTheOwner) {
  shell.Ask(7, hub::Info{});
  shell.Ask(8, hub::Info{});
  shell.Drain(drained);
  EXPECT_TRUE(drained.replies.empty());
  EXPECT_EQ(wakes, 0);
  hub->AnswerOne();
  hub->AnswerOne();
  EXPECT_EQ(wakes, 2);
  shell.Drain(drained);
  ASSERT_EQ(drained.replies.size(), 2u);
  EXPECT_EQ(drained.replies[0].token, 7u);
  EXPECT_EQ(drained.replies[1].token, 8u);
  EXPECT_EQ(shell.under_way(), 0u);
}

TEST_F(HubShellTest, BeyondTheBoundACallIsRefusedAsFullAndNothingIsLost) {
  for (uint64_t token = 1; token <= 5; ++token) shell.Ask(token, hub::Info{});
  EXPECT_EQ(hub->waiting.size(), 3u);
  EXPECT_EQ(shell.under_way(), 3u);
  EXPECT_EQ(wakes, 2) << "a refusal is a reply too: somebody must come and fetch it";
  shell.Drain(drained);
  ASSERT_EQ(drained.replies.size(), 2u);
  EXPECT_EQ(drained.replies[0].token, 4u);
  EXPECT_EQ(std::get<Failure>(drained.replies[0].reply).kind, Failure::Kind::kFull);
  while (!hub->waiting.empty()) hub->AnswerOne();
  shell.Drain(drained);
  EXPECT_EQ(drained.replies.size(), 3u);
}

// An answered call takes a place until it has been drained: the queue of replies cannot overflow.
TEST_F(HubShellTest, AnsweredButNotDrainedStillCounts) {
  for (uint64_t token = 1; token <= 3; ++token) shell.Ask(token, hub::Info{});
  while (!hub->waiting.empty()) hub->AnswerOne();
  shell.Ask(4, hub::Info{});
  EXPECT_TRUE(hub->waiting.empty());
  shell.Drain(drained);
  ASSERT_EQ(drained.replies.size(), 4u);
  EXPECT_TRUE(std::holds_alternative<Failure>(drained.replies[3].reply));
  shell.Ask(5, hub::Info{});
  EXPECT_EQ(hub->waiting.size(), 1u);
}

TEST_F(HubShellTest, ChangesOfTheConnectionAreToldOnceAndInTheirOrder) {
  shell.LinkUp({"not durable"});
  shell.Drain(drained);
  EXPECT_FALSE(drained.down);
  EXPECT_TRUE(drained.up);
  EXPECT_EQ(drained.warnings, std::vector<std::string>{"not durable"});
  shell.Drain(drained);
  EXPECT_FALSE(drained.up);

  shell.LinkDown("first");
  shell.LinkUp({});
  shell.LinkDown("second");
  shell.LinkUp({});
  shell.Drain(drained);  // broke, and is up: however often
  ASSERT_TRUE(drained.down);
  EXPECT_EQ(drained.down->reason, "second");
  EXPECT_TRUE(drained.up);

  shell.LinkUp({});
  shell.LinkDown("third", true);
  shell.Drain(drained);
  ASSERT_TRUE(drained.down);
  EXPECT_EQ(drained.down->reason, "third");
  EXPECT_TRUE(drained.down->partly);
  EXPECT_FALSE(drained.up);
}

hub::Relayed Kick(const std::string& uid) { return hub::RelayedKick{uid, "p", 1, "b1#1"}; }

TEST_F(HubShellTest, WhatIsRelayedComesAfterRepliesAndInOrder) {
  shell.RelayUp();
  shell.Relayed(Kick("a"));
  shell.Relayed(Kick("b"));
  EXPECT_EQ(wakes, 3);
  shell.Drain(drained);
  EXPECT_TRUE(drained.relay_up);
  EXPECT_FALSE(drained.relay_overflow);
  ASSERT_EQ(drained.relayed.size(), 2u);
  EXPECT_EQ(std::get<hub::RelayedKick>(drained.relayed[0]).uid, "a");
  EXPECT_EQ(std::get<hub::RelayedKick>(drained.relayed[1]).uid, "b");
  shell.Drain(drained);
  EXPECT_FALSE(drained.relay_up);
  EXPECT_TRUE(drained.relayed.empty());
}

TEST_F(HubShellTest, AFloodIsTakenInSlicesAndWhatIsLostIsTold) {
  const hub::RelayedEntry big{std::string(16 << 20, 'x'), {{"a", 1}}};
  for (int i = 0; i < 4; ++i) shell.Relayed(big);  // 64 MiB and a little
  shell.Drain(drained);
  EXPECT_TRUE(drained.relay_up && drained.relay_overflow);
  EXPECT_EQ(drained.relayed.size(), 3u);

  constexpr int kMany = 1200;
  for (int i = 0; i < kMany; ++i) shell.Relayed(Kick("a"));
  int got = 0;
  for (int rounds = 1; got < kMany; ++rounds) {
    ASSERT_LE(rounds, 10);
    const int before = wakes;
    shell.Drain(drained);
    got += static_cast<int>(drained.relayed.size());
    EXPECT_EQ(wakes - before, got < kMany ? 1 : 0) << "somebody must come for the rest";
    EXPECT_FALSE(drained.relay_up);
  }
}

TEST(RelayQueue, IsBoundedInNumberToo) {
  RelayQueue queue(2, 1 << 20);
  EXPECT_TRUE(queue.Push(Kick("a")));
  EXPECT_TRUE(queue.Push(Kick("b")));
  EXPECT_FALSE(queue.Missed());
  EXPECT_FALSE(queue.Push(Kick("c")));
  EXPECT_TRUE(queue.Missed());
  EXPECT_FALSE(queue.Missed());
  std::vector<hub::Relayed> out;
  EXPECT_TRUE(queue.Take(out, 1));
  EXPECT_TRUE(queue.Push(Kick("d")));
  EXPECT_FALSE(queue.Take(out, 5));
  EXPECT_EQ(out.size(), 2u);
}

TEST_F(HubShellTest, StopLetsTheHubAnswerWhatIsUnderWay) {
  shell.Ask(1, hub::Info{});
  shell.Stop();
  shell.Ask(2, hub::Info{});
  shell.Drain(drained);
  ASSERT_EQ(drained.replies.size(), 2u);
  EXPECT_EQ(drained.replies[0].token, 1u);
  EXPECT_EQ(std::get<Failure>(drained.replies[1].reply).kind, Failure::Kind::kUnavailable);
  shell.Stop();
}

// For ThreadSanitizer, and for the promise: every call has exactly one reply.
TEST(HubShellThreads, EveryCallIsAnsweredOnceWhateverTheTiming) {
  std::mutex mutex;
  std::condition_variable woken;
  bool pending = false;
  HubShell shell(64, [&] {
    std::lock_guard lock(mutex);
    pending = true;
    woken.notify_one();
  });
  shell.Attach(std::make_unique<ThreadHub>());
  constexpr uint64_t kCalls = 20'000;
  std::vector<int> answers(kCalls, 0);
  uint64_t next = 0, done = 0, refused = 0;
  HubShell::Drained drained;
  while (done < kCalls) {
    for (int burst = 0; burst < 100 && next < kCalls; ++burst) shell.Ask(next++, hub::Info{});
    {
      std::unique_lock lock(mutex);
      woken.wait(lock, [&] { return pending; });
      pending = false;
    }
    shell.Drain(drained);
    for (const auto& reply : drained.replies) {
      ++answers[reply.token];
      ++done;
      if (std::holds_alternative<Failure>(reply.reply)) ++refused;
    }
  }
  for (const int count : answers) ASSERT_EQ(count, 1);
  EXPECT_LT(refused, kCalls);
  EXPECT_EQ(shell.under_way(), 0u);
}

}  // namespace
}  // namespace nightjar::plugin
