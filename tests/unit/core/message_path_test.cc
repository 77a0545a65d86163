// The message path through the whole engine: connect, subscribe, send, deliver, acknowledge,
// delivered marks, redelivery.
#include <gtest/gtest.h>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

// The only frame of this kind among those that came.
template <typename Has>
std::vector<v1::ServerFrame> Only(const std::vector<v1::ServerFrame>& frames, Has has) {
  std::vector<v1::ServerFrame> out;
  for (const auto& frame : frames) {
    if (has(frame)) out.push_back(frame);
  }
  return out;
}
std::vector<v1::ServerFrame> Messages(const std::vector<v1::ServerFrame>& frames) {
  return Only(frames, [](const auto& frame) { return frame.has_message(); });
}

class MessagePath : public testing::Test {
 protected:
  MessagePath() {
    world.HubUp();
    world.RunHub();
  }
  World world;
};

TEST_F(MessagePath, TheFirstFrameIsSync) {
  const SessionId alice = world.Connect("alice", "a");
  ASSERT_TRUE(world.Subscribe(alice, "inbox/alice"));
  world.RunHub();
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].sync().epoch(), world.epoch());
  EXPECT_EQ(frames[0].sync().start(), 0U);
  EXPECT_FALSE(frames[0].sync().resync());
}

TEST_F(MessagePath, AMessageIsAcceptedAndDelivered) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  ASSERT_TRUE(world.SendText(alice, 1, "bob", "hello"));
  world.RunHub();
  const auto told = world.Take(alice);
  ASSERT_EQ(told.size(), 1U);
  ASSERT_TRUE(told[0].has_accepted());
  EXPECT_EQ(told[0].seq(), 0U);
  EXPECT_EQ(told[0].accepted().client_msg_id(), 1U);
  EXPECT_EQ(told[0].accepted().chat_id(), "d:alice:bob");
  const auto came = world.Take(bob);
  ASSERT_EQ(came.size(), 1U);
  EXPECT_EQ(came[0].seq(), 1U);
  EXPECT_EQ(came[0].skipped(), 0U);
  EXPECT_EQ(came[0].message().text(), "hello");
  EXPECT_EQ(came[0].message().author(), "alice");
  EXPECT_EQ(came[0].message().msg_id(), told[0].accepted().msg_id());
  EXPECT_EQ(came[0].message().client_msg_id(), 0U);  // the author's devices' only
  EXPECT_EQ(came[0].message().device(), "");
}

TEST_F(MessagePath, DeliveredComesOnlyAfterAnAcknowledgement) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "hello");
  world.RunHub();
  const MsgId id = world.Take(alice)[0].accepted().msg_id();
  world.Advance(5000);
  EXPECT_TRUE(world.Take(alice).empty());
  world.Ack(bob, 1);
  world.RunHub();
  const auto told = world.Take(alice);
  ASSERT_EQ(told.size(), 1U);
  ASSERT_TRUE(told[0].has_delivered());
  EXPECT_EQ(told[0].delivered().chat_id(), "d:alice:bob");
  EXPECT_EQ(told[0].delivered().marks(0).uid(), "bob");
  EXPECT_EQ(told[0].delivered().marks(0).msg_id(), id);
  EXPECT_TRUE(Messages(world.Take(bob)).size() == 1);
}

TEST_F(MessagePath, ARepeatIsAnsweredLikeTheFirst) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 7, "bob", "hello");
  world.RunHub();
  const auto first = world.Take(alice);
  world.SendText(alice, 7, "bob", "hello");
  world.RunHub();
  const auto second = world.Take(alice);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(first[0].SerializeAsString(), second[0].SerializeAsString());
  EXPECT_EQ(world.Take(bob).size(), 1U);
}

