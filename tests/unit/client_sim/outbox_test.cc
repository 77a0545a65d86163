#include "client-sim/brain/outbox.h"

#include <gtest/gtest.h>

namespace nightjar::client {
namespace {

v1::Send To(const std::string& uid) {
  v1::Send send;
  send.set_to(uid);
  return send;
}
v1::Accepted Yes(uint64_t id) {
  v1::Accepted accepted;
  accepted.set_client_msg_id(id);
  return accepted;
}
v1::Rejected No(uint64_t id, v1::Code code, uint32_t retry_ms = 0) {
  v1::Rejected rejected;
  rejected.set_client_msg_id(id);
  rejected.mutable_error()->set_code(code);
  rejected.mutable_error()->set_retry_after_ms(retry_ms);
  return rejected;
}

TEST(Outbox, IdsGrowWhateverTheClockDoes) {
  Outbox outbox("a");
  EXPECT_EQ(outbox.Write(To("b"), 1000), 1000U);
  EXPECT_EQ(outbox.Write(To("b"), 1000), 1001U);
  EXPECT_EQ(outbox.Write(To("b"), 10), 1002U);
  EXPECT_EQ(outbox.Write(To("b"), 5000), 5000U);
}

TEST(Outbox, RepeatsUnderTheSameIdUntilAnswered) {
  Outbox outbox("a");
  const uint64_t id = outbox.Write(To("b"), 1);
  ASSERT_EQ(outbox.TakeDue(0).size(), 1U);
  EXPECT_TRUE(outbox.TakeDue(Outbox::kRepeatAfterMs - 1).empty());
  auto again = outbox.TakeDue(Outbox::kRepeatAfterMs);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].client_msg_id(), id);
  outbox.Disconnected();
  ASSERT_EQ(outbox.TakeDue(Outbox::kRepeatAfterMs + 1).size(), 1U) << "on the new line at once";
  EXPECT_TRUE(outbox.Accepted(Yes(id)));
  EXPECT_FALSE(outbox.Accepted(Yes(id))) << "the answer to a repeat";
  EXPECT_EQ(outbox.NextDeadline(), INT64_MAX);
}

TEST(Outbox, SixteenAreUnderWayFromTheOldestUnansweredOn) {
  Outbox outbox("a");
  std::vector<uint64_t> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(outbox.Write(To("b"), 1));
  outbox.Write(To("c"), 1);
  EXPECT_EQ(outbox.TakeDue(0).size(), 17U) << "16 to b, and another chat is not held up";
  for (int i = 1; i < 16; ++i) outbox.Accepted(Yes(ids[static_cast<size_t>(i)]));
  EXPECT_TRUE(outbox.TakeDue(1).empty()) << "the oldest is open: the window may not slide past it";
  outbox.Accepted(Yes(ids[0]));
  EXPECT_EQ(outbox.TakeDue(1).size(), 4U);
}

TEST(Outbox, ARefusalForNowIsRepeatedAndAFinalOneIsNot) {
  Outbox outbox("a");
  const uint64_t id = outbox.Write(To("b"), 1);
  outbox.TakeDue(0);
  EXPECT_FALSE(outbox.Rejected(No(id, v1::UNAVAILABLE, 300), 1000));
  EXPECT_EQ(outbox.NextDeadline(), 1300);
  EXPECT_EQ(outbox.TakeDue(1300).size(), 1U);
  EXPECT_FALSE(outbox.Rejected(No(id, v1::RESOURCE_EXHAUSTED, 300), 2000));
  EXPECT_TRUE(outbox.Rejected(No(id, v1::PERMISSION_DENIED), 2300));
  EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, IsBounded) {
  Outbox outbox("a", 2);
  EXPECT_NE(outbox.Write(To("b"), 1), 0U);
  EXPECT_NE(outbox.Write(To("b"), 1), 0U);
  EXPECT_EQ(outbox.Write(To("b"), 1), 0U);
}

}  // namespace
}  // namespace nightjar::client
