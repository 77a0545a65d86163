// Whatever happens in whatever order, each message for somebody away has exactly one outcome: after
// enough rounds the outcomes are as many as the messages, and `owed` has never gone back.
#include <gtest/gtest.h>

#include "common/base/dice.h"
#include "notifier/core/round.h"

namespace nightjar::notify {
namespace {

class Life {
 public:
  explicit Life(uint64_t seed) : dice_(seed) {
    user_.uid = "bob";
    for (bool& configured : options_.gateways) configured = dice_.Below(4) > 0;
    options_.expire_ms = 200'000;
    for (uint64_t n = dice_.Below(4); n > 0; --n) AddDevice();
  }

  void Step() {
    now_ms_ += dice_.Below(40) == 0 ? options_.expire_ms : dice_.Between(0, 5'000);
    switch (dice_.Below(9)) {
      case 4:
        return Trim();
      case 0:
        return Acknowledge();
      case 1:
        return Mute();
      case 2:
        return Quiet();
      case 3:
        return Look();
      default:
        return Arrive();
    }
  }
  // Rounds until nothing is owed any more; gateways answer for good in the end.
  void Finish() {
    stubborn_ = false;
    for (int i = 0; i < 1000 && user_.owed != 0; ++i) Look();
  }
  uint64_t messages() const { return messages_; }
  const Tally& tally() const { return tally_; }
  bool owing() const { return user_.owed != 0; }

 private:
  void AddDevice() {
    Device device;
    device.id = "d" + std::to_string(user_.devices.size());
    const uint64_t which = dice_.Below(3);
    if (which == 0) device.registration.mutable_fcm();
    if (which == 1) device.registration.mutable_apns();
    if (which == 2) device.registration.mutable_web_push();
    user_.devices.push_back(device);
  }
  std::string SomeChat() { return "c" + std::to_string(dice_.Below(4)); }

  void Arrive() {
    for (uint64_t n = dice_.Below(dice_.Below(20) == 0 ? 1500 : 6); n > 0; --n) {
      const bool own = own_ && dice_.Below(5) == 0;
      v1::ServerFrame frame;
      frame.mutable_message()->set_msg_id(MakeMsgId(now_ms_, static_cast<uint32_t>(++user_.head)));
      frame.mutable_message()->set_chat_id(SomeChat());
      frame.mutable_message()->set_author(own ? "bob" : "alice");
      entries_.push_back(frame.SerializeAsString());
      if (own) continue;
      ++messages_;
      if (user_.owed == 0) user_.owed = user_.head;
    }
  }
  void Acknowledge() {
    user_.acked = static_cast<uint64_t>(
        dice_.Between(static_cast<int64_t>(user_.acked), static_cast<int64_t>(user_.head)));
  }
  // In a life with own messages the inbox keeps everything: of what has left it none can be told
  // from the others.
  void Trim() {
    if (own_ || dice_.Below(4) > 0) return;
    user_.base = static_cast<uint64_t>(
        dice_.Between(static_cast<int64_t>(user_.base), static_cast<int64_t>(user_.head)));
  }
  void Mute() { user_.mutes[SomeChat()] = now_ms_ + dice_.Between(-1000, 20'000); }
  void Quiet() {
    if (user_.devices.empty()) return;
    Device& device = user_.devices[dice_.Below(user_.devices.size())];
    device.quiet_until_ms = now_ms_ + dice_.Between(-1000, 20'000);
  }

  void Look() {
    if (user_.owed == 0) return;
    Digest digest(user_);
    uint64_t seq = ScanFrom(user_);
    for (uint64_t n = 0; n < kScanEntries && seq <= user_.head; ++n, ++seq) {
      digest.Add(seq, entries_[seq - 1]);
    }
    Round round(user_, digest, options_, now_ms_);
    for (size_t i = 0; i < round.notifications().size(); ++i) {
      if (stubborn_ && dice_.Below(5) == 0) continue;  // no answer came
      const auto kind = static_cast<Answer::Kind>(dice_.Below(stubborn_ ? 4 : 3));
      round.Answer(i, {kind, dice_.Between(0, 10'000)});
    }
    now_ms_ += dice_.Between(0, 1000);
    const Round::Settlement settled = round.Settle(now_ms_);
    if (stubborn_ && dice_.Below(8) == 0) return;  // killed before it was written down
    tally_ += settled.tally;
    if (settled.upto == 0) {
      EXPECT_EQ(settled.tally.Total(), 0u);
      user_.told = round.Told();
      return;
    }
    EXPECT_GE(settled.upto, user_.owed);
    EXPECT_EQ(settled.again, settled.upto < user_.head);
    user_.owed = settled.upto < user_.head ? settled.upto + 1 : 0;
    user_.told = user_.owed != 0 ? round.Told() : std::map<std::string, MsgId>{};
  }

  Dice dice_;
  UserState user_;
  RoundOptions options_;
  std::vector<std::string> entries_;
  int64_t now_ms_ = 1'800'000'000'000;
  uint64_t messages_ = 0;
  Tally tally_;
  bool own_ = dice_.Below(2) == 0;
  bool stubborn_ = true;
};

TEST(RoundProperty, OutcomesAddUpToTheMessages) {
  Tally all;
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    Life life(seed);
    for (int step = 0; step < 60; ++step) life.Step();
    life.Finish();
    ASSERT_FALSE(life.owing()) << "seed " << seed;
    ASSERT_EQ(life.tally().Total(), life.messages()) << "seed " << seed;
    all += life.tally();
  }
  for (size_t i = 0; i < kOutcomes; ++i) {
    EXPECT_GT(all.counts[i], 0u) << OutcomeName(static_cast<Outcome>(i)) << " never happened";
  }
}

}  // namespace
}  // namespace nightjar::notify
