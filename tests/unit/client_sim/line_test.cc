#include "client-sim/line/line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nightjar::line {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;
constexpr int64_t kStart = 17 * kSecond;  // steady clocks begin anywhere

struct Came {
  int64_t at_ns;
  size_t bytes;
};

// A client that writes as much as it may and a server that takes all at once, or the other way
// round. Time goes from event to event, as the line asks for it.
class Wire {
 public:
  explicit Wire(Shape shape, uint64_t seed = 1) : shape_(std::move(shape)), line_(&shape_, seed) {
    line_.Open(kStart);
  }

  // Everything that arrives at the server within `for_ns` if the client has `bytes` to write.
  std::vector<Came> Upload(size_t bytes, int64_t for_ns) {
    const int64_t until = now_ + for_ns;
    std::vector<Came> came;
    const std::string offer(std::min<size_t>(bytes, 1 << 20), 'x');
    for (int turn = 0; now_ <= until; ++turn) {
      EXPECT_LT(turn, 10'000'000) << "the line asks to be called again and again";
      bytes -= line_.Write(std::string_view(offer).substr(0, bytes), now_);
      most_held_ = std::max(most_held_, line_.held());
      if (const auto ready = line_.Sendable(now_); !ready.empty()) {
        came.push_back({now_, ready.size()});
        line_.Sent(ready.size());
        continue;  // there may be room now
      }
      Drain();
      ++turns_;
      if (line_.NextAt() > until) break;
      if (line_.NextAt() <= now_) {
        ADD_FAILURE() << "asks for now, and has nothing";
        break;
      }
      now_ = line_.NextAt();
    }
    line_.Write("", now_);  // the rest is given up: nobody waits for room
    now_ = until;
    return came;
  }
  // The same for what the server has to say; `unread` is what stays in the kernel.
  std::vector<Came> Download(size_t bytes, int64_t for_ns) {
    const int64_t until = now_ + for_ns;
    std::vector<Came> came;
    unread_ += bytes;
    while (now_ <= until) {
      if (unread_ > 0) {
        const size_t got = std::min(unread_, line_.Room(now_));
        line_.Arrived(std::string(got, 'y'), now_);
        unread_ -= got;
        most_held_ = std::max(most_held_, line_.held());
      }
      if (const auto ready = line_.Audible(now_); !ready.empty()) {
        came.push_back({now_, ready.size()});
        line_.Heard(ready.size());
        continue;
      }
      Drain();
      ++turns_;
      if (line_.NextAt() > until) break;
      if (line_.NextAt() <= now_) {
        ADD_FAILURE() << "asks for now, and has nothing";
        break;
      }
      now_ = line_.NextAt();
    }
    now_ = until;
    return came;
  }

  // What is left of an earlier talk arrives and is not counted.
  void Drain() {
    if (unread_ > 0) {
      const size_t got = std::min(unread_, line_.Room(now_));
      line_.Arrived(std::string(got, 'y'), now_);
      unread_ -= got;
    }
    line_.Sent(line_.Sendable(now_).size());
    line_.Heard(line_.Audible(now_).size());
  }
  Line& line() { return line_; }
  int64_t now() const { return now_; }
  void Wait(int64_t ns) { now_ += ns; }
  size_t most_held() const { return most_held_; }
  size_t unread() const { return unread_; }
  int turns() const { return turns_; }

 private:
  Shape shape_;
  Line line_;
  int64_t now_ = kStart;
  size_t most_held_ = 0, unread_ = 0;
  int turns_ = 0;
};

size_t Sum(const std::vector<Came>& came) {
  size_t sum = 0;
  for (const auto& c : came) sum += c.bytes;
  return sum;
}

Shape Plain(int64_t bytes_per_s, int64_t latency_ns, int64_t jitter_ns = 0) {
  Shape shape{.name = "test", .up = {}, .down = {}};
  shape.up = shape.down = {bytes_per_s, latency_ns, jitter_ns, 8192};
  return shape;
}

