// The load generator's own codec and measures.
#include <gtest/gtest.h>
#include <unistd.h>

#include "client-sim/load/party.h"
#include "client-sim/swarm/histogram.h"
#include "client-sim/swarm/mqtt_codec.h"
#include "client-sim/swarm/probe.h"

namespace nightjar::swarm {
namespace {

TEST(SwarmMqtt, PacketsComeBackAsTheyWere) {
  std::string bytes;
  PutPublish(bytes, "inbox/a", std::string(300, 'p'), 1, 77);
  PutPuback(bytes, 78);
  PacketView packet;
  size_t size = 0;
  for (size_t cut = 0; cut < 300; ++cut) {
    EXPECT_EQ(ParsePacket(std::string_view(bytes).substr(0, cut), packet, size),
              Parsed::kIncomplete);
  }
  ASSERT_EQ(ParsePacket(bytes, packet, size), Parsed::kPacket);
  PublishView publish;
  ASSERT_TRUE(ParsePublish(packet, publish));
  EXPECT_EQ(publish.topic, "inbox/a");
  EXPECT_EQ(publish.payload, std::string(300, 'p'));
  EXPECT_EQ(publish.qos, 1);
  EXPECT_EQ(publish.packet_id, 77);
  ASSERT_EQ(ParsePacket(std::string_view(bytes).substr(size), packet, size), Parsed::kPacket);
  EXPECT_EQ(packet.type, PacketType::kPuback);
  EXPECT_EQ(ParsePacketId(packet), 78);
}

TEST(SwarmMqtt, ALengthOfFiveBytesIsMalformed) {
  PacketView packet;
  size_t size = 0;
  EXPECT_EQ(ParsePacket("\x30\xff\xff\xff\xff\x01 ", packet, size), Parsed::kMalformed);
}

TEST(SwarmMqtt, ASubscribeCarriesAllFilters) {
  std::string bytes;
  PutSubscribe(bytes, 9, {"presence/bob", "i"}, 1);
  PacketView packet;
  size_t size = 0;
  ASSERT_EQ(ParsePacket(bytes, packet, size), Parsed::kPacket);
  EXPECT_EQ(size, bytes.size());
  EXPECT_EQ(packet.type, PacketType::kSubscribe);
  EXPECT_EQ(packet.flags, 2);
  EXPECT_EQ(packet.body, std::string("\0\x09\0\x0cpresence/bob\x01\0\x01i\x01", 21));
}

TEST(Histogram, QuantilesAreWithinAPercent) {
  Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), 0U);
  for (uint64_t i = 1; i <= 100'000; ++i) histogram.Record(i * 1000);
  EXPECT_NEAR(static_cast<double>(histogram.Quantile(0.5)), 50e6, 0.5e6);
  EXPECT_NEAR(static_cast<double>(histogram.Quantile(0.99)), 99e6, 1e6);
  EXPECT_EQ(histogram.Quantile(1.0), 100'000'000U);
  EXPECT_EQ(histogram.max(), 100'000'000U);
}

TEST(Histogram, TakesTheExtremes) {
  Histogram histogram;
  histogram.Record(0);
  histogram.Record(UINT64_MAX);
  EXPECT_EQ(histogram.Quantile(0.5), 0U);
  EXPECT_EQ(histogram.Quantile(1.0), UINT64_MAX);
}

TEST(Traffic, TextsCarryTheirTime) {
  const std::string text = load::StampedText(123'456'789'012'345, 100);
  EXPECT_EQ(text.size(), 100U);
  EXPECT_EQ(load::StampOf(text), 123'456'789'012'345);
  EXPECT_EQ(load::StampOf("hello"), 0);
  EXPECT_EQ(load::StampOf("this is no stamp at all"), 0);
}

TEST(Probe, ReadsThisProcessAndRefusesNonsense) {
  const auto usage = UsageOf(getpid());
  ASSERT_TRUE(usage.ok());
  EXPECT_GT(usage->rss_bytes, 100'000);
  EXPECT_FALSE(UsageOf(1 << 30).ok());
  EXPECT_TRUE(ParseWatched("redis=12").ok());
  for (const char* bad : {"redis", "redis=", "=3", "redis=-1", "redis=3x"}) {
    EXPECT_FALSE(ParseWatched(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace nightjar::swarm
