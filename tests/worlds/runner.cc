#include "tests/worlds/runner.h"

#include <unistd.h>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

namespace nightjar::worlds {
namespace {

// What each thread is at, for the last words of a process that crashes.
constexpr int kMostJobs = 64;
std::atomic<uint64_t> running[kMostJobs];

void LastWords(int signal) {
  char line[64];
  for (const auto& seed : running) {
    const uint64_t at = seed.load();
    if (at == 0) continue;
    const int n = std::snprintf(line, sizeof line, "worlds: signal %d at seed %llu\n", signal,
                                static_cast<unsigned long long>(at));
    [[maybe_unused]] const auto written = write(2, line, static_cast<size_t>(n));
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

RunResult RunWorlds(const RunOptions& options,
                    const std::function<void(const RunResult&)>& progress) {
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS}) std::signal(signal, LastWords);
  using Clock = std::chrono::steady_clock;
  const auto started = Clock::now();
  auto told = started;
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  RunResult result;
  const auto work = [&](int job) {
    while (true) {
      const uint64_t i = next++;
      if (i >= options.seeds) break;
      running[job % kMostJobs] = options.first + i;
      Outcome outcome = World(options.first + i, nullptr, options.mutant, options.chosen).Run();
      running[job % kMostJobs] = 0;
      const std::lock_guard lock(mutex);
      ++result.worlds;
      result.events += outcome.events;
      result.accepted += outcome.accepted;
      result.virtual_ms += outcome.virtual_ms;
      result.coverage.Add(outcome.coverage);
      if (!outcome.broken.empty()) result.failed[outcome.seed] = std::move(outcome.broken);
      if (result.failed.size() >= options.most_failures) next = options.seeds;
      const auto now = Clock::now();
      result.seconds = std::chrono::duration<double>(now - started).count();
      if (progress && now - told > std::chrono::seconds(1)) {
        told = now;
        progress(result);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int job = 1; job < options.jobs; ++job) threads.emplace_back(work, job);
  work(0);
  for (std::thread& thread : threads) thread.join();
  return result;
}

std::vector<Regression> Regressions(const std::string& path) {
  std::vector<Regression> worlds;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    Regression world;
    if (!(words >> world.seed)) continue;
    if (words.peek() == '/') {
      world.chosen = {0, 0, 0};
      words.ignore(1) >> world.chosen.brokers;
    }
    if (words.peek() == '/') words.ignore(1) >> world.chosen.servers;
    if (words.peek() == '/') words.ignore(1) >> world.chosen.failovers;
    worlds.push_back(world);
  }
  return worlds;
}

}  // namespace nightjar::worlds