TEST(Line, EveryPresetIsFoundByItsNameAndMakesSense) {
  for (const auto& name : ShapeNames()) {
    const auto shape = FindShape(name);
    ASSERT_TRUE(shape) << name;
    EXPECT_EQ(shape->name, name);
    EXPECT_EQ(shape->unshaped(), name == "lan");
    EXPECT_LE(shape->stall_least_ns, shape->stall_most_ns);
    EXPECT_LE(shape->stall_most_ns, shape->stall_every_ns);
    EXPECT_GE(shape->up.buffer, Pipe::kSegment);
  }
  EXPECT_EQ(ShapeNames().size(), 7U);
  EXPECT_FALSE(FindShape("5g"));
}

TEST(Line, CarriesItsBandwidthBothWays) {
  for (const auto& name : ShapeNames()) {
    Shape shape = *FindShape(name);
    if (shape.unshaped()) continue;
    shape.stall_every_ns = shape.cut_every_ns = shape.half_open_every_ns = 0;
    Wire wire(shape);
    wire.Wait(20 * kSecond);  // after the greeting
    const auto up = Sum(wire.Upload(1 << 30, 20 * kSecond));
    const auto down = Sum(wire.Download(1 << 30, 20 * kSecond));
    // The first bytes are still on their way for the latency.
    const auto expected = [](const Way& way) {
      return static_cast<double>(way.bytes_per_s) *
             (20 - static_cast<double>(way.latency_ns + way.jitter_ns / 2) / kSecond);
    };
    const auto slack = [&](const Way& way) { return 0.02 * expected(way) + Pipe::kSegment; };
    EXPECT_NEAR(static_cast<double>(up), expected(shape.up), slack(shape.up)) << name;
    EXPECT_NEAR(static_cast<double>(down), expected(shape.down), slack(shape.down)) << name;
  }
}

TEST(Line, ThroughputOverALongTimeIsExact) {
  Wire wire(Plain(10'000, 0));
  const size_t bytes = Sum(wire.Upload(1 << 30, 1000 * kSecond));
  EXPECT_NEAR(static_cast<double>(bytes), 10'000'000, 2 * Pipe::kSegment);
}

TEST(Line, TheFirstBytesWaitForTheGreetingThenTakeLatencyAndAirtime) {
  Wire wire(Plain(1000, 200 * kMs));
  const auto first = wire.Upload(100, 10 * kSecond);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].at_ns - kStart, (400 + 100 + 200) * kMs);
  const int64_t then = wire.now();
  const auto second = wire.Upload(100, 10 * kSecond);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].at_ns - then, (100 + 200) * kMs);
}

TEST(Line, JitterStaysInItsBoundsVariesAndKeepsTheOrder) {
  Wire wire(Plain(0, 100 * kMs, 50 * kMs), 7);
  wire.Wait(kSecond);
  int64_t least = kNever, most = 0;
  for (int i = 0; i < 500; ++i) {
    const int64_t from = wire.now();
    const auto came = wire.Upload(10, kSecond);
    ASSERT_EQ(came.size(), 1U);
    least = std::min(least, came[0].at_ns - from);
    most = std::max(most, came[0].at_ns - from);
  }
  EXPECT_GE(least, 100 * kMs);
  EXPECT_LE(least, 105 * kMs);
  EXPECT_LE(most, 150 * kMs);
  EXPECT_GE(most, 145 * kMs);

  Line& line = wire.line();
  std::string sent, got;
  int64_t now = wire.now();
  for (int i = 0; i < 2000; ++i, now += kMs) {
    const std::string word = std::to_string(i) + " ";
    ASSERT_EQ(line.Write(word, now), word.size());
    sent += word;
    got += line.Sendable(now);
    line.Sent(line.Sendable(now).size());
  }
  got += line.Sendable(now + kSecond);
  EXPECT_EQ(got, sent);
}

