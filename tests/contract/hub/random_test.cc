// The fake and a real server, led through the same random calls: every reply must be the same, and so
// must the state.
//
// A failing seed is printed; NIGHTJAR_HUB_SEED=<seed> replays it alone, comparing the state after every
// step. NIGHTJAR_HUB_SEEDS=<n> runs more of them than usual.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <tuple>

#include "tests/contract/hub/fake_world.h"
#include "tests/contract/hub/generator.h"
#include "tests/contract/hub/print.h"
#include "tests/contract/hub/world.h"

namespace nightjar::hub::contract {

namespace {

constexpr uint64_t kSeeds = 60;
constexpr int kSteps = 150;

std::string MixName(Mix mix) {
  switch (mix) {
    case Mix::kEverything:
      return "Everything";
    case Mix::kWindows:
      return "Windows";
    case Mix::kFanOut:
      return "FanOut";
    case Mix::kSessions:
      return "Sessions";
  }
  return "?";
}

std::vector<std::string> RealKinds() {
  std::vector<std::string> kinds = WorldKinds();
  kinds.erase(kinds.begin());  // the fake
  return kinds;
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

// Lines of the two texts that differ.
std::string Difference(const std::string& a, const std::string& b) {
  const auto lines = [](const std::string& text) {
    std::vector<std::string> all;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      all.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    return all;
  };
  const auto in_a = lines(a), in_b = lines(b);
  std::string text;
  for (size_t i = 0; i < std::max(in_a.size(), in_b.size()); ++i) {
    const std::string left = i < in_a.size() ? in_a[i] : "", right = i < in_b.size() ? in_b[i] : "";
    if (left != right) text += fmt::format("  fake: {:.400}\n  real: {:.400}\n", left, right);
  }
  return text;
}

}  // namespace

class RandomTest : public testing::TestWithParam<std::tuple<std::string, Mix>> {
 protected:
  // One seed. False: they differ, and the failure is told. Step by step, the state is compared after
  // each; else calls between two movements of the clock are under way together, and the state is
  // compared at the end.
  bool Run(uint64_t seed, bool step_by_step) {
    fake_->Reset();
    real_->Reset();
    fake_->SetClock(kStartMs);
    real_->SetClock(kStartMs);
    Generator generator(seed, mix_, bounds_);
    std::vector<Call> calls;       // done on the fake, not yet on the real one
    std::vector<Reply> expected;
    const auto catch_up = [&](int step) {
      const auto replies = real_->DoAll(calls);
      for (size_t i = 0; i < calls.size(); ++i) {
        if (SameReply(expected[i], replies[i])) continue;
        ADD_FAILURE() << Where(seed, step - static_cast<int>(calls.size() - 1 - i), calls[i])
                      << "  fake: " << Print(expected[i]) << "\n  real: " << Print(replies[i]);
        return false;
      }
      calls.clear();
      expected.clear();
      return true;
    };
    Call call;
    for (int i = 0; i < kSteps; ++i) {
      // Now and then the call before once more, as a hub does after a reconnect.
      const bool repeat = i > 0 && i % 7 == 0;
      if (!repeat) {
        const Step step = generator.Next(fake_->state(), fake_->clock());
        if (step.advance_ms != 0 || step.raise_epoch) {
          if (!catch_up(i - 1)) return false;
          MoveOn(step);
        }
        call = step.call;
      }
      const std::string before = repeat && RepeatSafe(call) ? Dump(*fake_, generator.names()) : "";
      expected.push_back(fake_->Do(call));
      calls.push_back(call);
      if (!before.empty() && Dump(*fake_, generator.names()) != before) {
        ADD_FAILURE() << Where(seed, i, call) << "  repeated, and changed the state:\n"
                      << Difference(before, Dump(*fake_, generator.names()));
        return false;
      }
      if (!step_by_step && i + 1 < kSteps) continue;
      if (!catch_up(i)) return false;
      const std::string a = Dump(*fake_, generator.names()), b = Dump(*real_, generator.names());
      if (a != b) {
        ADD_FAILURE() << Where(seed, i, call) << "  the states differ after it:\n"
                      << Difference(a, b);
        return false;
      }
    }
    return true;
  }

  void MoveOn(const Step& step) {
    if (step.advance_ms != 0) {
      fake_->Advance(step.advance_ms);
      real_->Advance(step.advance_ms);
    }
    if (step.raise_epoch) {
      fake_->RaiseEpoch();
      real_->RaiseEpoch();
    }
  }

  std::string Where(uint64_t seed, int step, const Call& call) const {
    return fmt::format("NIGHTJAR_HUB_SEED={} step {} clock {} ({:+} ms)\n  {}\n", seed, step,
                       fake_->clock(), fake_->clock() - kStartMs, Print(call));
  }

  void SetUp() override {
    const auto& [kind, mix] = GetParam();
    mix_ = mix;
    bounds_ = mix == Mix::kFanOut ? Bounds{2, 60, 6} : Bounds{3, 60, 8};
    if (mix == Mix::kWindows) bounds_.journal_max = 10'000;
    fake_ = std::make_unique<FakeWorld>(bounds_);
    real_ = MakeWorld(kind, bounds_);
  }

  Mix mix_ = Mix::kEverything;
  Bounds bounds_;
  std::unique_ptr<FakeWorld> fake_;
  std::unique_ptr<World> real_;
};

TEST_P(RandomTest, SameRepliesSameState) {
  if (const uint64_t seed = FromEnvironment("NIGHTJAR_HUB_SEED", 0)) {
    Run(seed, true);
    return;
  }
  const uint64_t seeds = FromEnvironment("NIGHTJAR_HUB_SEEDS", kSeeds);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    if (Run(seed, false)) continue;
    Run(seed, true);  // once more, to find the first step after which the states differ
    return;
  }
}

INSTANTIATE_TEST_SUITE_P(, RandomTest,
                         testing::Combine(testing::ValuesIn(RealKinds()),
                                          testing::Values(Mix::kEverything, Mix::kWindows,
                                                          Mix::kFanOut, Mix::kSessions)),
                         [](const auto& one) {
                           return std::get<0>(one.param) + MixName(std::get<1>(one.param));
                         });

}  // namespace nightjar::hub::contract
