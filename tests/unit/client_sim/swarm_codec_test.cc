// The load generator's own codecs, against the generated code and against themselves.
#include <gtest/gtest.h>
#include <unistd.h>

#include "client-sim/swarm/frames.h"
#include "client-sim/swarm/histogram.h"
#include "client-sim/swarm/mqtt_codec.h"
#include "client-sim/swarm/probe.h"
#include "client-sim/swarm/traffic.h"
#include "nightjar/v1/client.pb.h"

namespace nightjar::swarm {
namespace {

TEST(SwarmFrames, ASendReadsAsOne) {
  std::string bytes;
  SendFields fields;
  fields.client_msg_id = 1'700'000'000'123;
  fields.to = "bob";
  fields.text = "hello";
  fields.ack = 300;
  fields.epoch = 1;
  EncodeSend(bytes, fields);
  v1::Send send;
  ASSERT_TRUE(send.ParseFromString(bytes));
  EXPECT_EQ(send.client_msg_id(), 1'700'000'000'123U);
  EXPECT_EQ(send.to(), "bob");
  EXPECT_EQ(send.text(), "hello");
  EXPECT_EQ(send.ack(), 300U);
  EXPECT_EQ(send.epoch(), 1U);
}

TEST(SwarmFrames, AnAckReadsAsOne) {
  std::string bytes;
  EncodeAck(bytes, 200, 3, true);
  v1::Ack ack;
  ASSERT_TRUE(ack.ParseFromString(bytes));
  EXPECT_EQ(ack.seq(), 200U);
  EXPECT_EQ(ack.epoch(), 3U);
  EXPECT_TRUE(ack.resend());
}

TEST(SwarmFrames, DecodesWhatTheHotPathNeeds) {
  v1::ServerFrame frame;
  frame.set_seq(400);
  frame.set_skipped(2);
  frame.mutable_message()->set_msg_id(1ULL << 60);
  frame.mutable_message()->set_chat_id("d:a:b");
  frame.mutable_message()->set_author("a");
  frame.mutable_message()->set_text("hello");
  std::string bytes = frame.SerializeAsString();
  FrameView view;
  ASSERT_TRUE(DecodeFrame(bytes, view));
  EXPECT_EQ(view.kind, FrameView::Kind::kMessage);
  EXPECT_EQ(view.seq, 400U);
  EXPECT_EQ(view.skipped, 2U);
  EXPECT_EQ(view.msg_id, 1ULL << 60);
  EXPECT_EQ(view.chat_id, "d:a:b");
  EXPECT_EQ(view.text, "hello");

  frame.Clear();
  auto* delivered = frame.mutable_delivered();
  delivered->set_chat_id("d:a:b");
  delivered->add_marks()->set_msg_id(7);
  delivered->add_marks()->set_msg_id(5);
  bytes = frame.SerializeAsString();
  ASSERT_TRUE(DecodeFrame(bytes, view));
  EXPECT_EQ(view.kind, FrameView::Kind::kDelivered);
  EXPECT_EQ(view.msg_id, 7U);

  frame.Clear();
  frame.mutable_rejected()->set_client_msg_id(9);
  frame.mutable_rejected()->mutable_error()->set_code(v1::UNAVAILABLE);
  frame.mutable_rejected()->mutable_error()->set_retry_after_ms(250);
  bytes = frame.SerializeAsString();
  ASSERT_TRUE(DecodeFrame(bytes, view));
  EXPECT_EQ(view.kind, FrameView::Kind::kRejected);
  EXPECT_EQ(view.client_msg_id, 9U);
  EXPECT_EQ(view.code, 14U);
  EXPECT_EQ(view.retry_after_ms, 250U);

  frame.Clear();
  frame.mutable_sync()->set_epoch(3);
  frame.mutable_sync()->set_start(11);
  bytes = frame.SerializeAsString();
  ASSERT_TRUE(DecodeFrame(bytes, view));
  EXPECT_EQ(view.kind, FrameView::Kind::kSync);
  EXPECT_EQ(view.epoch, 3U);
  EXPECT_EQ(view.start, 11U);
}

TEST(SwarmFrames, CutBytesAreRefusedOrReadShort) {
  v1::ServerFrame frame;
  frame.mutable_message()->set_text(std::string(100, 'x'));
  const std::string bytes = frame.SerializeAsString();
  for (size_t size = 1; size < bytes.size(); ++size) {
    FrameView view;
    EXPECT_FALSE(DecodeFrame(std::string_view(bytes).substr(0, size), view)) << size;
  }
}

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
  const std::string text = StampedText(123'456'789'012'345, 100);
  EXPECT_EQ(text.size(), 100U);
  EXPECT_EQ(StampOf(text), 123'456'789'012'345);
  EXPECT_EQ(StampOf("hello"), 0);
  EXPECT_EQ(StampOf("this is no stamp at all"), 0);
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
