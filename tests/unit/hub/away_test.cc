// The hub while Redis is not there: every call answered once, in order, bounded in number and time.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "common/hub/redis/redis_hub.h"
#include "common/hub/sync_call.h"

namespace nightjar::hub {
namespace {

RedisOptions Nowhere() {
  RedisOptions options;
  options.unix_path = "/nonexistent/redis.sock";
  options.call_timeout_ms = 150;
  options.drain_ms = 10'000;
  return options;
}

// Collects answers, by the number of the call.
struct Answers {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<int, Failure::Kind>> list;

  Callback For(int number) {
    return [this, number](Reply reply) {
      std::lock_guard lock(mutex);
      const Failure* failure = std::get_if<Failure>(&reply);
      ASSERT_NE(failure, nullptr);
      list.emplace_back(number, failure->kind);
      changed.notify_all();
    };
  }
  void WaitFor(size_t count) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(10),
                                 [&] { return list.size() >= count; }));
  }
};

TEST(Away, CallsFailAfterTheirTimeOnceAndInOrder) {
  RedisHub hub(Nowhere());
  Answers answers;
  for (int i = 0; i < 100; ++i) hub.Submit(Info{}, answers.For(i));
  answers.WaitFor(100);
  hub.Stop();
  ASSERT_EQ(answers.list.size(), 100u);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(answers.list[static_cast<size_t>(i)],
              std::pair(i, Failure::Kind::kUnavailable));
  }
  EXPECT_EQ(hub.stats().calls, 0u);
  EXPECT_EQ(hub.stats().bytes, 0u);
}

TEST(Away, BeyondTheBoundsIsFull) {
  RedisOptions options = Nowhere();
  options.max_calls = 3;
  RedisHub hub(options);
  Answers answers;
  for (int i = 0; i < 5; ++i) hub.Submit(Info{}, answers.For(i));
  answers.WaitFor(5);
  hub.Stop();
  int full = 0;
  for (const auto& [number, kind] : answers.list) {
    if (kind == Failure::Kind::kFull) {
      ++full;
      EXPECT_GE(number, 3);
    }
  }
  EXPECT_EQ(full, 2);
}

TEST(Away, BytesAreBoundedToo) {
  RedisOptions options = Nowhere();
  options.max_bytes = 100'000;
  RedisHub hub(options);
  Answers answers;
  PutDeadLetter big;
  big.record = std::string(60'000, 'x');
  hub.Submit(big, answers.For(0));
  hub.Submit(big, answers.For(1));
  answers.WaitFor(2);
  hub.Stop();
  EXPECT_EQ(answers.list[0], std::pair(1, Failure::Kind::kFull));
  EXPECT_EQ(answers.list[1], std::pair(0, Failure::Kind::kUnavailable));
}

TEST(Away, StoppingAnswersEverythingBeforeItReturns) {
  RedisOptions options = Nowhere();
  options.call_timeout_ms = 60'000;
  options.drain_ms = 0;
  RedisHub hub(options);
  Answers answers;
  for (int i = 0; i < 10; ++i) hub.Submit(Info{}, answers.For(i));
  hub.Stop();
  EXPECT_EQ(answers.list.size(), 10u);
  hub.Submit(Info{}, answers.For(10));
  EXPECT_EQ(answers.list.size(), 11u);
}

TEST(Away, DownIsToldOnceWithItsReason) {
  std::mutex mutex;
  std::vector<RedisHub::Status> told;
  {
    RedisHub hub(Nowhere(), [&](const RedisHub::Status& status) {
      std::lock_guard lock(mutex);
      told.push_back(status);
    });
    CallAndWait(hub, Info{});  // takes its whole time: several tries to connect
  }
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(told[0].up);
  EXPECT_NE(told[0].reason.find("/nonexistent/redis.sock"), std::string::npos);
}

TEST(Away, ProbeSaysInOneLineThatNobodyIsThere) {
  const auto probe = Probe(Nowhere());
  ASSERT_FALSE(probe.ok());
  EXPECT_EQ(probe.status().code(), Code::kUnavailable);
  EXPECT_EQ(probe.status().message().find('\n'), std::string::npos);
}

}  // namespace
}  // namespace nightjar::hub
