// Requests that are answered from the hub or by a persister.
#include <gtest/gtest.h>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

class Requests : public testing::Test {
 protected:
  Requests() {
    world.HubUp();
    world.RunHub();
    alice = world.Device("alice", "a");
    service = world.Connect("persister", "p1", {.service = true});
  }
  v1::Request History() {
    v1::Request request;
    request.set_request_id("h");
    request.mutable_history()->set_chat_id("d:alice:bob");
    return request;
  }
  // The request that was put to the persisters last.
  v1::StoreRequest Asked() {
    v1::StoreRequest request;
    EXPECT_FALSE(world.published().empty());
    if (!world.published().empty()) {
      EXPECT_TRUE(world.published().back().topic.starts_with("svc/store/"));
      EXPECT_TRUE(request.ParseFromString(world.published().back().payload));
    }
    return request;
  }
  void Reply(const v1::StoreRequest& request, const v1::Response& response) {
    v1::StoreReply reply;
    reply.set_session(request.session());
    reply.set_attempt(request.attempt());
    *reply.mutable_response() = response;
    EXPECT_TRUE(world.Publish(service, request.reply_topic(), reply.SerializeAsString()));
  }

  v1::Response ResponseOf(SessionId session) {
    v1::Response response;
    for (const v1::ServerFrame& frame : world.Take(session)) {
      if (frame.has_response()) response = frame.response();
    }
    return response;
  }

  World world;
  SessionId alice = 0, service = 0;
};

TEST_F(Requests, HistoryIsAnsweredByAPersister) {
  world.Request(alice, History());
  const v1::StoreRequest asked = Asked();
  EXPECT_EQ(asked.uid(), "alice");
  EXPECT_EQ(asked.request().history().chat_id(), "d:alice:bob");
  v1::Response response;
  response.mutable_history()->add_messages()->set_text("old");
  Reply(asked, response);
  auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].response().request_id(), "h");
  EXPECT_EQ(frames[0].response().history().messages(0).text(), "old");
  Reply(asked, response);  // a second persister
  EXPECT_TRUE(world.Take(alice).empty());
}

TEST_F(Requests, AChangeOfAGroupWithoutItsTitleFirstHasItBroughtBack) {
  v1::Request make;
  make.set_request_id("m");
  make.mutable_create_chat()->set_title("title");
  const std::string chat = world.Ask(alice, make).chat().chat_id();
  auto& kept = world.hub().mutable_state().chats.at(chat);
  const auto retire = [&] {
    kept.title.clear();
    kept.retired = true;
  };
  const auto restore = [&] {
    const v1::StoreRequest asked = Asked();
    EXPECT_EQ(asked.uid(), "alice");
    EXPECT_EQ(asked.request().open_chat().chat_id(), chat);
    kept.title = "title";
    kept.retired = false;
    v1::Response response;
    response.mutable_chat_view();
    Reply(asked, response);
    world.RunHub();
  };
  v1::Request add;
  add.set_request_id("add");
  add.mutable_update_chat()->set_chat_id(chat);
  add.mutable_update_chat()->add_add("bob");

  retire();
  world.Request(alice, add);
  world.RunHub();
  EXPECT_TRUE(world.Take(alice).empty());
  restore();
  v1::Response response = ResponseOf(alice);
  EXPECT_EQ(response.request_id(), "add");
  EXPECT_EQ(response.chat().title(), "title");
  EXPECT_EQ(response.chat().member_count(), 2U);
  for (const auto& [p, partition] : world.hub().state().partitions) {
    for (const std::string& bytes : partition.journal.records) {
      v1::JournalRecord record;
      ASSERT_TRUE(record.ParseFromString(bytes));
      if (!record.has_chat_change()) continue;
      EXPECT_EQ(record.chat_change().chat().title(), "title");
    }
  }

  retire();
  world.Request(alice, make);  // a repeat
  world.RunHub();
  restore();
  EXPECT_EQ(ResponseOf(alice).chat().title(), "title");

  // No persister, or one that cannot.
  retire();
  add.mutable_update_chat()->set_add(0, "carol");
  world.Request(alice, add);
  world.RunHub();
  world.Advance(5000);
  EXPECT_EQ(ResponseOf(alice).error().code(), v1::UNAVAILABLE);
  world.Request(alice, add);
  world.RunHub();
  v1::Response away;
  away.mutable_error()->set_code(v1::UNAVAILABLE);
  Reply(Asked(), away);
  EXPECT_EQ(ResponseOf(alice).error().code(), v1::UNAVAILABLE);
  EXPECT_EQ(kept.members.size(), 2U);
}