TEST_F(MessagePath, TheSendersOtherDeviceGetsTheMessageAndTheSenderASkippedOne) {
  const SessionId phone = world.Device("alice", "phone"), laptop = world.Device("alice", "laptop");
  const SessionId bob = world.Device("bob", "b");
  world.SendText(phone, 1, "bob", "one");
  world.RunHub();
  auto frames = world.Take(laptop);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].message().client_msg_id(), 1U);
  EXPECT_EQ(frames[0].message().device(), "phone");
  EXPECT_EQ(world.Take(phone).size(), 1U);  // accepted only
  world.SendText(bob, 1, "alice", "two");
  world.RunHub();
  frames = world.Take(phone);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].seq(), 2U);
  EXPECT_EQ(frames[0].skipped(), 1U);
}

TEST_F(MessagePath, ASequenceThatEndsSkippedIsClosedWithinASecond) {
  const SessionId phone = world.Device("alice", "phone");
  world.Device("alice", "laptop");
  world.SendText(phone, 1, "bob", "one");
  world.SendText(phone, 2, "bob", "two");
  world.RunHub();
  EXPECT_EQ(world.Take(phone).size(), 2U);
  world.Advance(1000);
  const auto frames = world.Take(phone);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].body_case(), v1::ServerFrame::BODY_NOT_SET);
  EXPECT_EQ(frames[0].seq(), 2U);
  EXPECT_EQ(frames[0].skipped(), 1U);
  world.Ack(phone, 2);
  world.Advance(60'000);
  EXPECT_TRUE(world.Take(phone).empty());
}

TEST_F(MessagePath, AfterAReconnectOnesOwnComeAsMessages) {
  const SessionId phone = world.Device("alice", "phone");
  world.Device("alice", "laptop");
  world.SendText(phone, 1, "bob", "one");
  world.RunHub();
  world.Disconnect(phone);
  const SessionId again = world.Connect("alice", "phone");
  world.Subscribe(again, "inbox/alice");
  world.RunHub();
  const auto messages = Messages(world.Take(again));
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].message().device(), "phone");
}

TEST_F(MessagePath, WhatCameWhileAwayIsCaughtUpWith) {
  const SessionId alice = world.Device("alice", "a");
  world.Disconnect(world.Device("bob", "b"));
  for (uint64_t i = 1; i <= 150; ++i) world.SendText(alice, i, "bob", "n");
  world.RunHub();
  const SessionId bob = world.Device("bob", "b");
  // Device() took the frames that came with sync; the window lets the rest through with acks.
  world.Disconnect(bob);
  const SessionId again = world.Connect("bob", "b");
  world.Subscribe(again, "inbox/bob");
  world.RunHub();
  uint64_t held = 0;
  for (int round = 0; round < 10; ++round) {
    for (const auto& frame : world.Take(again)) {
      if (frame.has_sync()) continue;
      EXPECT_EQ(frame.seq(), held + 1);
      held = frame.seq();
    }
    world.Ack(again, held);
    world.RunHub();
  }
  EXPECT_EQ(held, 150U);
}

TEST_F(MessagePath, TheWindowHoldsBackUntilAcknowledged) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  const std::string text(1000, 'x');
  for (uint64_t i = 1; i <= 60; ++i) world.SendText(alice, i, "bob", text);
  world.RunHub();
  const auto first = world.Take(bob);
  EXPECT_GE(first.size(), 15U);
  EXPECT_LE(first.size(), 17U);  // 16 KiB
  world.Ack(bob, first.back().seq());
  world.RunHub();
  const auto second = world.Take(bob);
  EXPECT_GT(second.size(), 25U);  // grown
  EXPECT_EQ(second.front().seq(), first.back().seq() + 1);
}

TEST_F(MessagePath, AtMost256EntriesAreUnderWay) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  uint64_t id = 0, held = 0;
  const auto burst = [&](int n) {
    for (int i = 0; i < n; ++i) {
      world.SendText(alice, ++id, "bob", ".");
      world.Advance(25);
    }
    world.RunHub();
  };
  for (int round = 0; round < 12; ++round) {  // let the window grow
    burst(200);
    const auto frames = world.Take(bob);
    ASSERT_FALSE(frames.empty());
    held = frames.back().seq();
    world.Ack(bob, held);
    world.RunHub();
  }
  for (const auto& frame : world.Take(bob)) held = frame.seq();
  world.Ack(bob, held);
  world.RunHub();
  ASSERT_TRUE(world.Take(bob).empty());
  burst(300);
  EXPECT_EQ(world.Take(bob).size(), 256U);
}

