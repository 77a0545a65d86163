#include "common/base/bounded_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace nightjar {
namespace {

TEST(BoundedQueue, RefusesWhenFullAndLeavesTheItemToItsOwner) {
  BoundedQueue<std::unique_ptr<int>> queue(2);
  EXPECT_TRUE(queue.TryPush(std::make_unique<int>(1)));
  EXPECT_TRUE(queue.TryPush(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(queue.TryPush(std::move(third)));
  ASSERT_NE(third, nullptr);  // NOLINT(bugprone-use-after-move): the promise under test
  EXPECT_EQ(*third, 3);
  EXPECT_EQ(queue.size(), 2u);
}

TEST(BoundedQueue, DrainsInOrderAndHasRoomAgain) {
  BoundedQueue<int> queue(3);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue.TryPush(int{i}));
  std::vector<int> out = {99};
  queue.Drain(out);
  EXPECT_EQ(out, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_TRUE(queue.TryPush(7));
  queue.Drain(out);
  EXPECT_EQ(out, std::vector<int>{7});
}

TEST(BoundedQueue, OfNoCapacityTakesNothing) {
  BoundedQueue<int> queue(0);
  EXPECT_FALSE(queue.TryPush(1));
}

TEST(BoundedQueue, LosesNothingBetweenThreads) {
  constexpr int kThreads = 3, kEach = 20'000;
  BoundedQueue<int> queue(64);
  std::vector<std::thread> producers;
  for (int t = 0; t < kThreads; ++t) {
    producers.emplace_back([&queue, t] {
      for (int i = 0; i < kEach; ++i) {
        int item = t * kEach + i;
        while (!queue.TryPush(std::move(item))) std::this_thread::yield();
      }
    });
  }
  std::vector<int> last(kThreads, -1), batch;
  size_t seen = 0;
  while (seen < size_t{kThreads} * kEach) {
    queue.Drain(batch);
    EXPECT_LE(batch.size(), queue.capacity());
    seen += batch.size();
    for (const int item : batch) {  // of each producer in its order
      EXPECT_EQ(item % kEach, last[static_cast<size_t>(item / kEach)] + 1);
      last[static_cast<size_t>(item / kEach)] = item % kEach;
    }
    if (batch.empty()) std::this_thread::yield();
  }
  for (std::thread& producer : producers) producer.join();
}

}  // namespace
}  // namespace nightjar
