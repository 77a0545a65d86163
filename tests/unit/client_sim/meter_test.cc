// What a load run measures, from intended times: nothing that is late hides.
#include "client-sim/load/meter.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace nightjar::load {
namespace {

constexpr int64_t kMs = 1'000'000, kSecond = 1'000 * kMs;
constexpr int64_t kStart = 100 * kSecond;

int64_t At(double seconds) { return kStart + static_cast<int64_t>(seconds * 1e9); }

TEST(Meter, MessagesBelongToThePhaseTheyWereMeantFor) {
  Meter meter(kStart);
  meter.Open("one", 10, At(1), At(2));
  meter.CostsFrom(At(1), {});
  for (const double meant : {0.5, 1.2, 1.9}) {
    meter.Intended(At(meant));
    meter.Sent(At(meant));
  }
  meter.CostsTo(At(2), {});
  meter.Open("two", 20, At(5), At(6));
  meter.Intended(At(5.5));
  meter.Sent(At(5.5));
  for (const double meant : {0.5, 1.2, 1.9, 5.5}) {  // the second phase has begun meanwhile
    meter.Accepted(At(meant), At(meant + 4), 2);
    meter.Received(At(meant), At(meant + 5), true);
  }
  EXPECT_FALSE(meter.Complete()) << "two copies are owed";
  meter.Received(At(5.5), At(9), false);
  EXPECT_TRUE(meter.Complete());

  report::Report report;
  meter.Fill(report);
  ASSERT_EQ(report.phases.size(), 2U);
  const auto& one = report.phases[0];
  EXPECT_EQ(one.name, "one");
  EXPECT_DOUBLE_EQ(one.from_s, 1);
  EXPECT_NEAR(one.seconds, 1, 1e-6);
  EXPECT_EQ(one.counts.intended, 2U);
  EXPECT_EQ(one.counts.accepted, 2U);
  EXPECT_EQ(one.counts.others.at("copies_owed"), 4U);
  EXPECT_NEAR(one.accepted.p50_ms, 4000, 40);
  EXPECT_NEAR(one.received.max_ms, 5000, 40);
  const auto& two = report.phases[1];
  EXPECT_EQ(two.counts.received, 2U);
  EXPECT_EQ(two.received.count, 1U) << "who was away says nothing about the latency";
  EXPECT_EQ(meter.totals().intended, 4U);
}

TEST(Meter, SecondsTellWhatHappenedInThem) {
  Meter meter(kStart);
  meter.Intended(At(0.1));
  meter.Sent(At(0.1));
  meter.Sent(At(0.2));
  meter.Accepted(At(0.1), At(0.3), 1);
  EXPECT_FALSE(meter.SecondOver(At(0.9)));
  ASSERT_TRUE(meter.SecondOver(At(1.01)));
  meter.Second(At(1.01), {.connected = 5, .bytes_up = 100, .bytes_down = 50, .watched = {}});
  meter.Rejected(At(0.2));
  meter.Second(At(2.5), {.connected = 4, .bytes_up = 130, .bytes_down = 50, .watched = {}});
  ASSERT_EQ(meter.series().size(), 2U);
  const auto& first = meter.series()[0];
  EXPECT_EQ(first.t_s, 0);
  EXPECT_EQ(first.connected, 5U);
  EXPECT_EQ(first.sent, 2U);
  EXPECT_EQ(first.accepted, 1U);
  EXPECT_EQ(first.backlog, 1U);
  EXPECT_NEAR(first.accepted_latency.p50_ms, 200, 2);
  const auto& second = meter.series()[1];
  EXPECT_EQ(second.t_s, 1);
  EXPECT_EQ(second.rejected, 1U);
  EXPECT_EQ(second.backlog, 0U);
  EXPECT_EQ(second.bytes_up, 30U);
  EXPECT_EQ(second.accepted_latency.count, 0U);
  EXPECT_FALSE(meter.SecondOver(At(2.9)));
}

TEST(Meter, AProcessKeepsItsNameWhenItsPidChanges) {
  ProcessMeter processes;
  const auto first = processes.Sample({{"me", getpid()}});
  EXPECT_EQ(first.at("me").cpu_us, 0) << "what it used before is not ours";
  EXPECT_GT(first.at("me").rss_bytes, 0U);
  const auto gone = processes.Sample({{"me", 1 << 30}});
  EXPECT_EQ(gone.at("me").rss_bytes, 0U);
  processes.Sample({{"me", getppid()}});
  const auto all = processes.All();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].starts, 2U);
  EXPECT_GT(all[0].rss_peak_bytes, 0U);
}

TEST(Meter, TroublesAreKeptToAFew) {
  Meter meter(kStart);
  for (int i = 0; i < 1000; ++i) meter.Trouble("again");
  EXPECT_EQ(meter.trouble_count(), 1000U);
  EXPECT_LT(meter.troubles().size(), 100U);
}

}  // namespace
}  // namespace nightjar::load
