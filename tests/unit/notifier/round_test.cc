#include "notifier/core/round.h"

#include <gtest/gtest.h>

namespace nightjar::notify {
namespace {

constexpr int64_t kNow = 1'800'000'000'000;

// A user whose inbox is filled entry by entry, and what a round makes of it.
class RoundTest : public testing::Test {
 protected:
  RoundTest() {
    user_.uid = "bob";
    options_.gateways = {true, true, true};
  }
  void Entry(const std::string& author, const std::string& chat, int64_t at_ms = kNow - 1000,
             const std::string& text = "hi") {
    v1::ServerFrame frame;
    v1::Message& message = *frame.mutable_message();
    message.set_msg_id(MakeMsgId(at_ms, static_cast<uint32_t>(++user_.head)));
    message.set_chat_id(chat);
    message.set_author(author);
    message.set_text(text);
    entries_.push_back(frame.SerializeAsString());
  }
  void AddDevice(const std::string& id, Gateway gateway, int64_t quiet_until_ms = 0) {
    Device device;
    device.id = id;
    device.quiet_until_ms = quiet_until_ms;
    if (gateway == Gateway::kFcm) device.registration.mutable_fcm();
    if (gateway == Gateway::kApns) device.registration.mutable_apns();
    if (gateway == Gateway::kWebPush) device.registration.mutable_web_push();
    user_.devices.push_back(device);
  }
  Round& Look() {
    digest_.emplace(user_);
    for (uint64_t seq = ScanFrom(user_); seq <= user_.head; ++seq) {
      digest_->Add(seq, entries_[seq - 1]);
    }
    round_.emplace(user_, *digest_, options_, kNow);
    return *round_;
  }
  static Tally Only(Outcome outcome, uint64_t n) {
    Tally tally;
    tally.Add(outcome, n);
    return tally;
  }

