// One device against frames written by hand: what it says, and what it tells its person.
#include "client-sim/brain/device_brain.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace nightjar::client {
namespace {

class BrainTest : public ::testing::Test {
 protected:
  explicit BrainTest(BrainOptions options = {}) : brain_("alice", "phone", options) {}

  void Sync(uint64_t epoch, uint64_t start, bool resync = false) {
    brain_.Connected(now_, out_);
    v1::ServerFrame frame;
    frame.mutable_sync()->set_epoch(epoch);
    frame.mutable_sync()->set_start(start);
    frame.mutable_sync()->set_resync(resync);
    Take(frame);
  }
  void Take(const v1::ServerFrame& frame) {
    brain_.Arrived("inbox/alice", frame.SerializeAsString(), now_, out_);
  }
  void Entry(uint64_t seq, uint64_t msg_id, const std::string& author = "bob",
             uint64_t client_msg_id = 0) {
    v1::ServerFrame frame;
    frame.set_seq(seq);
    *frame.mutable_message() = Message(msg_id, author);
    if (client_msg_id != 0) {
      frame.mutable_message()->set_client_msg_id(client_msg_id);
      frame.mutable_message()->set_device("phone");
    }
    Take(frame);
  }
  static v1::Message Message(uint64_t msg_id, const std::string& author = "bob") {
    v1::Message message;
    message.set_msg_id(msg_id);
    message.set_chat_id("d:alice:bob");
    message.set_author(author);
    return message;
  }
  template <typename T>
  size_t Count() const {
    return static_cast<size_t>(std::count_if(out_.happened.begin(), out_.happened.end(),
                                             [](auto& h) { return std::holds_alternative<T>(h); }));
  }
  // The requests among what is to be published.
  std::vector<v1::Request> Requests() const {
    std::vector<v1::Request> requests;
    for (const auto& packet : out_.publish) {
      if (packet.topic == "chat/req") requests.emplace_back().ParseFromString(packet.payload);
    }
    return requests;
  }

