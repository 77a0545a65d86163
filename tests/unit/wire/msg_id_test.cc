#include "common/wire/msg_id.h"

#include <gtest/gtest.h>

namespace nightjar {
namespace {

constexpr int64_t kNow = 1'800'000'000'000;

TEST(MsgId, IsMillisecondsThenSequence) {
  const MsgId id = MakeMsgId(kNow, 5);
  EXPECT_EQ(id, (uint64_t{1'800'000'000'000} << 20) + 5);
  EXPECT_EQ(MsgIdMs(id), kNow);
}

TEST(MsgId, TakesReceptionTimeWithinTheHubsClock) {
  EXPECT_EQ(NextMsgId(0, kNow - 3, kNow), MakeMsgId(kNow - 3, 0));
  EXPECT_EQ(NextMsgId(0, kNow + 60'000, kNow), MakeMsgId(kNow, 0));            // a clock ahead
  EXPECT_EQ(NextMsgId(0, kNow - 60'000, kNow), MakeMsgId(kNow - 10'000, 0));   // and behind
}

TEST(MsgId, GrowsStrictlyAndCarriesAFullSequence) {
  EXPECT_EQ(NextMsgId(MakeMsgId(kNow, 0), kNow, kNow), MakeMsgId(kNow, 1));
  EXPECT_EQ(NextMsgId(MakeMsgId(kNow, 7), kNow - 5, kNow), MakeMsgId(kNow, 8));
  EXPECT_EQ(NextMsgId(MakeMsgId(kNow, (1 << 20) - 1), kNow, kNow), MakeMsgId(kNow + 1, 0));
}

TEST(MsgId, StandsInEightBytesLittleEndian) {
  const MsgId id = 0x0102030405060708;
  EXPECT_EQ(MsgIdBytes(id), "\x08\x07\x06\x05\x04\x03\x02\x01");
  EXPECT_EQ(MsgIdFromBytes(MsgIdBytes(id).data()), id);
  EXPECT_EQ(MsgIdFromBytes(MsgIdBytes(~MsgId{0}).data()), ~MsgId{0});
}

}  // namespace
}  // namespace nightjar
