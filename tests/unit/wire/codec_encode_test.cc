#include <gtest/gtest.h>

#include <google/protobuf/util/message_differencer.h>

#include <nlohmann/json.hpp>

#include "common/wire/codec.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar {
namespace {

using google::protobuf::util::MessageDifferencer;
using nlohmann::json;

v1::Message SomeMessage() {
  v1::Message message;
  message.set_chat_id("d:alice:bob");
  message.set_author("alice");
  message.set_text("hello");
  message.set_client_msg_id(7);
  message.set_device("phone");
  return message;
}

v1::ServerFrame Parsed(const std::string& bytes) {
  v1::ServerFrame frame;
  EXPECT_TRUE(frame.ParseFromString(bytes));
  return frame;
}

TEST(EncodeJson, PrintsWhatTheProtocolSays) {
  v1::ServerFrame frame;
  EXPECT_EQ(Encode(frame, Encoding::kJson), R"({"seq":"0","skipped":0})");
  frame.set_seq(~uint64_t{0});
  frame.mutable_message()->set_msg_id(9007199254740993);
  const json printed = json::parse(Encode(frame, Encoding::kJson));
  EXPECT_EQ(printed, json::parse(R"({"seq":"18446744073709551615","skipped":0,"message":{
      "msgId":"9007199254740993","chatId":"","author":"","text":"","contentUrl":"","contentType":"",
      "clientMsgId":"0","device":"","truncated":false}})"));
}

TEST(EncodeJson, PrintsNoUnsetMembersOfAOneofAndEmptyLists) {
  v1::ServerFrame frame;
  frame.mutable_response()->set_request_id("r");
  EXPECT_EQ(Encode(frame, Encoding::kJson),
            R"({"seq":"0","skipped":0,"response":{"requestId":"r"}})");
  frame.mutable_response()->mutable_done();
  EXPECT_EQ(Encode(frame, Encoding::kJson),
            R"({"seq":"0","skipped":0,"response":{"requestId":"r","done":{}}})");
  frame.mutable_response()->mutable_history();
  EXPECT_EQ(Encode(frame, Encoding::kJson),
            R"({"seq":"0","skipped":0,"response":{"requestId":"r","history":{"messages":[],"more":false}}})");
  frame.mutable_rejected()->mutable_error()->set_code(v1::RESOURCE_EXHAUSTED);
  const json printed = json::parse(Encode(frame, Encoding::kJson));
  EXPECT_EQ(printed["rejected"]["error"]["code"], "RESOURCE_EXHAUSTED");
  EXPECT_EQ(printed["rejected"]["error"]["retryAfterMs"], 0);
}

TEST(EncodeJson, Presence) {
  v1::Presence presence;
  presence.set_uid("alice");
  EXPECT_EQ(Encode(presence, Encoding::kJson),
            R"({"uid":"alice","online":false,"lastActiveMs":"0"})");
  presence.set_online(true);
  v1::Presence parsed;
  ASSERT_TRUE(parsed.ParseFromString(Encode(presence, Encoding::kProtobuf)));
  EXPECT_TRUE(MessageDifferencer::Equals(parsed, presence));
}

TEST(EncodeEntry, PutsSeqAndSkippedInFront) {
  v1::ServerFrame entry;
  *entry.mutable_message() = SomeMessage();
  const std::string stored = entry.SerializeAsString();
  for (const uint64_t seq : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128}, ~uint64_t{0}}) {
    for (const uint32_t skipped : {0u, 1u, 300u, ~0u}) {
      v1::ServerFrame expected = entry;
      expected.set_seq(seq);
      expected.set_skipped(skipped);
      const std::string bytes = EncodeEntry(stored, seq, skipped, Encoding::kProtobuf);
      EXPECT_EQ(bytes, expected.SerializeAsString());
      EXPECT_EQ(json::parse(EncodeEntry(stored, seq, skipped, Encoding::kJson)),
                json::parse(Encode(expected, Encoding::kJson)));
    }
  }
  EXPECT_EQ(EncodeEntry("", 9, 8, Encoding::kJson), R"({"seq":"9","skipped":8})");
}

TEST(EncodeEntry, OfDamagedBytesStillClosesTheSequenceInJson) {
  EXPECT_EQ(EncodeEntry("\x1a\x7f", 5, 1, Encoding::kJson), R"({"seq":"5","skipped":1})");
}

TEST(Templates, JoinToTheMessageWithItsId) {
  for (const MsgId id : {MsgId{1}, MakeMsgId(1'800'000'000'000, 3), ~MsgId{0}}) {
    for (const size_t size : {0, 5, 100, 127, 128, 16'000}) {
      v1::Message message = SomeMessage();
      message.set_text(std::string(size, 'x'));
      message.set_msg_id(12345);  // ignored
      const EntryTemplate parts = MessageTemplate(message);
      ASSERT_EQ(parts.size(), 2u);
      v1::ServerFrame expected;
      message.set_msg_id(id);
      *expected.mutable_message() = message;
      EXPECT_EQ(JoinEntry(parts, id), expected.SerializeAsString());
    }
  }
}

TEST(Templates, AreJournalRecordsToo) {
  v1::JournalRecord record;
  ASSERT_TRUE(record.ParseFromString(JoinEntry(MessageTemplate(SomeMessage()), 77)));
  EXPECT_EQ(record.message().msg_id(), 77u);
  EXPECT_EQ(record.message().text(), "hello");
}

TEST(Templates, OfAChangeTakeTheIdTwice) {
  v1::ChatChange change;
  change.set_msg_id(5);  // ignored, as is the next
  change.mutable_chat()->set_last_msg_id(6);
  change.mutable_chat()->set_chat_id("g:abcdefghijklmnopqrstuvwxyz");
  change.mutable_chat()->set_title("Garden");
  change.mutable_chat()->set_member_count(3);
  change.set_kind(v1::ChatChange::MEMBERS_CHANGED);
  change.set_by("alice");
  for (int i = 0; i < 150; ++i) change.add_added("user" + std::to_string(i));
  for (const bool with_members : {false, true}) {
    if (with_members) change.mutable_chat()->add_members("alice");
    const EntryTemplate parts = ChangeTemplate(change);
    ASSERT_EQ(parts.size(), 3u);
    const MsgId id = MakeMsgId(1'800'000'000'000, 9);
    v1::ChatChange expected = change;
    expected.set_msg_id(id);
    expected.mutable_chat()->set_last_msg_id(id);
    EXPECT_TRUE(MessageDifferencer::Equals(Parsed(JoinEntry(parts, id)).chat_change(), expected));
    v1::JournalRecord record;
    ASSERT_TRUE(record.ParseFromString(JoinEntry(parts, id)));
    EXPECT_TRUE(MessageDifferencer::Equals(record.chat_change(), expected));
  }
}

TEST(Templates, OfAnEmptyChangeHoldTheIds) {
  const v1::ServerFrame frame = Parsed(JoinEntry(ChangeTemplate({}), 3));
  EXPECT_EQ(frame.chat_change().msg_id(), 3u);
  EXPECT_EQ(frame.chat_change().chat().last_msg_id(), 3u);
}

}  // namespace
}  // namespace nightjar
