#include <gtest/gtest.h>

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <random>

#include "common/wire/codec.h"
#include "common/wire/limits.h"

namespace nightjar {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr Encoding kBoth[] = {Encoding::kProtobuf, Encoding::kJson};
constexpr uint32_t kSizes[] = {0, 256, 257, 300, 384, 512, 1000, 4096, 16 * 1024, 64 * 1024};

v1::ServerFrame Parsed(const std::string& bytes, Encoding encoding) {
  v1::ServerFrame frame;
  if (encoding == Encoding::kProtobuf) {
    EXPECT_TRUE(frame.ParseFromString(bytes)) << "also: is the text whole characters?";
  } else {
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(bytes, &frame).ok()) << bytes;
  }
  return frame;
}

std::string Repeated(std::string_view piece, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text.append(piece);
  return text;
}

v1::Message SomeMessage(const std::string& text, MsgId id = MakeMsgId(1'800'000'000'000, 1)) {
  v1::Message message;
  message.set_msg_id(id);
  message.set_chat_id("g:abcdefghijklmnopqrstuvwxyz");
  message.set_author("alice");
  message.set_text(text);
  return message;
}

std::string Entry(const v1::Message& message) {
  v1::ServerFrame frame;
  *frame.mutable_message() = message;
  return frame.SerializeAsString();
}

TEST(EntryFitted, LeavesWhatFitsAsItIs) {
  const std::string entry = Entry(SomeMessage("hello"));
  for (const Encoding encoding : kBoth) {
    EXPECT_EQ(EncodeEntryFitted(entry, 5, 1, encoding, 1024), EncodeEntry(entry, 5, 1, encoding));
  }
}