TEST_F(Requests, WithoutAPersisterItIsRepeatedOnceThenUnavailable) {
  world.Request(alice, History());
  EXPECT_EQ(world.published().size(), 1U);
  world.Advance(900);
  EXPECT_EQ(world.published().size(), 1U);
  world.Advance(200);
  ASSERT_EQ(world.published().size(), 2U);
  const std::string topic = world.published()[0].topic;
  ASSERT_TRUE(topic.starts_with("svc/store/")) << topic;
  EXPECT_EQ(world.published()[1].topic, "svc/again/" + topic.substr(10)) << "all of them hear it";
  EXPECT_EQ(world.published()[1].payload, world.published()[0].payload);
  world.Advance(1800);
  EXPECT_TRUE(world.Take(alice).empty());
  world.Advance(200);
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].response().error().code(), v1::UNAVAILABLE);
  EXPECT_EQ(world.engine().stats().store_requests, 0U);
  EXPECT_EQ(world.published().size(), 2U);
}

TEST_F(Requests, AnswersKeepToMaxFrame) {
  v1::Ack ack;
  ack.set_epoch(world.epoch());
  ack.set_max_frame(1000);
  world.Publish(alice, "chat/ack", ack.SerializeAsString());
  world.Request(alice, History());
  v1::Response response;
  for (int i = 0; i < 50; ++i) {
    v1::Message& message = *response.mutable_history()->add_messages();
    message.set_msg_id(static_cast<MsgId>(i + 1));
    message.set_text(std::string(100, 'x'));
  }
  Reply(Asked(), response);
  const auto packets = world.TakePackets(alice);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_LE(packets[0].payload.size(), 1000U);
  const v1::ServerFrame frame = Parse(packets[0]);
  EXPECT_TRUE(frame.response().history().more());
  EXPECT_EQ(frame.response().history().messages().rbegin()->msg_id(), 50U);  // the newest stay
}

TEST_F(Requests, OnlyServicesAnswer) {
  world.Request(alice, History());
  v1::StoreReply reply;
  reply.set_session(alice);
  reply.set_attempt(Asked().attempt());
  EXPECT_FALSE(world.Publish(alice, "svc/reply/b1", reply.SerializeAsString()));
}

TEST_F(Requests, WhoAmIWorksWithoutAnInbox) {
  const SessionId hand = world.Connect("bob", "hand");
  world.Publish(hand, "chat/req", R"({"requestId":"w","whoami":{}})");
  world.RunHub();
  const auto packets = world.TakePackets(hand);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].topic, "json/inbox/bob");
  const v1::Identity identity = Parse(packets[0]).response().identity();
  EXPECT_EQ(identity.uid(), "bob");
  EXPECT_EQ(identity.device(), "hand");
  EXPECT_EQ(identity.server_time_ms(), world.now().unix_ms);
  EXPECT_FALSE(identity.version().empty());
}

TEST_F(Requests, Receipts) {
  const SessionId bob = world.Device("bob", "b");
  world.SendText(alice, 1, "bob", "x");
  world.RunHub();
  const MsgId id = world.Take(alice)[0].accepted().msg_id();
  world.Ack(bob, 1);
  world.RunHub();
  v1::Request request;
  request.mutable_receipts()->add_chat_ids("d:alice:bob");
  request.mutable_receipts()->add_chat_ids("d:bob:carol");
  const v1::Response response = world.Ask(alice, request);
  ASSERT_EQ(response.receipts().chats_size(), 1);
  ASSERT_EQ(response.receipts().chats(0).delivered_size(), 1);
  EXPECT_EQ(response.receipts().chats(0).delivered(0).uid(), "bob");
  EXPECT_EQ(response.receipts().chats(0).delivered(0).msg_id(), id);
}