TEST_F(MessagePath, ResendSendsWhatFollows) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  for (uint64_t i = 1; i <= 5; ++i) world.SendText(alice, i, "bob", "n");
  world.RunHub();
  EXPECT_EQ(world.Take(bob).size(), 5U);
  world.Ack(bob, 2, true);
  world.RunHub();
  const auto frames = world.Take(bob);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].seq(), 3U);
}

// An ack of an earlier session took effect after the login that this sync is of; the next sync, of the
// login that this made necessary, was lost on the way.
TEST_F(MessagePath, WhoAsksForWhatIsSettledIsToldAgainWhereItBegins) {
  const SessionId alice = world.Device("alice", "a");
  SessionId bob = world.Device("bob", "b");
  for (uint64_t i = 1; i <= 5; ++i) world.SendText(alice, i, "bob", "n");
  world.RunHub();
  EXPECT_EQ(world.Take(bob).size(), 5U);
  world.Ack(bob, 3);
  world.RunHub();
  world.Ack(bob, 1, true);
  world.RunHub();
  const auto frames = world.Take(bob);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].sync().start(), 3U);
  EXPECT_EQ(frames[0].sync().head(), 5U);
  EXPECT_FALSE(frames[0].sync().resync());
  EXPECT_EQ(frames[1].seq(), 4U);
}

TEST_F(MessagePath, ASilentDeviceIsClosedAfterThreeDoublingWaits) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "hello");
  world.RunHub();
  EXPECT_EQ(world.Take(bob).size(), 1U);
  world.Advance(9900);
  EXPECT_TRUE(world.Take(bob).empty());
  world.Advance(400);  // 10 s and the time its bytes need
  EXPECT_EQ(world.Take(bob).size(), 1U);
  world.Advance(20'500);
  EXPECT_EQ(world.Take(bob).size(), 1U);
  world.Advance(39'000);
  EXPECT_FALSE(world.Kicked(bob));
  world.Advance(2000);
  EXPECT_TRUE(world.Kicked(bob));
  EXPECT_TRUE(world.Take(bob).empty());
  EXPECT_EQ(world.engine().stats().closed_silent, 1U);
  world.Disconnect(bob);
  world.RunHub();
  EXPECT_TRUE(world.hub().Execute(hub::GetDevice{"bob", "b"}).index() > 0);
}

TEST_F(MessagePath, ALateAcknowledgementEndsTheRounds) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "hello");
  world.RunHub();
  world.Advance(35'000);
  world.Take(bob);
  world.Ack(bob, 1);
  world.RunHub();
  EXPECT_TRUE(world.Take(alice).size() == 2);  // accepted, delivered
  world.Advance(200'000);
  EXPECT_FALSE(world.Kicked(bob));
  EXPECT_TRUE(world.Take(bob).empty());
}

TEST_F(MessagePath, AcksThatMakeNoSense) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "hello");
  world.RunHub();
  world.Take(bob);
  v1::Ack ack;
  ack.set_seq(1);
  world.Publish(bob, "chat/ack", ack.SerializeAsString());  // no epoch
  world.RunHub();
  auto frames = world.Take(bob);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].notice().kind(), v1::Notice::BAD_FRAME);
  ack.set_epoch(world.epoch() + 1);
  world.Publish(bob, "chat/ack", ack.SerializeAsString());  // another epoch: ignored
  world.RunHub();
  EXPECT_TRUE(world.Take(bob).empty());
  ack.set_epoch(world.epoch());
  ack.set_seq(2);
  world.Publish(bob, "chat/ack", ack.SerializeAsString());  // beyond the head
  world.RunHub();
  frames = world.Take(bob);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].notice().kind(), v1::Notice::BAD_FRAME);
  EXPECT_EQ(Only(world.Take(alice), [](const auto& f) { return f.has_delivered(); }).size(), 0U);
}

