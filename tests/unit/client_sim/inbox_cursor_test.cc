#include "client-sim/brain/inbox_cursor.h"

#include <gtest/gtest.h>

namespace nightjar::client {
namespace {

using Verdict = InboxCursor::Verdict;

v1::Sync MakeSync(uint64_t epoch, uint64_t start, bool resync = false) {
  v1::Sync sync;
  sync.set_epoch(epoch);
  sync.set_start(start);
  sync.set_resync(resync);
  return sync;
}

TEST(InboxCursor, NothingCountsBeforeSync) {
  InboxCursor cursor;
  EXPECT_EQ(cursor.Take(1, 0, 0), Verdict::kNoSync);
  EXPECT_EQ(cursor.NextDeadline(), INT64_MAX);
}

TEST(InboxCursor, TakesWhatContinuesAndDropsRepeats) {
  InboxCursor cursor;
  EXPECT_FALSE(cursor.Sync(MakeSync(1, 5), 0));
  EXPECT_EQ(cursor.Take(6, 0, 0), Verdict::kNew);
  EXPECT_EQ(cursor.Take(6, 0, 0), Verdict::kRepeat);
  EXPECT_EQ(cursor.Take(3, 0, 0), Verdict::kRepeat);
  EXPECT_EQ(cursor.Take(9, 2, 0), Verdict::kNew) << "7 and 8 were skipped for this device";
  EXPECT_EQ(cursor.held(), 9U);
  EXPECT_EQ(cursor.Take(11, 3, 0), Verdict::kNew) << "skipped may reach back over what is held";
}

TEST(InboxCursor, AsksForWhatIsMissingOnceAndAgainLater) {
  InboxCursor cursor;
  cursor.Sync(MakeSync(1, 0), 0);
  EXPECT_EQ(cursor.Take(2, 0, 10), Verdict::kGap);
  EXPECT_EQ(cursor.Take(3, 0, 10), Verdict::kGap);
  auto ack = cursor.AckDue(10);
  ASSERT_TRUE(ack);
  EXPECT_TRUE(ack->resend());
  EXPECT_EQ(ack->seq(), 0U);
  EXPECT_FALSE(cursor.AckDue(11)) << "every frame in flight would ask again";
  ack = cursor.AckDue(10 + InboxCursor::kAskAgainAfterMs);
  ASSERT_TRUE(ack);
  EXPECT_TRUE(ack->resend());
  EXPECT_EQ(cursor.Take(1, 0, 3000), Verdict::kNew);
  ack = cursor.AckDue(10'000);
  ASSERT_TRUE(ack);
  EXPECT_FALSE(ack->resend());
}

TEST(InboxCursor, CollectsAcknowledgementsFor200Ms) {
  InboxCursor cursor;
  cursor.Sync(MakeSync(7, 0), 0);
  cursor.Take(1, 0, 1000);
  cursor.Take(2, 0, 1100);
  EXPECT_FALSE(cursor.AckDue(1199));
  const auto ack = cursor.AckDue(1200);
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->seq(), 2U);
  EXPECT_EQ(ack->epoch(), 7U);
  EXPECT_EQ(cursor.NextDeadline(), INT64_MAX);
}

TEST(InboxCursor, AnAcknowledgementRidesInASend) {
  InboxCursor cursor;
  cursor.Sync(MakeSync(7, 0), 0);
  v1::Send send;
  EXPECT_FALSE(cursor.Ride(send)) << "nothing is owed";
  cursor.Take(1, 0, 1000);
  EXPECT_TRUE(cursor.Ride(send));
  EXPECT_EQ(send.ack(), 1U);
  EXPECT_EQ(send.epoch(), 7U);
  EXPECT_EQ(cursor.NextDeadline(), INT64_MAX);
}

TEST(InboxCursor, ANewEpochOrAResyncMeansRebuilding) {
  InboxCursor cursor;
  EXPECT_FALSE(cursor.Sync(MakeSync(1, 9), 0));
  cursor.Disconnected();
  EXPECT_FALSE(cursor.Sync(MakeSync(1, 9), 0));
  EXPECT_TRUE(cursor.Sync(MakeSync(2, 0), 0));
  EXPECT_EQ(cursor.held(), 0U);
  EXPECT_TRUE(cursor.Sync(MakeSync(2, 4, true), 0));
}

}  // namespace
}  // namespace nightjar::client
