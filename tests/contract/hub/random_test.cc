// The fake and a real server, led through the same random calls: every reply must be the same, and
// so must the state. Likewise the fake and a SplitHub over a fake or a server: where its answers
// differ by what it is (split_hub.h), the fake is asked as it asks.
//
// A failing seed is printed; NIGHTJAR_HUB_SEED=<seed> replays it alone, comparing the state after
// every step. NIGHTJAR_HUB_SEEDS=<n> runs more of them than usual.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "common/hub/split/parts.h"
#include "tests/contract/hub/fake_world.h"
#include "tests/contract/hub/generator.h"
#include "tests/contract/hub/print.h"
#include "tests/contract/hub/world.h"

namespace nightjar::hub::contract {

namespace {

constexpr uint64_t kSeeds = 40, kSplitSeeds = 15;
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
    case Mix::kBrokers:
      return "Brokers";
  }
  return "?";
}

Bounds BoundsOf(Mix mix) {
  if (mix == Mix::kFanOut) return {2, 60, 6};
  if (mix == Mix::kBrokers) return {3, 1000, 8};
  if (mix == Mix::kWindows) return {3, 10'000, 8};
  return {3, mix == Mix::kEverything ? 12u : 60u, 8};
}

std::vector<std::string> RealKinds() {
  std::vector<std::string> kinds = WorldKinds();
  const size_t count = kinds.size();
  for (size_t i = 0; i < count; ++i) kinds.push_back(kinds[i] + "-split");
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

// `split`: entries come in other portions and another order there, so as a line for each recipient,
// sorted.
std::string Text(const std::map<std::string, std::vector<Relayed>>& relayed, bool split) {
  std::vector<std::string> lines;
  for (const auto& [id, messages] : relayed) {
    for (const auto& message : messages) {
      const auto* entry = std::get_if<RelayedEntry>(&message);
      if (!split || entry == nullptr) {
        lines.push_back(fmt::format("to {}: {}\n", id, Print(message)));
        continue;
      }
      for (const Delivery& delivery : entry->deliveries) {
        lines.push_back(
            fmt::format("to {}: {}\n", id, Print(Relayed{RelayedEntry{entry->entry, {delivery}}})));
      }
    }
  }
  if (split) std::sort(lines.begin(), lines.end());
  return fmt::format("{}", fmt::join(lines, ""));
}

// The call with what a SplitHub would add to it, or could not answer alike.
Call AsIfSplit(Call call, uint32_t partitions) {
  if (auto* read = std::get_if<ReadLog>(&call)) {
    if (read->partitions.size() > 1) read->bytes = 1 << 20;
    return call;
  }
  const bool chat = std::holds_alternative<Send>(call) ||
                    std::holds_alternative<CreateChat>(call) ||
                    std::holds_alternative<UpdateChat>(call);
  return chat ? std::move(Split(std::move(call), partitions).calls[0]) : call;
}

}  // namespace

class RandomTest : public testing::TestWithParam<std::tuple<std::string, Mix>> {
 protected:
  // One seed. False: they differ, and the failure is told. Step by step, the state is compared
  // after each; else calls between two movements of the clock are under way together, and the state
  // is compared at the end.
  bool Run(uint64_t seed, bool step_by_step) {
    fake_->SetClock(kStartMs);
    real_->SetClock(kStartMs);
    fake_->Reset();
    real_->Reset();
    for (const char* id : {"m", "n", "o", "q", "r"}) Listen({id, std::string(id) == "r" ? 0 : 1});
    Generator generator(seed, mix_, bounds_);
    std::vector<Call> calls;  // done on the fake, not yet on the real one
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
      const std::string told = Text(fake_->TakeRelayed(), split_);
      const std::string really = Text(real_->TakeRelayed(), split_);
      if (told != really) {
        ADD_FAILURE() << fmt::format("NIGHTJAR_HUB_SEED={} up to step {}: relayed differ\n", seed,
                                     step)
                      << Difference(told, really);
      }
      return told == really;
    };
    Call call;
    for (int i = 0; i < kSteps; ++i) {
      // Now and then the call before once more, as a hub does after a reconnect.
      const bool repeat = i > 0 && i % 7 == 0;
      if (!repeat) {
        const Step step = generator.Next(fake_->state(), fake_->clock());
        if (step.advance_ms != 0 || step.raise_epoch || step.lose_everything || step.listen) {
          if (!catch_up(i - 1)) return false;
          MoveOn(step);
        }
        call = split_ ? AsIfSplit(step.call, bounds_.partitions) : step.call;
      }
      const std::string before = repeat && RepeatSafe(call) ? Dump(*fake_, generator.names()) : "";
      expected.push_back(DoOnFake(call));
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

  // Where acks are split, one that is refused has moved its marks.
  Reply DoOnFake(const Call& call) {
    Reply reply = fake_->Do(call);
    const auto* acked = std::get_if<AckReply>(&reply);
    if (split_ && acked != nullptr && acked->outcome != AckReply::Outcome::kDone) {
      for (const Call& mark : MarksOf(std::get<Ack>(call))) fake_->Do(mark);
    }
    return reply;
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
    if (step.lose_everything) {
      fake_->LoseEverything();
      real_->LoseEverything();
      // Found out now, not in the middle of other calls, which would be repeated.
      real_->Do(GetDevice{"al", "d"});
    }
    if (step.listen) Listen(*step.listen);
  }

  void Listen(const std::pair<std::string, size_t>& who) {
    fake_->Listen(who.first, who.second);
    real_->Listen(who.first, who.second);
  }

  std::string Where(uint64_t seed, int step, const Call& call) const {
    return fmt::format("NIGHTJAR_HUB_SEED={} step {} clock {} ({:+} ms)\n  {}\n", seed, step,
                       fake_->clock(), fake_->clock() - kStartMs, Print(call));
  }

  void SetUp() override {
    const auto& [kind, mix] = GetParam();
    mix_ = mix;
    bounds_ = BoundsOf(mix);
    split_ = kind.ends_with("-split");
    fake_ = std::make_unique<FakeWorld>(bounds_);
    real_ = MakeWorld(kind, bounds_);
  }

  Mix mix_ = Mix::kEverything;
  Bounds bounds_;
  bool split_ = false;
  std::unique_ptr<FakeWorld> fake_;
  std::unique_ptr<World> real_;
};

TEST_P(RandomTest, SameRepliesSameState) {
  if (const uint64_t seed = FromEnvironment("NIGHTJAR_HUB_SEED", 0)) {
    Run(seed, true);
    return;
  }
  const uint64_t seeds = FromEnvironment("NIGHTJAR_HUB_SEEDS", split_ ? kSplitSeeds : kSeeds);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    if (Run(seed, false)) continue;
    Run(seed, true);  // once more, to find the first step after which the states differ
    return;
  }
}

// What a reply was, as far as it says that a path was taken.
struct Path {
  std::string operator()(const SendReply& r) const {
    return fmt::format("send {}{}", static_cast<int>(r.outcome), r.task ? " task" : "");
  }
  std::string operator()(const ChangeReply& r) const {
    return fmt::format("change {}{}", static_cast<int>(r.outcome), r.task ? " task" : "");
  }
  std::string operator()(const AckReply& r) const {
    return fmt::format("ack {}{}", static_cast<int>(r.outcome), r.moved.empty() ? "" : " moved");
  }
  std::string operator()(const MoveMarkReply& r) const {
    return fmt::format("mark{}{}", r.moved ? " moved" : "", r.tell ? " tell" : "");
  }
  std::string operator()(const BeatReply& r) const {
    return fmt::format("beat {}{}{}", static_cast<int>(r.outcome), r.clear.empty() ? "" : " clears",
                       r.brokers.empty() ? "" : " list");
  }
  std::string operator()(const HeadsReply& r) const {
    const auto any = [&](HeadsReply::Route route) {
      return std::any_of(r.sessions.begin(), r.sessions.end(),
                         [route](const auto& stand) { return stand.route == route; });
    };
    return fmt::format("heads{}{}", any(HeadsReply::Route::kMine) ? " mine" : "",
                       any(HeadsReply::Route::kOther) ? " other" : "");
  }
  std::string operator()(const LoginReply& r) const {
    if (r.cleared) return "login cleared";
    return fmt::format("login{}{}{}", r.resync ? " resync" : "",
                       r.previous_broker.empty() ? "" : " takeover", r.online ? " online" : "");
  }
  std::string operator()(const LogoutReply& r) const {
    return fmt::format("logout{}{}", r.removed ? " removed" : "", r.routes == 0 ? " last" : "");
  }
  std::string operator()(const SetPresenceReply& r) const {
    return fmt::format("presence{}{}", r.changed ? " changed" : "", r.state.online ? " on" : "");
  }
  std::string operator()(const TrimLogReply& r) const {
    return std::count(r.held.begin(), r.held.end(), true) > 0 ? "trim held" : "trim";
  }
  std::string operator()(const LeaseReply& r) const {
    return std::count(r.tokens.begin(), r.tokens.end(), 0u) > 0 ? "lease refused" : "lease";
  }
  std::string operator()(const Failure& r) const {
    return fmt::format("failure {}", static_cast<int>(r.kind));
  }
  std::string operator()(const AppendReply& r) const {
    size_t messages = 0;
    for (const auto& deliveries : r.deliveries) messages += deliveries.empty() ? 0 : 1;
    return messages == 0 ? "append" : messages == 1 ? "append delivered" : "append several";
  }
  std::string operator()(const auto&) const { return ""; }
};

std::string PathOf(const Call& call, const Reply& reply) {
  const std::string prefix = std::holds_alternative<CreateChat>(call) ? "create: " : "";
  return prefix + std::visit(Path{}, reply);
}

// The random calls reach what they are for; else the comparison above proves little.
TEST(GeneratorTest, ReachesEveryOutcome) {
  std::set<std::string> paths;
  for (const Mix mix :
       {Mix::kEverything, Mix::kWindows, Mix::kFanOut, Mix::kSessions, Mix::kBrokers}) {
    FakeWorld fake(BoundsOf(mix));
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      fake.SetClock(kStartMs);
      fake.Reset();
      for (const char* id : {"m", "n", "o", "q"}) fake.Listen(id, 1);
      Generator generator(seed, mix, BoundsOf(mix));
      for (int i = 0; i < kSteps; ++i) {
        const Step step = generator.Next(fake.state(), fake.clock());
        fake.Advance(step.advance_ms);
        if (step.raise_epoch) fake.RaiseEpoch();
        if (step.lose_everything) fake.LoseEverything();
        if (step.listen) fake.Listen(step.listen->first, step.listen->second);
        const bool dying = !fake.state().dying.empty();
        const Reply reply = fake.Do(step.call);
        paths.insert(PathOf(step.call, reply));
        const auto* sent = std::get_if<SendReply>(&reply);
        if (sent && sent->task && std::get<Send>(step.call).chat[0] == 'd') {
          paths.insert("direct by task");
        }
        if (std::holds_alternative<Gone>(step.call) && !dying && !fake.state().dying.empty()) {
          paths.insert("gone, left to others");
        }
        for (const auto& [id, messages] : fake.TakeRelayed()) {
          for (const auto& message : messages) {
            paths.insert("relayed " + Print(message).substr(0, 4));
          }
          if (messages.size() > 1) paths.insert("relayed several");
        }
      }
    }
  }
  for (const char* path : {"send 0",
                           "send 0 task",
                           "send 1",
                           "send 2",
                           "send 3",
                           "send 4",
                           "send 6",
                           "create: change 0",
                           "create: change 0 task",
                           "create: change 1",
                           "create: change 3",
                           "create: change 4",
                           "change 0",
                           "change 0 task",
                           "change 2",
                           "change 3",
                           "change 4",
                           "ack 0",
                           "ack 0 moved",
                           "ack 1",
                           "ack 2",
                           "ack 3",
                           "mark",
                           "mark moved tell",
                           "direct by task",
                           "login",
                           "login resync",
                           "login takeover",
                           "login online",
                           "login takeover online",
                           "logout",
                           "logout removed",
                           "logout removed last",
                           "presence",
                           "presence changed",
                           "presence changed on",
                           "trim",
                           "trim held",
                           "lease",
                           "lease refused",
                           "failure 1",
                           "append",
                           "append delivered",
                           "append several",
                           "login cleared",
                           "beat 0",
                           "beat 0 list",
                           "beat 0 clears",
                           "beat 0 clears list",
                           "beat 1",
                           "beat 2",
                           "gone, left to others",
                           "heads",
                           "heads mine",
                           "heads other",
                           "heads mine other",
                           "relayed Entr",
                           "relayed Mark",
                           "relayed Pres",
                           "relayed Kick",
                           "relayed Task",
                           "relayed several"}) {
    EXPECT_TRUE(paths.count(path)) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(, RandomTest,
                         testing::Combine(testing::ValuesIn(RealKinds()),
                                          testing::Values(Mix::kEverything, Mix::kWindows,
                                                          Mix::kFanOut, Mix::kSessions,
                                                          Mix::kBrokers)),
                         [](const auto& one) {
                           std::string kind = std::get<0>(one.param);
                           std::replace(kind.begin(), kind.end(), '-', '_');
                           return kind + MixName(std::get<1>(one.param));
                         });

}  // namespace nightjar::hub::contract