TEST_F(MessagePath, AnAckRidesInASend) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "hello");
  world.RunHub();
  world.Take(alice);
  v1::Send send;
  send.set_client_msg_id(1);
  send.set_to("alice");
  send.set_text("hi");
  send.set_ack(1);
  send.set_epoch(world.epoch());
  world.Send(bob, send);
  world.RunHub();
  const auto frames = world.Take(alice);
  EXPECT_EQ(Only(frames, [](const auto& f) { return f.has_delivered(); }).size(), 1U);
  EXPECT_EQ(Messages(frames).size(), 1U);
}

TEST_F(MessagePath, FramesKeepToMaxFrame) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  v1::Ack ack;
  ack.set_epoch(world.epoch());
  ack.set_max_frame(512);
  world.Publish(bob, "chat/ack", ack.SerializeAsString());
  world.SendText(alice, 1, "bob", std::string(2000, 'x'));
  world.RunHub();
  const auto packets = world.TakePackets(bob);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_LE(packets[0].payload.size(), 512U);
  EXPECT_TRUE(Parse(packets[0]).message().truncated());
}

TEST_F(MessagePath, ANotepadHasNoDelivered) {
  const SessionId phone = world.Device("alice", "phone"), laptop = world.Device("alice", "laptop");
  world.SendText(phone, 1, "alice", "note");
  world.RunHub();
  EXPECT_EQ(Messages(world.Take(laptop)).size(), 1U);
  world.Ack(laptop, 1);
  world.RunHub();
  EXPECT_EQ(world.Take(phone).size(), 1U);  // accepted
}

TEST_F(MessagePath, TailsGetACopyWithoutSkipped) {
  const SessionId watch = world.Connect("alice", "watch");
  ASSERT_TRUE(world.Subscribe(watch, "json/tail/alice"));
  world.RunHub();
  const SessionId bob = world.Device("bob", "b");
  world.SendText(bob, 1, "alice", "hello");
  world.RunHub();
  const auto packets = world.TakePackets(watch);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].topic, "json/tail/alice");
  EXPECT_EQ(Parse(packets[0]).seq(), 1U);
  EXPECT_EQ(Parse(packets[0]).message().text(), "hello");
  world.Unsubscribe(watch, "json/tail/alice");
  world.RunHub();
  world.SendText(bob, 2, "alice", "again");
  world.RunHub();
  EXPECT_TRUE(world.TakePackets(watch).empty());
}

TEST_F(MessagePath, WhoSendsWithoutAnInboxIsAnsweredInItsForm) {
  const SessionId hand = world.Connect("bob", "hand");
  world.Publish(hand, "chat/send", R"({"to":"alice","text":"hello"})", 1);
  world.RunHub();
  auto packets = world.TakePackets(hand);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].topic, "json/inbox/bob");
  EXPECT_EQ(packets[0].qos, 0);
  EXPECT_TRUE(Parse(packets[0]).has_accepted());
  v1::Send send;
  send.set_to("alice");
  send.set_text("x");
  world.Publish(hand, "s", send.SerializeAsString());
  world.RunHub();
  packets = world.TakePackets(hand);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].topic, "inbox/bob");
  // No device: no route, nothing to log out.
  world.Disconnect(hand);
  EXPECT_EQ(world.queue().size(), 0U);
}

TEST_F(MessagePath, TheLastInboxSubscriptionWins) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  ASSERT_TRUE(world.Subscribe(bob, "i", 2));
  world.RunHub();
  auto packets = world.TakePackets(bob);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].topic, "i");
  EXPECT_EQ(packets[0].qos, 1);
  EXPECT_TRUE(Parse(packets[0]).has_sync());
  world.SendText(alice, 1, "bob", "hello");
  world.RunHub();
  packets = world.TakePackets(bob);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].topic, "i");
  world.Subscribe(bob, "json/inbox/bob");
  world.RunHub();
  packets = world.TakePackets(bob);
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_TRUE(Parse(packets[0]).has_sync());
  EXPECT_EQ(packets[1].topic, "json/inbox/bob");
  EXPECT_EQ(Parse(packets[1]).message().text(), "hello");
}

