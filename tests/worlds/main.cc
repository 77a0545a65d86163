// nightjar-worlds: runs simulated worlds by seed, or replays one. ./nj sim calls it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "tests/worlds/runner.h"

namespace nightjar::worlds {
namespace {

int Replay(const RunOptions& options, uint64_t seed, bool trace) {
  const Outcome outcome =
      World(seed, trace ? &std::cout : nullptr, options.mutant, options.chosen).Run();
  fmt::print("world {}: {}\n", seed, ShapeOf(seed, options.chosen).Describe());
  fmt::print("{} messages accepted, {} events in {} s of virtual time, hash {:016x}\n",
             outcome.accepted, outcome.events, outcome.virtual_ms / 1000, outcome.hash);
  for (const std::string& broken : outcome.broken) fmt::print("BROKEN {}\n", broken);
  if (outcome.broken.empty()) fmt::print("every promise was kept\n");
  return outcome.broken.empty() ? 0 : 1;
}

std::string Figures(const RunResult& result) {
  const double minutes = std::max(result.seconds, 0.001) / 60;
  return fmt::format("{} worlds, {:.0f} a minute, {} messages accepted, {} failed", result.worlds,
                     static_cast<double>(result.worlds) / minutes, result.accepted,
                     result.failed.size());
}

int Run(const RunOptions& options, bool points) {
  const RunResult result = RunWorlds(
      options, [](const RunResult& so_far) { fmt::print(stderr, "\r{}   ", Figures(so_far)); });
  fmt::print(stderr, "\r");
  fmt::print("{}; {:.1f} s, {} events, {:.1f} h of virtual time\n", Figures(result), result.seconds,
             result.events, static_cast<double>(result.virtual_ms) / 3'600'000);
  for (size_t i = 0; i < kPoints; ++i) {
    if (points || (result.coverage.counts[i] == 0 && result.worlds >= 1000)) {
      fmt::print("{:>10}  {}\n", result.coverage.counts[i], kPointNames[i]);
    }
  }
  for (const auto& [seed, broken] : result.failed) {
    const std::string& first = broken.front();
    fmt::print("FAILED {}: {}\n  ./nj sim --replay {} --trace\n", seed,
               first.substr(0, first.find('\n')), seed);
  }
  return result.failed.empty() ? 0 : 1;
}

int Main(int argc, char** argv) {
  CLI::App app("Whole worlds of Nightjar on virtual time, with faults, by seed");
  RunOptions options;
  uint64_t replay = 0;
  bool trace = false, points = false;
  std::string mutant = "none";
  app.add_option("--seeds", options.seeds, "how many worlds")
      ->check(CLI::Range(1ULL, 100'000'000ULL));
  app.add_option("--seed", options.first, "the first one's seed")->check(CLI::PositiveNumber);
  app.add_option("--jobs", options.jobs, "threads")->check(CLI::Range(1, 64));
  app.add_option("--failures", options.most_failures, "stop after so many failed")
      ->check(CLI::PositiveNumber);
  auto* one = app.add_option("--replay", replay, "run this seed alone, and tell its story")
                  ->check(CLI::PositiveNumber);
  app.add_flag("--trace", trace, "with --replay: print everything that happens")->needs(one);
  app.add_flag("--points", points, "print how often each rare path was passed");
  app.add_option("--brokers", options.chosen.brokers, "so many, instead of how many a seed has")
      ->check(CLI::Range(1, 8));
  app.add_option("--servers", options.chosen.servers,
                 "the hub is spread over so many (0: over none), instead of what a seed has")
      ->check(CLI::Range(0, 8));
  app.add_option("--failovers", options.chosen.failovers,
                 "the hub fails over (1) or never does (0), instead of what a seed has")
      ->check(CLI::Range(0, 1));
  app.add_option("--mutant", mutant, "plant this fault, to see it found")
      ->check(CLI::IsMember(
          std::vector<std::string>(std::begin(kMutantNames), std::end(kMutantNames))));
  CLI11_PARSE(app, argc, argv);
  const auto* name = std::find(std::begin(kMutantNames), std::end(kMutantNames), mutant);
  options.mutant = static_cast<Mutant>(name - std::begin(kMutantNames));
  return replay != 0 ? Replay(options, replay, trace) : Run(options, points);
}

}  // namespace
}  // namespace nightjar::worlds

int main(int argc, char** argv) { return nightjar::worlds::Main(argc, argv); }
