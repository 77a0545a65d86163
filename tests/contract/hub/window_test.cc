// The repeat window: 16 ids a device, 16 devices a user and chat, floors.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class WindowTest : public HubTest {
 protected:
  SendReply From(const std::string& device, uint64_t client_msg_id) {
    auto send = MakeSend(kDirect, "alice", client_msg_id);
    send.device = device;
    return Ask<SendReply>(send);
  }
};
NIGHTJAR_HUB_SUITE(WindowTest);

TEST_P(WindowTest, SixteenIdsAreRemembered) {
  std::vector<MsgId> ids{0};
  for (uint64_t c = 1; c <= 17; ++c) ids.push_back(From("phone", c * 10).msg_id);
  EXPECT_EQ(From("phone", 10).outcome, Sent::kBelowWindow);
  for (uint64_t c = 2; c <= 17; ++c) {
    const auto repeat = From("phone", c * 10);
    EXPECT_EQ(repeat.outcome, Sent::kRepeat);
    EXPECT_EQ(repeat.msg_id, ids[c]);
  }
  EXPECT_EQ(From("phone", 19).outcome, Sent::kBelowWindow);
  EXPECT_EQ(From("phone", 0).outcome, Sent::kAccepted);
}

TEST_P(WindowTest, OutOfOrderWithinTheWindow) {
  for (uint64_t c = 100; c < 116; ++c) {
    if (c != 107) From("phone", c);
  }
  const auto late = From("phone", 107);
  EXPECT_EQ(late.outcome, Sent::kAccepted);
  EXPECT_EQ(From("phone", 107).outcome, Sent::kRepeat);
  EXPECT_EQ(From("phone", 107).msg_id, late.msg_id);
  EXPECT_EQ(From("phone", 99).outcome, Sent::kBelowWindow);
  EXPECT_EQ(From("phone", 100).outcome, Sent::kRepeat);
  EXPECT_EQ(From("phone", 116).outcome, Sent::kAccepted);
  EXPECT_EQ(From("phone", 100).outcome, Sent::kBelowWindow);
}

TEST_P(WindowTest, AWindowThatIsNotFullTakesLowerIds) {
  From("phone", 1000);
  EXPECT_EQ(From("phone", 5).outcome, Sent::kAccepted);
  EXPECT_EQ(From("phone", 5).outcome, Sent::kRepeat);
}

TEST_P(WindowTest, TheLargestIdWorks) {
  EXPECT_EQ(From("phone", limits::kMaxClientMsgId - 1).outcome, Sent::kAccepted);
  EXPECT_EQ(From("phone", limits::kMaxClientMsgId).outcome, Sent::kAccepted);
  EXPECT_EQ(From("phone", limits::kMaxClientMsgId).outcome, Sent::kRepeat);
  EXPECT_EQ(From("phone", limits::kMaxClientMsgId - 1).outcome, Sent::kRepeat);
}

TEST_P(WindowTest, RepeatLongAfter) {
  const auto first = From("phone", 1);
  for (uint64_t c = 2; c <= 16; ++c) From("phone", c);
  world().Advance(400LL * 24 * 3600 * 1000);
  EXPECT_EQ(From("phone", 1).msg_id, first.msg_id);
}

TEST_P(WindowTest, DevicesAndChatsAreApart) {
  From("phone", 1);
  EXPECT_EQ(From("tablet", 1).outcome, Sent::kAccepted);
  EXPECT_EQ(Send(kDirect, "bob", 1).outcome, Sent::kAccepted);
  EXPECT_EQ(Send(DirectChatId("alice", "carol"), "alice", 1).outcome, Sent::kAccepted);
  EXPECT_EQ(From("tablet", 1).outcome, Sent::kRepeat);
}

TEST_P(WindowTest, TheSeventeenthDeviceRaisesTheFloor) {
  const auto devices = Numbered("d", 17);
  for (uint64_t d = 0; d < 16; ++d) From(devices[d], 100 + d);
  From(devices[0], 50);  // d00 is no longer the one that sent longest ago: d01 is
  EXPECT_EQ(From(devices[16], 500).outcome, Sent::kAccepted);

  EXPECT_EQ(From(devices[1], 101).outcome, Sent::kBelowWindow);  // forgotten: below the floor
  EXPECT_EQ(From(devices[0], 50).outcome, Sent::kRepeat);        // below the floor but remembered
  EXPECT_EQ(From(devices[0], 51).outcome, Sent::kBelowWindow);   // the floor is the user's
  EXPECT_EQ(From(devices[0], 101).outcome, Sent::kBelowWindow);
  EXPECT_EQ(From(devices[0], 102).outcome, Sent::kAccepted);
  EXPECT_EQ(Send(kDirect, "bob", 1).outcome, Sent::kAccepted);  // the other user's is another
  EXPECT_EQ(world().ReadHidden().chats[kDirect].floors["alice"], 101u);

  // The forgotten one may send again above the floor; the next longest silent one goes.
  EXPECT_EQ(From(devices[1], 600).outcome, Sent::kAccepted);
  EXPECT_EQ(From(devices[2], 102).outcome, Sent::kBelowWindow);
  EXPECT_EQ(world().ReadHidden().chats[kDirect].floors["alice"], 102u);
}

TEST_P(WindowTest, TheFloorNeverFalls) {
  const auto devices = Numbered("d", 18);
  From(devices[0], 900);
  for (uint64_t d = 1; d < 16; ++d) From(devices[d], 1000 + d);
  From(devices[16], 2000);
  EXPECT_EQ(world().ReadHidden().chats[kDirect].floors["alice"], 900u);
  From(devices[17], 2001);
  EXPECT_EQ(world().ReadHidden().chats[kDirect].floors["alice"], 1001u);
}

TEST_P(WindowTest, SendsWithoutAnIdTakeNoRoom) {
  for (const auto& device : Numbered("d", 20)) From(device, 0);
  EXPECT_TRUE(world().ReadHidden().chats[kDirect].windows.empty());
  EXPECT_EQ(From("phone", 1).outcome, Sent::kAccepted);
}

}  // namespace nightjar::hub::contract
