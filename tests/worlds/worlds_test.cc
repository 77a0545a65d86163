// Simulated worlds as tests: seeds that once failed, many new ones, that rare paths are reached,
// that a seed always gives the same world, and that planted faults are found.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tests/worlds/runner.h"

namespace nightjar::worlds {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr uint64_t kSeeds = 300;  // slow builds: enough to run all the code
#else
constexpr uint64_t kSeeds = 5000;
#endif

constexpr double kTellEveryS = 10;

uint64_t Seeds() {
  const char* seeds = std::getenv("NIGHTJAR_WORLDS");
  return seeds != nullptr ? std::strtoull(seeds, nullptr, 10) : kSeeds;
}

int Jobs() { return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 8U)); }

void ExpectKept(const RunResult& result) {
  for (const auto& [seed, broken] : result.failed) {
    ADD_FAILURE() << "seed " << seed << ": " << broken.front() << "\n./nj sim --replay " << seed
                  << " --trace tells everything";
  }
}

TEST(Worlds, SeedsThatOnceFailed) {
  for (const auto& [seed, chosen] :
       Regressions(NIGHTJAR_SOURCE_DIR "/tests/worlds/regressions.txt")) {
    const Outcome outcome = World(seed, nullptr, Mutant::kNone, chosen).Run();
    EXPECT_TRUE(outcome.broken.empty())
        << "seed " << seed << '/' << chosen.brokers << '/' << chosen.servers << '/'
        << chosen.failovers << ": " << outcome.broken.front();
  }
}

TEST(Worlds, ASeedGivesTheSameWorldTwice) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome once = World(seed, nullptr).Run();
    const Outcome again = World(seed, nullptr).Run();
    EXPECT_EQ(once.hash, again.hash) << "seed " << seed;
    EXPECT_EQ(once.events, again.events) << "seed " << seed;
  }
}

TEST(Worlds, PromisesAreKeptAndRarePathsReached) {
  RunOptions options;
  options.seeds = Seeds();
  options.jobs = Jobs();
  double next_s = kTellEveryS;
  const RunResult result = RunWorlds(options, [&](const RunResult& so_far) {
    if (so_far.seconds < next_s) return;
    next_s = so_far.seconds + kTellEveryS;
    std::fprintf(stderr, "%.0f s: %llu of %llu worlds, %zu failed\n", so_far.seconds,
                 static_cast<unsigned long long>(so_far.worlds),
                 static_cast<unsigned long long>(options.seeds), so_far.failed.size());
  });
  ExpectKept(result);
  if (!result.failed.empty() || options.seeds < 1000) return;
  for (size_t i = 0; i < kPoints; ++i) {
    EXPECT_GT(result.coverage.counts[i], 0U) << "never reached: " << kPointNames[i];
  }
}

class PlantedFaults : public testing::TestWithParam<int> {};

TEST_P(PlantedFaults, AreFound) {
  RunOptions options;
  options.seeds = 60;
  options.jobs = Jobs();
  options.mutant = static_cast<Mutant>(GetParam());
  options.most_failures = 1;
  if (options.mutant >= Mutant::kUnreplicated) options.chosen.failovers = 1;
  EXPECT_FALSE(RunWorlds(options, nullptr).failed.empty());
}

INSTANTIATE_TEST_SUITE_P(All, PlantedFaults, testing::Range(1, static_cast<int>(Mutant::kCount)),
                         [](const auto& mutant) {
                           std::string name(kMutantNames[static_cast<size_t>(mutant.param)]);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace nightjar::worlds