TEST(Line, AFullBufferHoldsTheWriterBackAndMemoryIsBounded) {
  Wire wire(Plain(1000, kSecond));
  const std::string much(100'000, 'x');
  EXPECT_EQ(wire.line().Write(much, kStart), 8192U - 2000U)
      << "what the greeting's time would have carried is taken";
  EXPECT_EQ(wire.line().Write(much, kStart), 0U);
  EXPECT_GT(wire.line().NextAt(), kStart);
  wire.Upload(1 << 30, 60 * kSecond);
  EXPECT_LE(wire.most_held(), 8192 + 1000 + Pipe::kSegment);
  EXPECT_LE(wire.turns(), 200) << "woken for every few bytes";
}

TEST(Line, ATakenSocketIsReadNoFasterThanTheLineCarries) {
  Wire wire(Plain(10'000, 0));
  const size_t heard = Sum(wire.Download(1'000'000, 10 * kSecond));
  EXPECT_NEAR(static_cast<double>(heard), 100'000, 2 * Pipe::kSegment);
  EXPECT_GE(wire.unread(), 1'000'000 - heard - 8192 - Pipe::kSegment) << "the rest holds back";
  EXPECT_LE(wire.turns(), 200);
}

TEST(Line, WithoutLimitTheBufferIsTheWindow) {
  Wire wire(Plain(0, 100 * kMs));
  wire.Wait(kSecond);
  const size_t bytes = Sum(wire.Upload(1 << 30, 10 * kSecond));
  EXPECT_NEAR(static_cast<double>(bytes), 8192.0 * 10 * 10, 8192);  // one buffer per latency
  EXPECT_LE(wire.most_held(), 8192U);
}

// A server that stopped reading: the bytes arrived at our end, and the socket is full.
TEST(Line, WhoWasRefusedIsCalledWhenTheSocketTakesBytesAgain) {
  for (const int64_t bytes_per_s : {0, 100'000}) {
    Wire wire(Plain(bytes_per_s, 10 * kMs));
    wire.Wait(kSecond);
    Line& line = wire.line();
    const std::string much(100'000, 'x');
    while (line.Write(much, wire.now()) > 0 || line.NextAt() != kNever) {
      line.Sendable(wire.now());
      wire.Wait(kSecond);
    }
    line.Sent(1000);
    ASSERT_NE(line.NextAt(), kNever);
    EXPECT_EQ(line.Write(much, wire.now()), 1000U);
    EXPECT_NE(line.NextAt(), kNever) << "they are on their way";
    line.Write("", wire.now());  // no more to say

    while (line.Room(wire.now()) > 0 || line.NextAt() != kNever) {
      line.Arrived(std::string(line.Room(wire.now()), 'y'), wire.now());
      line.Audible(wire.now());
      line.Sendable(wire.now());
      wire.Wait(kSecond);
    }
    line.Heard(8000);
    ASSERT_NE(line.NextAt(), kNever);
    EXPECT_GE(line.Room(wire.now()), 8000U);
  }
}

TEST(Line, NothingMovesInAStallOnDemandAndNothingIsLost) {
  Wire wire(Plain(10'000, 50 * kMs));
  wire.Wait(kSecond);
  wire.Upload(1 << 30, kSecond);
  wire.line().Stall(wire.now(), 3 * kSecond);
  EXPECT_EQ(Sum(wire.Upload(1 << 30, 3 * kSecond - 1)), 0U);
  EXPECT_EQ(Sum(wire.Download(100, 1)), 0U);
  const size_t after = Sum(wire.Upload(1 << 30, 10 * kSecond));
  EXPECT_NEAR(static_cast<double>(after), 100'000, 2000) << "no burst after it";
}

TEST(Line, StallsOfAShapeAreSeenByBothWaysAndCostTheirTime) {
  Shape shape = Plain(10'000, 0);
  shape.stall_every_ns = 10 * kSecond;
  shape.stall_least_ns = kSecond;
  shape.stall_most_ns = 3 * kSecond;
  Wire up(shape, 5), down(shape, 5);
  const auto came = up.Upload(1 << 30, 1000 * kSecond);
  const auto heard = down.Download(1 << 30, 1000 * kSecond);
  EXPECT_NEAR(static_cast<double>(Sum(came)), 8'000'000, 400'000);
  EXPECT_NEAR(static_cast<double>(Sum(heard)), static_cast<double>(Sum(came)), 3 * 8192);
  int silences = 0;
  for (size_t i = 1; i < came.size(); ++i) {
    const int64_t silence = came[i].at_ns - came[i - 1].at_ns;
    EXPECT_LE(silence, 2 * 3 * kSecond + kSecond);
    if (silence >= kSecond) ++silences;
  }
  EXPECT_NEAR(silences, 100, 5);
}

TEST(Line, ACutLineIsSilentAndTakesOnlyWhatItsBufferHolds) {
  Wire wire(Plain(10'000, 50 * kMs));
  wire.Wait(kSecond);
  wire.Upload(5000, 100 * kMs);
  wire.line().Cut();
  EXPECT_EQ(wire.line().state(wire.now()), Line::State::kCut);
  EXPECT_EQ(wire.line().Room(wire.now()), 0U);
  size_t taken = 0;
  for (int i = 0; i < 20; ++i) taken += wire.line().Write(std::string(1000, 'x'), wire.now());
  EXPECT_EQ(taken, 8192U);
  EXPECT_TRUE(wire.line().Sendable(wire.now() + kSecond).empty());
  EXPECT_TRUE(wire.line().Audible(wire.now() + kSecond).empty());
  EXPECT_EQ(wire.line().NextAt(), kNever);
  EXPECT_EQ(wire.line().held(), 0U);

  wire.line().Open(wire.now());  // the next connection knows nothing of it
  EXPECT_EQ(wire.line().state(wire.now()), Line::State::kUp);
  EXPECT_EQ(Sum(wire.Upload(100, kSecond)), 100U);
}

TEST(Line, AHalfOpenLineSwallowsEverything) {
  Wire wire(Plain(10'000, 50 * kMs));
  wire.Wait(kSecond);
  wire.Upload(5000, 100 * kMs);
  Line& line = wire.line();
  line.HalfOpen();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(line.Write(std::string(1000, 'x'), wire.now()), 1000U);
    ASSERT_GE(line.Room(wire.now()), 1000U) << "the server must not notice";
    line.Arrived(std::string(1000, 'y'), wire.now());
  }
  EXPECT_TRUE(line.Sendable(wire.now() + kSecond).empty());
  EXPECT_TRUE(line.Audible(wire.now() + kSecond).empty());
  EXPECT_EQ(line.held(), 0U);
  EXPECT_EQ(line.NextAt(), kNever);
}

TEST(Line, ConnectionsOfAFlakyShapeEndByThemselvesAtSeededTimes) {
  Shape shape = Plain(0, 0);
  shape.cut_every_ns = 60 * kSecond;
  shape.half_open_every_ns = 120 * kSecond;
  Line line(&shape, 3), twin(&shape, 3);
  int cuts = 0, half_open = 0;
  int64_t now = kStart;
  for (int i = 0; i < 1000; ++i) {
    line.Open(now);
    twin.Open(now);
    ASSERT_NE(line.NextAt(), kNever);
    EXPECT_EQ(line.NextAt(), twin.NextAt());
    const int64_t ends = line.NextAt();
    EXPECT_EQ(line.state(ends - 1), Line::State::kUp);
    (line.state(ends) == Line::State::kCut ? cuts : half_open)++;
    EXPECT_EQ(line.NextAt(), kNever);
    now = ends;
  }
  EXPECT_EQ(cuts + half_open, 1000);
  EXPECT_NEAR(cuts, 750, 50);
  EXPECT_NEAR(static_cast<double>((now - kStart) / kSecond), 50'000, 3000);
}

TEST(Line, TheSameSeedDoesTheSameAnotherDoesNot) {
  const auto story = [](uint64_t seed) {
    Shape shape = *FindShape("wifi-flaky");
    shape.cut_every_ns = shape.half_open_every_ns = 0;
    Wire wire(shape, seed);
    std::vector<int64_t> times;
    for (int i = 0; i < 50; ++i) {
      for (const auto& came : wire.Upload(300, kSecond)) times.push_back(came.at_ns);
      for (const auto& came : wire.Download(700, kSecond)) times.push_back(came.at_ns);
    }
    return times;
  };
  EXPECT_EQ(story(11), story(11));
  EXPECT_NE(story(11), story(12));
}

TEST(Line, AnIdleLineAsksForNothingAndKeepsNothing) {
  const Shape shape = *FindShape("gprs");
  Line line(&shape, 1);
  line.Open(kStart);
  EXPECT_EQ(line.NextAt(), kNever);
  Wire wire(shape);
  wire.Upload(50'000, 600 * kSecond);
  EXPECT_EQ(wire.line().NextAt(), kNever);
  EXPECT_EQ(wire.line().held(), 0U);
  EXPECT_LE(sizeof(Line), 320U);
}

}  // namespace
}  // namespace nightjar::line