TEST_F(Requests, PresenceOfSeveral) {
  world.Advance(4000);
  v1::Request request;
  request.mutable_get_presence()->add_uids("alice");
  request.mutable_get_presence()->add_uids("nobody");
  const v1::Response response = world.Ask(alice, request);
  ASSERT_EQ(response.presence().presence_size(), 2);
  EXPECT_TRUE(response.presence().presence(0).online());
  EXPECT_EQ(response.presence().presence(1).uid(), "nobody");
  EXPECT_FALSE(response.presence().presence(1).online());
}

TEST_F(Requests, PushSettingsAreStoredAndJournalled) {
  v1::Request request;
  request.mutable_register_push()->mutable_fcm()->set_token("t");
  EXPECT_TRUE(world.Ask(alice, request).has_done());
  EXPECT_EQ(world.hub().state().users.at("alice").push.count("a"), 1U);
  v1::Request mute;
  mute.mutable_mute_chat()->set_until_ms(-1);
  EXPECT_TRUE(world.Ask(alice, mute).has_done());
  mute.mutable_mute_chat()->set_chat_id("d:alice:bob");
  EXPECT_EQ(world.Ask(alice, mute).error().code(), v1::PERMISSION_DENIED);
  world.SendText(alice, 1, "bob", "x");
  world.RunHub();
  EXPECT_TRUE(world.Ask(alice, mute).has_done());
  EXPECT_EQ(world.hub().state().users.at("alice").mutes.size(), 2U);
  v1::Request unregister;
  unregister.mutable_unregister_push();
  EXPECT_TRUE(world.Ask(alice, unregister).has_done());
  int pushes = 0, mutes = 0;
  for (const auto& [p, partition] : world.hub().state().partitions) {
    for (const std::string& bytes : partition.journal.records) {
      v1::JournalRecord record;
      ASSERT_TRUE(record.ParseFromString(bytes));
      pushes += record.has_push() ? 1 : 0;
      mutes += record.has_mute() ? 1 : 0;
    }
  }
  EXPECT_EQ(pushes, 2);
  EXPECT_EQ(mutes, 2);
}

TEST_F(Requests, BadOnesGetAnErrorResponse) {
  v1::Request request;
  EXPECT_EQ(world.Ask(alice, request).error().code(), v1::INVALID_ARGUMENT);  // no body
  request.mutable_history()->set_chat_id("nonsense");
  EXPECT_EQ(world.Ask(alice, request).error().code(), v1::INVALID_ARGUMENT);
  request.set_request_id(std::string(37, 'x'));
  world.Request(alice, request);
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].notice().kind(), v1::Notice::BAD_FRAME);
}

TEST_F(Requests, AHubThatIsAwayMeansUnavailable) {
  v1::Request request;
  request.set_request_id("w");
  request.mutable_whoami();
  world.Request(alice, request);
  world.queue().FailNext();
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].response().error().code(), v1::UNAVAILABLE);
  EXPECT_GT(frames[0].response().error().retry_after_ms(), 0U);
}

TEST_F(Requests, OnlySoManyAtOnce) {
  v1::Request request;
  request.set_request_id("w");
  request.mutable_whoami();
  for (int i = 0; i < 65; ++i) world.Request(alice, request);
  auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].response().error().code(), v1::RESOURCE_EXHAUSTED);
  world.RunHub();
  EXPECT_EQ(world.Take(alice).size(), 64U);
  world.Request(alice, request);
  world.RunHub();
  EXPECT_EQ(world.Take(alice).size(), 1U);
}

}  // namespace
}  // namespace nightjar::core