TEST(EntryFitted, CutsTextsAtCharactersAndAsLittleAsNeeded) {
  // One to four bytes a character, and what JSON writes as two or six.
  for (const char* piece : {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\"", "\x01", "<",
                            "\xe2\x80\xa8", "a\xf0\x9f\x98\x80\n"}) {
    const std::string text = Repeated(piece, 16'000 / std::string_view(piece).size());
    const std::string entry = Entry(SomeMessage(text));
    for (const Encoding encoding : kBoth) {
      for (const uint32_t size : kSizes) {
        const size_t most = std::max(size, limits::kMinFrame);
        const std::string bytes = EncodeEntryFitted(entry, 300, 2, encoding, size);
        ASSERT_LE(bytes.size(), most);
        const v1::ServerFrame frame = Parsed(bytes, encoding);
        const v1::Message& message = frame.message();
        EXPECT_EQ(frame.seq(), 300u);
        EXPECT_EQ(frame.skipped(), 2u);
        EXPECT_EQ(message.msg_id(), MakeMsgId(1'800'000'000'000, 1));
        EXPECT_TRUE(text.starts_with(message.text()));
        EXPECT_EQ(message.truncated(), message.text().size() < text.size());
        // One character more would have been too many (the longest is 7 bytes, or 6 in JSON for each).
        if (message.truncated() && !message.text().empty()) {
          EXPECT_GT(bytes.size() + 20, most) << piece << " at " << size;
        }
      }
    }
  }
}

TEST(EntryFitted, KeepsNamesLongerThanOtherFields) {
  v1::Message message = SomeMessage("text");
  message.set_content_url(std::string(limits::kContentUrl, 'u'));
  message.set_content_type("image/png");
  for (const Encoding encoding : kBoth) {
    const std::string bytes = EncodeEntryFitted(Entry(message), 1, 0, encoding, 512);
    ASSERT_LE(bytes.size(), 512u);
    const v1::Message cut = Parsed(bytes, encoding).message();
    EXPECT_TRUE(cut.truncated());
    EXPECT_EQ(cut.content_url(), "");
    EXPECT_EQ(cut.content_type(), "image/png");
    EXPECT_EQ(cut.chat_id(), message.chat_id());
    EXPECT_EQ(cut.author(), "alice");
  }
}

TEST(EntryFitted, HoldsForTheLongestNamesAndNumbers) {
  v1::Message message = SomeMessage(std::string(limits::kText, 't'), ~MsgId{0});
  message.set_chat_id("d:" + std::string(64, 'a') + ":" + std::string(64, 'b'));
  message.set_author(std::string(64, 'a'));
  message.set_device(std::string(32, 'd'));
  message.set_client_msg_id(~uint64_t{0});
  for (const Encoding encoding : kBoth) {
    const std::string bytes = EncodeEntryFitted(Entry(message), ~uint64_t{0}, ~0u, encoding, 256);
    ASSERT_LE(bytes.size(), 256u);
    const v1::ServerFrame frame = Parsed(bytes, encoding);
    EXPECT_EQ(frame.seq(), ~uint64_t{0});
    EXPECT_EQ(frame.message().msg_id(), ~MsgId{0});
    EXPECT_EQ(frame.message().chat_id(), message.chat_id());
    EXPECT_TRUE(frame.message().truncated());
  }
}

TEST(EntryFitted, ShortensChatChanges) {
  v1::ServerFrame entry;
  v1::ChatChange& change = *entry.mutable_chat_change();
  change.set_msg_id(~MsgId{0});
  change.set_kind(v1::ChatChange::MEMBERS_CHANGED);
  change.set_by(std::string(64, 'b'));
  change.mutable_chat()->set_chat_id("g:abcdefghijklmnopqrstuvwxyz");
  change.mutable_chat()->set_title(std::string(limits::kTitle, 't'));
  change.mutable_chat()->set_last_msg_id(~MsgId{0});
  change.mutable_chat()->set_created_ms(1'800'000'000'000);
  change.mutable_chat()->set_member_count(64);
  for (int i = 0; i < 64; ++i) change.mutable_chat()->add_members(std::string(64, 'm'));
  for (int i = 0; i < 200; ++i) change.add_added(std::string(64, 'a'));
  for (const Encoding encoding : kBoth) {
    for (const uint32_t size : kSizes) {
      const std::string bytes =
          EncodeEntryFitted(entry.SerializeAsString(), ~uint64_t{0}, ~0u, encoding, size);
      ASSERT_LE(bytes.size(), std::max(size, limits::kMinFrame));
      const v1::ServerFrame frame = Parsed(bytes, encoding);
      ASSERT_TRUE(frame.has_chat_change()) << size;
      EXPECT_EQ(frame.chat_change().msg_id(), ~MsgId{0});
      EXPECT_EQ(frame.chat_change().kind(), v1::ChatChange::MEMBERS_CHANGED);
      EXPECT_EQ(frame.chat_change().chat().chat_id(), change.chat().chat_id()) << size;
      if (size >= 384) {
        EXPECT_EQ(frame.chat_change().by(), change.by()) << size;
      }
    }
  }
}

TEST(EntryFitted, OfDamagedBytesStaysWithinItsBound) {
  const std::string damaged = "\x1a\xff\x7f" + std::string(5000, 'x');
  EXPECT_EQ(EncodeEntryFitted(damaged, 5, 0, Encoding::kProtobuf, 256), "\x08\x05");
  EXPECT_EQ(EncodeEntryFitted(damaged, 5, 0, Encoding::kJson, 256), R"({"seq":"5","skipped":0})");
}

TEST(Fitted, NeverGivesUpWhatAFrameIsAbout) {
  const std::string chat = "d:" + std::string(64, 'a') + ":" + std::string(64, 'b');
  v1::ServerFrame rejected;
  rejected.mutable_rejected()->set_client_msg_id(limits::kMaxClientMsgId);
  rejected.mutable_rejected()->set_chat_id(chat);
  rejected.mutable_rejected()->mutable_error()->set_code(v1::RESOURCE_EXHAUSTED);
  rejected.mutable_rejected()->mutable_error()->set_retry_after_ms(10'000);
  rejected.mutable_rejected()->mutable_error()->set_message(std::string(100, 'm'));
  v1::ServerFrame accepted;
  accepted.mutable_accepted()->set_client_msg_id(limits::kMaxClientMsgId);
  accepted.mutable_accepted()->set_msg_id(~MsgId{0});
  accepted.mutable_accepted()->set_chat_id(chat);
  for (const Encoding encoding : kBoth) {
    std::string bytes = EncodeFitted(rejected, encoding, 256);
    ASSERT_LE(bytes.size(), 256u);
    const v1::Rejected cut = Parsed(bytes, encoding).rejected();
    EXPECT_EQ(cut.client_msg_id(), limits::kMaxClientMsgId);
    EXPECT_EQ(cut.chat_id(), chat);
    EXPECT_EQ(cut.error().code(), v1::RESOURCE_EXHAUSTED);
    EXPECT_EQ(cut.error().retry_after_ms(), 10'000u);
    bytes = EncodeFitted(accepted, encoding, 256);
    ASSERT_LE(bytes.size(), 256u);
    EXPECT_TRUE(MessageDifferencer::Equals(Parsed(bytes, encoding), accepted));
  }
}

TEST(Fitted, PrintsDefaultsInJsonUnlessRoomIsThatScarce) {
  v1::Message message = SomeMessage(std::string(5000, 't'));
  message.set_author(std::string(64, 'a'));
  const std::string entry = Entry(message);
  std::string bytes = EncodeEntryFitted(entry, 1, 0, Encoding::kJson, 512);
  EXPECT_NE(bytes.find("contentUrl"), std::string::npos);
  bytes = EncodeEntryFitted(entry, 1, 0, Encoding::kJson, 256);
  ASSERT_LE(bytes.size(), 256u);
  EXPECT_EQ(bytes.find("contentUrl"), std::string::npos);
  EXPECT_EQ(Parsed(bytes, Encoding::kJson).message().author(), message.author());
}

TEST(Fitted, TakesAnyFrame) {
  v1::ServerFrame notice;
  notice.mutable_notice()->set_kind(v1::Notice::BAD_FRAME);
  notice.mutable_notice()->set_message(std::string(1000, 'n'));
  v1::ServerFrame delivered;
  delivered.mutable_delivered()->set_chat_id("d:alice:bob");
  for (int i = 0; i < 32; ++i) {
    v1::DeliveredMark& mark = *delivered.mutable_delivered()->add_marks();
    mark.set_uid("user" + std::to_string(i));
    mark.set_msg_id(~MsgId{0});
  }
  for (const Encoding encoding : kBoth) {
    std::string bytes = EncodeFitted(notice, encoding, 256);
    ASSERT_LE(bytes.size(), 256u);
    EXPECT_EQ(Parsed(bytes, encoding).notice().kind(), v1::Notice::BAD_FRAME);
    bytes = EncodeFitted(delivered, encoding, 256);
    ASSERT_LE(bytes.size(), 256u);
    EXPECT_EQ(Parsed(bytes, encoding).delivered().chat_id(), "d:alice:bob");
    EXPECT_GE(Parsed(bytes, encoding).delivered().marks_size(), 1);
    EXPECT_EQ(EncodeFitted(delivered, encoding, 64 * 1024), Encode(delivered, encoding));
  }
}

v1::Response HistoryOf(int count, size_t text) {
  v1::Response response;
  response.set_request_id("r1");
  for (int i = 0; i < count; ++i) {
    *response.mutable_history()->add_messages() =
        SomeMessage(std::string(text, 't'), static_cast<MsgId>(1000 + i));
  }
  return response;
}

TEST(ResponseFitted, KeepsTheEndThatPagingComesFrom) {
  for (const Encoding encoding : kBoth) {
    for (const uint32_t size : kSizes) {
      const size_t most = std::max(size, limits::kMinFrame);
      for (const KeepMessages keep : {KeepMessages::kNewest, KeepMessages::kOldest}) {
        const std::string bytes = EncodeResponseFitted(HistoryOf(200, 100), encoding, size, keep);
        ASSERT_LE(bytes.size(), most);
        const v1::Response response = Parsed(bytes, encoding).response();
        EXPECT_EQ(response.request_id(), "r1");
        if (response.has_error()) {  // JSON of 256 bytes has no room for a message in a page
          EXPECT_LT(most, 300u);
          continue;
        }
        const auto& messages = response.history().messages();
        ASSERT_GE(messages.size(), 1) << size;
        EXPECT_EQ(response.history().more(), messages.size() < 200);
        const MsgId first = keep == KeepMessages::kNewest
                                ? static_cast<MsgId>(1200 - messages.size()) : MsgId{1000};
        for (int i = 0; i < messages.size(); ++i) {
          EXPECT_EQ(messages[i].msg_id(), first + static_cast<MsgId>(i));
          EXPECT_EQ(messages[i].truncated(), messages[i].text().size() < 100);
        }
        // Of a full page no room for another message is left.
        if (messages.size() > 1 && messages.size() < 200) {
          EXPECT_GT(bytes.size() + 350, most);
        }
      }
    }
  }
}

TEST(ResponseFitted, KeepsMoreWhereItWasSetBefore) {
  v1::Response response = HistoryOf(3, 10);
  response.mutable_history()->set_more(true);
  const std::string bytes = EncodeResponseFitted(response, Encoding::kProtobuf, 1024);
  EXPECT_TRUE(Parsed(bytes, Encoding::kProtobuf).response().history().more());
  EXPECT_EQ(Parsed(bytes, Encoding::kProtobuf).response().history().messages_size(), 3);
}

TEST(ResponseFitted, CutsAMessageTooLargeByItself) {
  for (const Encoding encoding : kBoth) {
    const std::string bytes = EncodeResponseFitted(HistoryOf(5, 16'000), encoding, 1024);
    ASSERT_LE(bytes.size(), 1024u);
    const v1::History history = Parsed(bytes, encoding).response().history();
    ASSERT_EQ(history.messages_size(), 1);
    EXPECT_TRUE(history.more());
    EXPECT_EQ(history.messages(0).msg_id(), 1004u);
    EXPECT_TRUE(history.messages(0).truncated());
    EXPECT_GT(history.messages(0).text().size(), 600u);
  }
}

v1::Response ViewOf(int members, int messages, size_t text) {
  v1::Response response;
  response.set_request_id("r1");
  v1::ChatView& view = *response.mutable_chat_view();
  view.mutable_chat()->set_chat_id("g:abcdefghijklmnopqrstuvwxyz");
  view.mutable_chat()->set_title("Garden");
  view.mutable_chat()->set_member_count(static_cast<uint32_t>(members));
  for (int i = 0; i < members; ++i) {
    const std::string uid = "member" + std::to_string(i);
    view.mutable_chat()->add_members(uid);
    view.add_presence()->set_uid(uid);
    view.add_delivered()->set_uid(uid);
  }
  for (int i = 0; i < messages; ++i) {
    *view.add_messages() = SomeMessage(std::string(text, 't'), static_cast<MsgId>(1000 + i));
  }
  return response;
}

TEST(ResponseFitted, AViewKeepsItsChatAndItsNewestMessages) {
  for (const Encoding encoding : kBoth) {
    for (const uint32_t size : kSizes) {
      const std::string bytes = EncodeResponseFitted(ViewOf(64, 200, 200), encoding, size);
      ASSERT_LE(bytes.size(), std::max(size, limits::kMinFrame));
      const v1::Response response = Parsed(bytes, encoding).response();
      if (size < 600) continue;  // JSON: a chat and a message of empty fields are 500 bytes
      const v1::ChatView& view = response.chat_view();
      EXPECT_EQ(view.chat().chat_id(), "g:abcdefghijklmnopqrstuvwxyz") << size;
      ASSERT_GE(view.messages_size(), 1) << size;
      EXPECT_EQ(view.messages(view.messages_size() - 1).msg_id(), 1199u);
      EXPECT_EQ(view.more(), view.messages_size() < 200);
    }
    // With room for all of it nothing is given up.
    const std::string bytes = EncodeResponseFitted(ViewOf(64, 50, 100), encoding, 64 * 1024);
    EXPECT_TRUE(MessageDifferencer::Equals(Parsed(bytes, encoding).response(), ViewOf(64, 50, 100)));
  }
}

TEST(ResponseFitted, ListsOfChatsAndMembersKeepTheirBeginning) {
  v1::Response chats;
  for (int i = 0; i < 100; ++i) {
    v1::ChatSummary& summary = *chats.mutable_chats()->add_chats();
    summary.mutable_chat()->set_last_msg_id(static_cast<MsgId>(1000 - i));
    *summary.mutable_last_message() = SomeMessage(std::string(500, 't'));
    for (int m = 0; m < 64; ++m) summary.mutable_chat()->add_members("member" + std::to_string(m));
  }
  v1::Response members;
  for (int i = 0; i < 1000; ++i) {
    members.mutable_members()->add_uids(std::to_string(i) + std::string(60, 'u'));
  }
  for (const Encoding encoding : kBoth) {
    for (const uint32_t size : kSizes) {
      const size_t most = std::max(size, limits::kMinFrame);
      std::string bytes = EncodeResponseFitted(chats, encoding, size);
      ASSERT_LE(bytes.size(), most);
      if (size >= 600) {
        const v1::ChatList list = Parsed(bytes, encoding).response().chats();
        ASSERT_GE(list.chats_size(), 1) << size;
        EXPECT_EQ(list.chats(0).chat().last_msg_id(), 1000u);
        EXPECT_EQ(list.more(), list.chats_size() < 100);
      }
      bytes = EncodeResponseFitted(members, encoding, size);
      ASSERT_LE(bytes.size(), most);
      const v1::MemberList list = Parsed(bytes, encoding).response().members();
      ASSERT_GE(list.uids_size(), 1) << size;
      EXPECT_EQ(list.more(), list.uids_size() < 1000);
      for (int i = 0; i < list.uids_size(); ++i) EXPECT_EQ(list.uids(i), members.members().uids(i));
      if (list.more()) {
        EXPECT_GT(bytes.size() + 90, most);
      }
    }
  }
}

TEST(ResponseFitted, WhatCannotBeShortenedBecomesAnError) {
  v1::Response presence;
  presence.set_request_id("r1");
  for (int i = 0; i < 200; ++i) presence.mutable_presence()->add_presence()->set_uid("someone");
  v1::Response receipts;
  receipts.set_request_id("r1");
  for (int i = 0; i < 100; ++i) receipts.mutable_receipts()->add_chats()->set_chat_id("d:a:b");
  for (const v1::Response& asked : {presence, receipts}) {
    for (const Encoding encoding : kBoth) {
      const std::string bytes = EncodeResponseFitted(asked, encoding, 512);
      ASSERT_LE(bytes.size(), 512u);
      const v1::Response response = Parsed(bytes, encoding).response();
      EXPECT_EQ(response.request_id(), "r1");
      EXPECT_EQ(response.error().code(), v1::INVALID_ARGUMENT) << "final: it would be the same again";
      EXPECT_NE(response.error().message().find("ask for fewer"), std::string::npos);
      const std::string whole = EncodeResponseFitted(asked, encoding, 64 * 1024);
      EXPECT_TRUE(MessageDifferencer::Equals(Parsed(whole, encoding).response(), asked));
    }
  }
}

TEST(ResponseFitted, HoldsForRequestIdsOfNothingButEscapes) {
  for (v1::Response response : {HistoryOf(5, 1000), ViewOf(64, 5, 1000), v1::Response()}) {
    response.set_request_id(std::string(limits::kRequestId, '\x01'));
    if (response.result_case() == v1::Response::RESULT_NOT_SET) {
      response.mutable_error()->set_message(std::string(500, '\x02'));
      response.mutable_error()->set_code(v1::PERMISSION_DENIED);
    }
    for (const Encoding encoding : kBoth) {
      EXPECT_LE(EncodeResponseFitted(response, encoding, 256).size(), 256u);
    }
  }
  v1::Response error;
  error.mutable_error()->set_code(v1::PERMISSION_DENIED);
  error.mutable_error()->set_message(std::string(500, 'm'));
  const std::string bytes = EncodeResponseFitted(error, Encoding::kJson, 256);
  EXPECT_EQ(Parsed(bytes, Encoding::kJson).response().error().code(), v1::PERMISSION_DENIED);
}

std::string RandomText(std::mt19937& random) {
  static const std::string pieces[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\"",
                                       "\x01", "<", "\xe2\x80\xa8", "\\", "\n"};
  std::string text;
  const size_t length = random() % 5 == 0 ? random() % 3000 : random() % 60;
  while (text.size() < length) text += pieces[random() % std::size(pieces)];
  return text;
}

TEST(ResponseFitted, RandomPagesStayWithinTheirBounds) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 400; ++round) {
    v1::Response response;
    response.set_request_id(std::string(random() % limits::kRequestId, 'r'));
    const int count = static_cast<int>(random() % 40);
    for (int i = 0; i < count; ++i) {
      v1::Message message = SomeMessage(RandomText(random), static_cast<MsgId>(1 + i));
      message.set_content_url(RandomText(random));
      *response.mutable_history()->add_messages() = message;
    }
    const auto size = static_cast<uint32_t>(400 + random() % 8000);
    for (const Encoding encoding : kBoth) {
      const std::string bytes = EncodeResponseFitted(response, encoding, size);
      ASSERT_LE(bytes.size(), size);
      const v1::Response fitted = Parsed(bytes, encoding).response();
      const auto& messages = fitted.history().messages();
      if (count > 0) {
        ASSERT_GE(messages.size(), 1);
        EXPECT_EQ(messages[messages.size() - 1].msg_id(), static_cast<MsgId>(count));
      }
      EXPECT_EQ(fitted.history().more(), messages.size() < count);
    }
  }
}

}  // namespace
}  // namespace nightjar