  Now now_{.mono_ms = 1000, .unix_ms = 1'700'000'000'000};
  DeviceBrain brain_;
  Out out_;
};

TEST_F(BrainTest, WhatIsWrittenIsToldBeforeItIsSentAlsoOffLine) {
  const uint64_t id = brain_.SendToUser("bob", "hello", now_);
  brain_.Tick(now_, out_);
  ASSERT_EQ(out_.happened.size(), 1U);
  const auto& wrote = std::get<Wrote>(out_.happened.front());
  EXPECT_EQ(wrote.client_msg_id, id);
  EXPECT_EQ(wrote.chat_id, "d:alice:bob");
  EXPECT_EQ(wrote.text, "hello");
  EXPECT_TRUE(out_.publish.empty());
  brain_.Tick(now_, out_);
  EXPECT_TRUE(out_.happened.empty()) << "once";
  Sync(1, 0);
  EXPECT_EQ(out_.publish.size(), 1U);
}

TEST_F(BrainTest, AnOwnMessageAcceptedBeforeComesAsARepeat) {
  Sync(1, 0);
  const uint64_t id = brain_.SendToUser("bob", "hello", now_);
  brain_.Tick(now_, out_);
  v1::ServerFrame accepted;
  accepted.mutable_accepted()->set_client_msg_id(id);
  accepted.mutable_accepted()->set_msg_id(50);
  Take(accepted);
  EXPECT_EQ(Count<SendAccepted>(), 1U);
  Entry(1, 40);  // somebody else's, older: not known by the id of the own one
  EXPECT_EQ(Count<MessageCame>(), 1U);
  Sync(1, 1);  // after a reconnect own messages come as messages
  Entry(2, 50, "alice", id);
  EXPECT_EQ(Count<RepeatCame>(), 1U);
  EXPECT_EQ(Count<MessageCame>(), 0U);
}

TEST_F(BrainTest, AnOwnMessageWithoutAnAnswerIsSeenInTheInbox) {
  Sync(1, 0);
  const uint64_t id = brain_.SendToUser("bob", "hello", now_);
  Entry(1, 50, "alice", id);
  EXPECT_EQ(Count<MessageCame>(), 1U);
}

TEST_F(BrainTest, ARefusedMessageThatComesNeverthelessIsShown) {
  Sync(1, 0);
  const uint64_t id = brain_.SendToUser("bob", "hello", now_);
  v1::ServerFrame rejected;
  rejected.mutable_rejected()->set_client_msg_id(id);
  rejected.mutable_rejected()->mutable_error()->set_code(v1::UNAVAILABLE);
  Take(rejected);
  EXPECT_EQ(Count<PutOff>(), 1U);
  rejected.mutable_rejected()->mutable_error()->set_code(v1::PERMISSION_DENIED);
  Take(rejected);
  EXPECT_EQ(Count<SendRefused>(), 1U);
  Entry(1, 50, "alice", id);
  EXPECT_EQ(Count<MessageCame>(), 1U) << "the judge must see it";
}

TEST_F(BrainTest, AfterAnEpochChangeWhatIsKnownIsARepeat) {
  Sync(1, 0);
  Entry(1, 10);
  Entry(2, 20);
  Sync(2, 0);
  EXPECT_EQ(Requests().size(), 1U) << "another epoch is a resync";
  Entry(1, 20);
  EXPECT_EQ(Count<RepeatCame>(), 1U);
  Entry(2, 30);
  EXPECT_EQ(Count<MessageCame>(), 1U);
}

TEST_F(BrainTest, AResyncReadsEachChatBackToWhatIsKnown) {
  Sync(1, 0);
  Entry(1, 10);
  Sync(1, 90, /*resync=*/true);
  ASSERT_EQ(Requests().size(), 1U);
  ASSERT_TRUE(Requests()[0].has_list_chats());
  v1::ServerFrame answer;
  answer.mutable_response()->set_request_id(Requests()[0].request_id());
  answer.mutable_response()->mutable_chats()->add_chats()->mutable_chat()->set_chat_id(
      "d:alice:bob");
  Take(answer);
  ASSERT_EQ(Requests().size(), 1U);
  const v1::Request open = Requests()[0];
  ASSERT_EQ(open.open_chat().chat_id(), "d:alice:bob");
  answer.Clear();
  answer.mutable_response()->set_request_id(open.request_id());
  auto* view = answer.mutable_response()->mutable_chat_view();
  view->mutable_chat()->set_chat_id("d:alice:bob");
  view->set_more(true);
  for (const uint64_t id : {30, 40}) *view->add_messages() = Message(id);
  Take(answer);
  EXPECT_EQ(Count<MessageCame>(), 2U);
  ASSERT_EQ(Requests().size(), 1U) << "there is more between 10 and 30";
  const v1::Request back = Requests()[0];
  EXPECT_EQ(back.history().before_msg_id(), 30U);
  answer.Clear();
  answer.mutable_response()->set_request_id(back.request_id());
  for (const uint64_t id : {10, 20}) {
    *answer.mutable_response()->mutable_history()->add_messages() = Message(id);
  }
  answer.mutable_response()->mutable_history()->set_more(true);
  Take(answer);
  EXPECT_EQ(Count<MessageCame>(), 1U) << "20";
  EXPECT_EQ(Count<RepeatCame>(), 1U) << "10";
  EXPECT_TRUE(Requests().empty());
  EXPECT_EQ(brain_.asking(), 0U);
  Entry(91, 40);
  EXPECT_EQ(Count<RepeatCame>(), 1U);
}

TEST_F(BrainTest, AMarkThatMayHavePassedByIsAskedForSoon) {
  Sync(1, 0);
  const auto sync_with_head = [&](uint64_t head) {
    brain_.Connected(now_, out_);
    v1::ServerFrame frame;
    frame.mutable_sync()->set_epoch(1);
    frame.mutable_sync()->set_head(head);
    Take(frame);
  };
  sync_with_head(1);
  Entry(1, 10, "alice");  // another device of hers wrote it while this one was away
  EXPECT_TRUE(Requests().empty());
  now_.mono_ms += DeviceBrain::kMarkPassedMs;
  brain_.Tick(now_, out_);
  ASSERT_EQ(Requests().size(), 1U);
  EXPECT_EQ(Requests()[0].receipts().chat_ids(0), "d:alice:bob");
  v1::ServerFrame answer;
  answer.mutable_response()->set_request_id(Requests()[0].request_id());
  answer.mutable_response()->mutable_receipts();
  Take(answer);
  Entry(2, 20, "alice");  // now it would hear the hint
  now_.mono_ms += DeviceBrain::kMarkMissingMs / 2;
  brain_.Tick(now_, out_);
  EXPECT_TRUE(Requests().empty());
  now_.mono_ms += DeviceBrain::kMarkMissingMs;
  brain_.Tick(now_, out_);
  EXPECT_EQ(Requests().size(), 1U);
}

TEST_F(BrainTest, MarksThatDoNotFitAFrameAreAskedForInHalves) {
  Sync(1, 0);
  v1::Request ask;
  for (const char* chat : {"d:alice:b", "d:alice:c", "d:alice:d"}) {
    ask.mutable_receipts()->add_chat_ids(chat);
  }
  const std::string id = brain_.Ask(ask, now_);
  const auto refuse = [&](const std::string& request_id) {
    v1::ServerFrame answer;
    answer.mutable_response()->set_request_id(request_id);
    answer.mutable_response()->mutable_error()->set_code(v1::INVALID_ARGUMENT);
    Take(answer);
  };
  refuse(id);
  const auto halves = Requests();
  ASSERT_EQ(halves.size(), 2U);
  std::vector<std::string> asked;
  for (const v1::Request& half : halves) {
    asked.insert(asked.end(), half.receipts().chat_ids().begin(), half.receipts().chat_ids().end());
  }
  std::sort(asked.begin(), asked.end());
  EXPECT_EQ(asked, (std::vector<std::string>{"d:alice:b", "d:alice:c", "d:alice:d"}));
  const bool first_is_one = halves[0].receipts().chat_ids_size() == 1;
  refuse(halves[first_is_one ? 0 : 1].request_id());
  EXPECT_TRUE(Requests().empty()) << "one that does not fit is refused for good";
  EXPECT_EQ(Count<Answered>(), 1U);
}

class ThinBrainTest : public BrainTest {
 protected:
  ThinBrainTest() : BrainTest({.short_topics = true, .max_frame = 512}) {}
};

TEST_F(ThinBrainTest, UsesShortTopicsAndAnnouncesItsFrame) {
  brain_.Connected(now_, out_);
  EXPECT_EQ(out_.subscribe, std::vector<std::string>{"i"});
  brain_.SendToUser("bob", "hello", now_);
  Sync(3, 7);
  ASSERT_EQ(out_.publish.size(), 2U);
  EXPECT_EQ(out_.publish[0].topic, "a");
  v1::Ack ack;
  ASSERT_TRUE(ack.ParseFromString(out_.publish[0].payload));
  EXPECT_EQ(ack.max_frame(), 512U);
  EXPECT_EQ(ack.seq(), 7U);
  EXPECT_EQ(ack.epoch(), 3U);
  EXPECT_EQ(out_.publish[1].topic, "s");
}

class JsonBrainTest : public BrainTest {
 protected:
  JsonBrainTest() : BrainTest({.encoding = Encoding::kJson}) {}
};

TEST_F(JsonBrainTest, SpeaksJsonBothWays) {
  brain_.Watch("bob");
  brain_.Connected(now_, out_);
  EXPECT_EQ(out_.subscribe, (std::vector<std::string>{"json/presence/bob", "json/inbox/alice"}));
  brain_.SendToUser("bob", "hello", now_);
  brain_.Arrived("json/inbox/alice", R"({"seq":"0","sync":{"epoch":"1","start":"0","new":1}})",
                 now_, out_);
  EXPECT_EQ(Count<Synced>(), 1U);
  ASSERT_EQ(out_.publish.size(), 1U);
  EXPECT_NE(out_.publish[0].payload.find(R"("to":"bob")"), std::string::npos);
  brain_.Arrived("json/presence/bob", R"({"uid":"bob","online":true})", now_, out_);
  EXPECT_EQ(Count<PresenceSeen>(), 1U);
}

}  // namespace
}  // namespace nightjar::client
