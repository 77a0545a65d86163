#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

#include "client-sim/chaos/schedule.h"

namespace nightjar::chaos {
namespace {

constexpr size_t kThree = 3;

std::vector<Fault> Made(int64_t seconds, uint64_t seed, size_t processes = kThree) {
  return MakeSchedule({.processes = processes, .length_ms = seconds * 1000, .seed = seed});
}

TEST(ChaosSchedule, TheSameSeedGivesTheSameFaults) {
  EXPECT_EQ(Made(120, 7), Made(120, 7));
  EXPECT_NE(Made(120, 7), Made(120, 8));
}

TEST(ChaosSchedule, EveryProcessIsKilledAtLeastTenTimesInTwoMinutesWhateverTheSeed) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::array<std::map<Hurt, int>, kThree> count;
    for (const Fault& fault : Made(120, seed)) ++count[fault.process][fault.hurt];
    for (auto& one : count) {
      EXPECT_GE(one[Hurt::kKill], 10) << "seed " << seed;
      EXPECT_GE(one[Hurt::kPause] + one[Hurt::kStop], 4) << "seed " << seed;
    }
  }
}

TEST(ChaosSchedule, AShortOneHurtsEverybodyToo) {
  for (const int64_t seconds : {6, 7, 10, 20, 33}) {
    for (uint64_t seed = 0; seed < 100; ++seed) {
      std::array<int, kThree> kills{};
      for (const Fault& fault : Made(seconds, seed)) {
        kills[fault.process] += fault.hurt == Hurt::kKill ? 1 : 0;
      }
      for (const int count : kills) EXPECT_GE(count, 2) << seconds << " s, seed " << seed;
    }
  }
}

TEST(ChaosSchedule, IsSortedEndsInTimeAndLeavesEveryProcessABreath) {
  for (const int64_t seconds : {6, 25, 120, 3'600}) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const auto faults = Made(seconds, seed);
      std::array<int64_t, kThree> free_at{};
      int64_t last_ms = 0;
      for (const Fault& fault : faults) {
        EXPECT_GE(fault.at_ms, last_ms);
        last_ms = fault.at_ms;
        EXPECT_GE(fault.lasts_ms, 0);
        EXPECT_GE(fault.at_ms, free_at[fault.process]) << seconds << " s, seed " << seed;
        free_at[fault.process] = fault.until_ms() + kBreathMs;
        EXPECT_LE(fault.until_ms(), seconds * 1000);
      }
    }
  }
}

TEST(ChaosSchedule, ReachesEveryKindOnEveryProcessAndFaultsAtTheSameInstant) {
  std::array<std::map<Hurt, int>, kThree> count;
  int together = 0, overlapping = 0, all_down = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto faults = Made(120, seed);
    for (size_t i = 0; i < faults.size(); ++i) {
      ++count[faults[i].process][faults[i].hurt];
      const auto at_once = std::count_if(faults.begin(), faults.end(), [&](const Fault& other) {
        return other.at_ms == faults[i].at_ms;
      });
      together += at_once == 2;
      all_down += at_once == 3;
      if (i > 0 && faults[i - 1].until_ms() > faults[i].at_ms) ++overlapping;
    }
  }
  for (auto& one : count) EXPECT_EQ(one.size(), 3u);
  EXPECT_GT(together, 20);
  EXPECT_GT(all_down, 20);
  EXPECT_GT(overlapping, 100);
}

TEST(ChaosSchedule, NobodyOrNoTimeIsNoSchedule) {
  EXPECT_TRUE(Made(120, 1, 0).empty());
  EXPECT_TRUE(Made(5, 1).empty());
  EXPECT_TRUE(MakeSchedule({.processes = 1, .length_ms = -1, .seed = 1}).empty());
}

}  // namespace
}  // namespace nightjar::chaos
