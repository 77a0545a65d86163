#include "common/base/backoff.h"

#include <gtest/gtest.h>

namespace nightjar {
namespace {

TEST(Backoff, GrowsByDoublingToItsCapAndStaysWithinTheStep) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(100, 1500, seed);
    for (const int64_t step : {100, 200, 400, 800, 1500, 1500, 1500}) {
      const int64_t wait = backoff.NextMs();
      EXPECT_GE(wait, step / 2);
      EXPECT_LE(wait, step);
    }
  }
}

TEST(Backoff, StartsAnewAfterReset) {
  Backoff backoff(100, 10'000, 7);
  for (int i = 0; i < 6; ++i) backoff.NextMs();
  backoff.Reset();
  EXPECT_LE(backoff.NextMs(), 100);
}

TEST(Backoff, IsRepeatableBySeedAndDiffersBetweenSeeds) {
  Backoff one(1000, 100'000, 2), same(1000, 100'000, 2), other(1000, 100'000, 98'765);
  bool differs = false;
  for (int i = 0; i < 8; ++i) {
    const int64_t wait = one.NextMs();
    EXPECT_EQ(wait, same.NextMs());
    differs = differs || wait != other.NextMs();
  }
  EXPECT_TRUE(differs);
}

TEST(Backoff, TakesTheSmallestSteps) {
  Backoff backoff(1, 1, 3);
  for (int i = 0; i < 10; ++i) {
    const int64_t wait = backoff.NextMs();
    EXPECT_GE(wait, 0);
    EXPECT_LE(wait, 1);
  }
}

}  // namespace
}  // namespace nightjar