  UserState user_;
  RoundOptions options_;
  std::vector<std::string> entries_;
  std::optional<Digest> digest_;
  std::optional<Round> round_;
};

TEST_F(RoundTest, MessagesOfOneChatAreOneNotificationWithACount) {
  AddDevice("phone", Gateway::kFcm);
  user_.owed = 1;
  for (int i = 0; i < 3; ++i) Entry("alice", "c1", kNow - 1000 + i, std::to_string(i));
  Entry("carol", "c2");
  Round& round = Look();
  ASSERT_EQ(round.notifications().size(), 2u);
  EXPECT_EQ(round.notifications()[0].count, 3u);
  EXPECT_EQ(round.notifications()[1].count, 1u);
  EXPECT_EQ(round.notifications()[0].badge, 4u);
  EXPECT_EQ(digest_->chats()[0].text, "2") << "the newest is shown";
  EXPECT_EQ(round.notifications()[0].gateway, Gateway::kFcm);
  EXPECT_FALSE(round.Finished());
  round.Answer(0, {Answer::Kind::kSent});
  round.Answer(1, {Answer::Kind::kSent});
  EXPECT_TRUE(round.Finished());
  const Round::Settlement settled = round.Settle(kNow);
  EXPECT_EQ(settled.tally, Only(Outcome::kSent, 4));
  EXPECT_EQ(settled.upto, 4u);
  EXPECT_FALSE(settled.again);
}

TEST_F(RoundTest, CountAndBadgeCoverWhatWasToldBefore) {
  AddDevice("phone", Gateway::kFcm);
  for (int i = 0; i < 5; ++i) Entry("alice", "c1");
  user_.acked = 1;
  user_.owed = 5;
  Round& round = Look();
  ASSERT_EQ(round.notifications().size(), 1u);
  EXPECT_EQ(round.notifications()[0].count, 4u);
  EXPECT_EQ(round.notifications()[0].badge, 4u);
  round.Answer(0, {Answer::Kind::kSent});
  EXPECT_EQ(round.Settle(kNow).tally, Only(Outcome::kSent, 1));
}

TEST_F(RoundTest, CollapseKeysAreOneAChatAndUser) {
  AddDevice("phone", Gateway::kFcm);
  AddDevice("browser", Gateway::kWebPush);
  user_.owed = 1;
  Entry("alice", "c1");
  Entry("alice", "c2");
  const std::vector<Notification> mine = Look().notifications();
  ASSERT_EQ(mine.size(), 4u);
  EXPECT_EQ(mine[0].collapse_key, mine[1].collapse_key);
  EXPECT_NE(mine[0].collapse_key, mine[2].collapse_key);
  EXPECT_EQ(mine[0].collapse_key.size(), 24u);
  user_.uid = "rob";
  EXPECT_NE(Look().notifications()[0].collapse_key, mine[0].collapse_key);
}

TEST_F(RoundTest, OwnMessagesAndChangesOweNothing) {
  AddDevice("phone", Gateway::kFcm);
  user_.owed = 1;
  Entry("bob", "c1");
  v1::ServerFrame change;
  change.mutable_chat_change()->set_by("alice");
  ++user_.head;
  entries_.push_back(change.SerializeAsString());
  Round& round = Look();
  EXPECT_TRUE(round.notifications().empty());
  const Round::Settlement settled = round.Settle(kNow);
  EXPECT_EQ(settled.tally.Total(), 0u);
  EXPECT_EQ(settled.upto, 2u);
  EXPECT_FALSE(settled.again);
}

TEST_F(RoundTest, WhatCannotBeReadIsPassedOver) {
  AddDevice("phone", Gateway::kFcm);
  user_.owed = user_.head = 1;
  entries_.push_back("\xff\xff");
  EXPECT_EQ(Look().Settle(kNow).upto, 1u);
  EXPECT_EQ(digest_->damaged(), 1u);
}

TEST_F(RoundTest, AcknowledgedMeanwhileIsNotPushed) {
  AddDevice("phone", Gateway::kFcm);
  user_.owed = 1;
  Entry("alice", "c1");
  Entry("alice", "c2");
  user_.acked = 1;
  Round& round = Look();
  ASSERT_EQ(round.notifications().size(), 1u);
  EXPECT_EQ(digest_->chats()[round.notifications()[0].chat].id, "c2");
  round.Answer(0, {Answer::Kind::kSent});
  Tally tally = Only(Outcome::kAcknowledged, 1);
  tally.Add(Outcome::kSent);
  EXPECT_EQ(round.Settle(kNow).tally, tally);
}

TEST_F(RoundTest, SuppressedForEachReason) {
  user_.owed = 1;
  Entry("alice", "c1");
  EXPECT_EQ(Look().Settle(kNow).tally, Only(Outcome::kNoRegistration, 1));
  AddDevice("phone", Gateway::kFcm, -1);
  EXPECT_EQ(Look().Settle(kNow).tally, Only(Outcome::kOptedOut, 1));
  user_.devices[0].quiet_until_ms = kNow;  // just over
  options_.gateways = {};
  EXPECT_EQ(Look().Settle(kNow).tally, Only(Outcome::kNoGateway, 1));
  options_.gateways = {true, true, true};
  user_.mutes["c1"] = kNow + 1;
  EXPECT_EQ(Look().Settle(kNow).tally, Only(Outcome::kMuted, 1));
  user_.mutes["c1"] = kNow;
  EXPECT_EQ(Look().notifications().size(), 1u) << "a mute that is over";
}

TEST_F(RoundTest, AQuietDeviceDoesNotSilenceAnother) {
  AddDevice("phone", Gateway::kFcm, -1);
  AddDevice("browser", Gateway::kWebPush);
  user_.owed = 1;
  Entry("alice", "c1");
  Round& round = Look();
  ASSERT_EQ(round.notifications().size(), 1u);
  EXPECT_EQ(round.notifications()[0].device, 1u);
}

TEST_F(RoundTest, OldMessagesExpire) {
  AddDevice("phone", Gateway::kFcm);
  user_.owed = 1;
  Entry("alice", "c1", kNow - options_.expire_ms);
  Entry("alice", "c2", kNow - options_.expire_ms + 1);
  Round& round = Look();
  ASSERT_EQ(round.notifications().size(), 1u);
  EXPECT_EQ(round.notifications()[0].expires_ms, kNow + 1);
  round.Answer(0, {Answer::Kind::kLater});
  // While the gateway keeps it waiting, it expires too.
  EXPECT_EQ(round.Settle(kNow).tally, Only(Outcome::kExpired, 1));
  EXPECT_EQ(round.Settle(kNow + 1).tally, Only(Outcome::kExpired, 2));
  EXPECT_FALSE(round.Settle(kNow + 1).again);
}

TEST_F(RoundTest, WhatLeftTheInboxExpired) {
  for (int i = 0; i < 10; ++i) Entry("alice", "c1");
  user_.owed = 3;
  user_.acked = 4;
  user_.base = 10;
  Tally tally = Only(Outcome::kAcknowledged, 2);
  tally.Add(Outcome::kExpired, 6);
  EXPECT_EQ(Look().Settle(kNow).tally, tally);
  EXPECT_EQ(round_->Settle(kNow).upto, 10u);
}

TEST_F(RoundTest, OneDeviceThatIsToldIsEnough) {
  AddDevice("phone", Gateway::kFcm);
  AddDevice("browser", Gateway::kWebPush);
  user_.owed = 1;
  Entry("alice", "c1");
  Round& round = Look();
  round.Answer(0, {Answer::Kind::kLater});
  round.Answer(1, {Answer::Kind::kSent});
  EXPECT_EQ(round.Settle(kNow).tally, Only(Outcome::kSent, 1));
}

TEST_F(RoundTest, DeadAndFailed) {
  AddDevice("phone", Gateway::kFcm);
  AddDevice("browser", Gateway::kWebPush);
  user_.owed = 1;
  Entry("alice", "c1");
  Round& round = Look();
  round.Answer(0, {Answer::Kind::kDeadToken});
  round.Answer(1, {Answer::Kind::kDeadToken});
  EXPECT_EQ(round.Settle(kNow).tally, Only(Outcome::kDeadToken, 1));
  round.Answer(1, {Answer::Kind::kFailed});
  EXPECT_EQ(round.Settle(kNow).tally, Only(Outcome::kFailed, 1));
}

TEST_F(RoundTest, WhatHasToWaitHoldsBackWhatIsBehindIt) {
  AddDevice("phone", Gateway::kFcm);
  user_.owed = 1;
  Entry("alice", "muted");
  Entry("alice", "c1");
  Entry("alice", "c2");
  user_.mutes["muted"] = -1;
  Round& round = Look();
  ASSERT_EQ(round.notifications().size(), 2u);
  round.Answer(0, {Answer::Kind::kLater, 7'000});
  round.Answer(1, {Answer::Kind::kSent});
  const Round::Settlement settled = round.Settle(kNow);
  EXPECT_EQ(settled.upto, 1u);
  EXPECT_EQ(settled.tally, Only(Outcome::kMuted, 1));
  EXPECT_TRUE(settled.again);
  EXPECT_EQ(settled.again_ms, kNow + 7'000);
  // The next look does not tell c2 again.
  user_.owed = settled.upto + 1;
  user_.told = round.Told();
  Round& next = Look();
  ASSERT_EQ(next.notifications().size(), 1u);
  next.Answer(0, {Answer::Kind::kSent});
  EXPECT_EQ(next.Settle(kNow).tally, Only(Outcome::kSent, 2));
}

TEST_F(RoundTest, HowLongToWait) {
  AddDevice("phone", Gateway::kFcm);
  user_.owed = 1;
  Entry("alice", "c1");
  Round& round = Look();
  EXPECT_EQ(round.Settle(kNow).again_ms, kNow + options_.retry_ms) << "nobody answered";
  EXPECT_EQ(round.Settle(kNow).upto, 0u);
  round.Answer(0, {Answer::Kind::kLater, options_.retry_most_ms * 5});
  EXPECT_EQ(round.Settle(kNow).again_ms, kNow + options_.retry_most_ms);
}

TEST_F(RoundTest, WhoIsBackIsLeftAlone) {
  AddDevice("phone", Gateway::kFcm);
  user_.owed = 1;
  user_.routes = 1;
  Entry("alice", "c1");
  Round& round = Look();
  EXPECT_TRUE(round.notifications().empty());
  EXPECT_EQ(round.Settle(kNow).upto, 0u);
  EXPECT_EQ(round.Settle(kNow).tally.Total(), 0u);
  EXPECT_FALSE(round.Settle(kNow).again);
}

TEST_F(RoundTest, ALongInboxIsLookedAtFromWhatIsOwed) {
  user_.owed = 1500;
  user_.head = 2000;
  EXPECT_EQ(ScanFrom(user_), 1500u);
  user_.acked = 1000;
  EXPECT_EQ(ScanFrom(user_), 1001u);
  user_.base = 1200;
  EXPECT_EQ(ScanFrom(user_), 1201u);
  user_.acked = 1600;
  EXPECT_EQ(ScanFrom(user_), 1500u) << "what was acknowledged while owed is counted too";
}

}  // namespace
}  // namespace nightjar::notify