TEST_F(MessagePath, BadPayloads) {
  const SessionId alice = world.Device("alice", "a");
  world.Publish(alice, "chat/send", "\xff\xff\xff");
  world.Publish(alice, "chat/send", R"({"clientMsgId":"5","text":7})");
  world.Publish(alice, "chat/ack", "{");
  world.Publish(alice, "chat/req", "{\"requestId\":\"q\",\"nothing\":");
  world.Publish(alice, "chat/req", "{");
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 5U);
  EXPECT_EQ(frames[0].notice().kind(), v1::Notice::BAD_FRAME);
  EXPECT_EQ(frames[1].rejected().client_msg_id(), 5U);
  EXPECT_EQ(frames[1].rejected().error().code(), v1::INVALID_ARGUMENT);
  EXPECT_EQ(frames[2].notice().kind(), v1::Notice::BAD_FRAME);
  EXPECT_EQ(frames[4].notice().kind(), v1::Notice::BAD_FRAME);
  EXPECT_FALSE(world.Kicked(alice));
}

TEST_F(MessagePath, SendsBeyondTheRateAreRefusedForNow) {
  const SessionId alice = world.Device("alice", "a");
  for (uint64_t i = 1; i <= 200; ++i) world.SendText(alice, i, "bob", "x");
  world.RunHub();
  EXPECT_EQ(world.Take(alice).size(), 200U);
  world.SendText(alice, 201, "bob", "x");
  auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].rejected().error().code(), v1::RESOURCE_EXHAUSTED);
  EXPECT_EQ(frames[0].rejected().error().retry_after_ms(), 20U);
  world.Advance(20);
  world.SendText(alice, 201, "bob", "x");
  world.RunHub();
  frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(frames[0].has_accepted());
}

TEST_F(MessagePath, AHubThatIsAwayMeansUnavailable) {
  const SessionId alice = world.Device("alice", "a");
  world.SendText(alice, 1, "bob", "x");
  world.queue().FailNext();
  auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].rejected().error().code(), v1::UNAVAILABLE);
  EXPECT_GT(frames[0].rejected().error().retry_after_ms(), 0U);
}

TEST_F(MessagePath, ALostReplyLeavesNobodyWaiting) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "x");
  world.queue().LoseNext();
  world.Advance(3000);  // heads are compared
  EXPECT_EQ(Messages(world.Take(bob)).size(), 1U);
  world.Take(alice);
  world.SendText(alice, 1, "bob", "x");
  world.RunHub();
  EXPECT_TRUE(world.Take(alice)[0].has_accepted());
  EXPECT_TRUE(Messages(world.Take(bob)).empty());
}

TEST_F(MessagePath, AnotherEpochMeansSyncAgain) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.Handle(HubDown{"gone"});
  const uint64_t before = world.epoch();
  world.hub().RaiseEpoch();
  world.HubUp();
  world.RunHub();
  for (const SessionId session : {alice, bob}) {
    const auto frames = world.Take(session);
    ASSERT_FALSE(frames.empty());
    EXPECT_EQ(frames[0].sync().epoch(), before + 1);
  }
}

TEST_F(MessagePath, MarksOfALostAcknowledgementStillMove) {
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "x");
  world.RunHub();
  world.Take(alice);
  world.Ack(bob, 1);
  world.queue().FailNext();
  world.Advance(2000);
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(frames[0].has_delivered());
}

TEST_F(MessagePath, MarksOfALostAcknowledgementMoveWithTheOneSaidAtTheEnd) {
  const SessionId alice = world.Device("alice", "a"), carol = world.Device("carol", "c");
  const SessionId bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "x");
  world.SendText(carol, 1, "bob", "y");
  world.RunHub();
  world.Take(alice);
  world.Ack(bob, 1);
  world.Ack(bob, 2);  // waits for the first one
  world.Disconnect(bob);
  world.queue().FailNext();
  world.Advance(2000);
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(frames[0].has_delivered());
}

}  // namespace
}  // namespace nightjar::core
