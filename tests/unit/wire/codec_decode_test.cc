#include <gtest/gtest.h>

#include "common/wire/codec.h"
#include "common/wire/limits.h"

namespace nightjar {
namespace {

using std::string_literals::operator""s;

v1::Send Sent(const std::string& payload) {
  Result<v1::Send> send = DecodeSend(payload);
  EXPECT_TRUE(send.ok()) << payload << ": " << send.status().message();
  return send.ok() ? *send : v1::Send();
}

void ExpectRefused(const Status& status, const std::string& payload) {
  EXPECT_EQ(status.code(), Code::kInvalidArgument) << payload;
  EXPECT_FALSE(status.message().empty()) << payload;
  EXPECT_LE(status.message().size(), 160u) << payload;
  for (const char c : status.message()) EXPECT_TRUE(c >= ' ' && c <= '~') << payload;
}

TEST(DetectEncoding, LooksAtTheFirstByteAfterWhiteSpace) {
  EXPECT_EQ(DetectEncoding("{}"), Encoding::kJson);
  EXPECT_EQ(DetectEncoding(" \t\r\n{"), Encoding::kJson);
  EXPECT_EQ(DetectEncoding(""), Encoding::kProtobuf);
  EXPECT_EQ(DetectEncoding("  "), Encoding::kProtobuf);
  EXPECT_EQ(DetectEncoding("[]"), Encoding::kProtobuf);
  EXPECT_EQ(DetectEncoding("\x08\x01"), Encoding::kProtobuf);
  EXPECT_EQ(DetectEncoding("\xef\xbb\xbf{}"), Encoding::kProtobuf);  // a byte order mark
}

TEST(Decode, TakesProtobuf) {
  v1::Send send;
  send.set_client_msg_id(~uint64_t{0});
  send.set_to("bob");
  send.set_text("h\xc3\xa9llo \0 there"s);
  EXPECT_EQ(Sent(send.SerializeAsString()).SerializeAsString(), send.SerializeAsString());
  EXPECT_EQ(Sent("").SerializeAsString(), "");  // an empty message is well formed

  v1::Ack ack;
  ack.set_seq(7);
  ack.set_max_frame(512);
  EXPECT_EQ(DecodeAck(ack.SerializeAsString())->max_frame(), 512u);
  v1::Request request;
  request.set_request_id("r");
  request.mutable_history()->set_before_msg_id(~uint64_t{0});
  EXPECT_EQ(DecodeRequest(request.SerializeAsString())->history().before_msg_id(), ~uint64_t{0});
}

TEST(Decode, RefusesBadProtobuf) {
  for (const std::string& payload :
       {"\x08"s, "\x22\x05hi"s, "\x22\x01\xff"s, "\x22\x03\xed\xa0\x80"s /* a surrogate */,
        "\x22\x02\xc0\x80"s /* NUL the long way */, "\x00"s, "\xff\xff\xff\xff\xff\xff"s, "hello"s,
        "[1]"s, "\x0b\x0b"s /* an open group */}) {
    ExpectRefused(DecodeSend(payload).status(), payload);
  }
}

TEST(Decode, BoundsSizeAndNesting) {
  v1::Send send;
  send.set_text(std::string(limits::kPacket, 'x'));
  ExpectRefused(DecodeSend(send.SerializeAsString()).status(), "large");
  ExpectRefused(DecodeSend("{\"text\":\"" + std::string(limits::kPacket, 'x') + "\"}").status(),
                "large");
  const std::string open(60'000, '[');
  ExpectRefused(DecodeSend("{\"x\":" + open).status(), "deep");
  std::string objects;
  for (int i = 0; i < 10'000; ++i) objects += "{\"x\":";
  ExpectRefused(DecodeSend(objects).status(), "deep");
  ExpectRefused(DecodeSend(std::string(60'000, '\x0b')).status(), "groups");
  Sent(R"({"x":[[[[[[[[[[[[[[1]]]]]]]]]]]]]],"to":"a"})");  // unknown, but not that deep
}

TEST(Decode, ForgetsUnknownFields) {
  v1::Send send = Sent("\x22\x02hi\x9a\x06\x03xyz"s);
  EXPECT_EQ(send.SerializeAsString(), "\x22\x02hi"s);
  v1::Request known;
  known.set_request_id("r");
  known.mutable_whoami();
  v1::Request extended = known;
  extended.mutable_whoami()->GetReflection()->MutableUnknownFields(extended.mutable_whoami())
      ->AddVarint(99, 1);
  EXPECT_EQ(DecodeRequest(extended.SerializeAsString())->SerializeAsString(),
            known.SerializeAsString());
}

TEST(DecodeJson, TakesBothNamesAndIgnoresWhatItDoesNotKnow) {
  const v1::Send send = Sent(
      R"( {"clientMsgId":"5","to":"bob","content_url":"u","contentType":"t","ack":7,"epoch":1,
          "new":{"deep":[1,{"clientMsgId":99999999999999999999}],"text":null}} )");
  EXPECT_EQ(send.client_msg_id(), 5u);
  EXPECT_EQ(send.to(), "bob");
  EXPECT_EQ(send.content_url(), "u");
  EXPECT_EQ(send.content_type(), "t");
  EXPECT_EQ(send.ack(), 7u);
  EXPECT_EQ(send.epoch(), 1u);
  EXPECT_EQ(Sent("{}").SerializeAsString(), "");
}

TEST(DecodeJson, NullIsNotGiven) {
  EXPECT_EQ(Sent(R"({"to":null,"chatId":"c","text":null})").chat_id(), "c");
  EXPECT_EQ(DecodeRequest(R"({"requestId":"r","whoami":null})")->body_case(),
            v1::Request::BODY_NOT_SET);
  EXPECT_FALSE(DecodeRequest(R"({"updateChat":{"title":null}})")->update_chat().has_title());
  EXPECT_TRUE(DecodeRequest(R"({"updateChat":{"title":""}})")->update_chat().has_title());
}

TEST(DecodeJson, NumbersAreExactOrRefused) {
  const std::pair<const char*, uint64_t> good[] = {
      {"0", 0}, {"-0", 0}, {"1e3", 1000}, {"1.0", 1}, {"9007199254740991", 9007199254740991},
      {"\"9007199254740993\"", 9007199254740993}, {"\"18446744073709551615\"", ~uint64_t{0}},
      {"9.007199254740991e15", 9007199254740991}};
  for (const auto& [text, value] : good) {
    EXPECT_EQ(Sent("{\"clientMsgId\":"s + text + "}").client_msg_id(), value) << text;
  }
  for (const char* bad :
       {"9007199254740992", "9007199254740993", "18446744073709551615", "18446744073709551616",
        "9.007199254740993e15", "1e300", "1e400", "-1", "1.5", "\"-1\"", "\"1.5\"", "\"1e3\"",
        "\" 12\"", "\"12 \"", "\"0x10\"", "\"\"", "\"18446744073709551616\"", "true", "[1]", "{}",
        "01", "+1", ".5", "1.", "NaN", "Infinity", "\"NaN\""}) {
    const std::string payload = "{\"clientMsgId\":"s + bad + "}";
    ExpectRefused(DecodeSend(payload).status(), payload);
  }
  EXPECT_EQ(DecodeRequest(R"({"muteChat":{"untilMs":-1}})")->mute_chat().until_ms(), -1);
  EXPECT_FALSE(DecodeRequest(R"({"muteChat":{"untilMs":-9007199254740992}})").ok());
  EXPECT_EQ(DecodeAck(R"({"maxFrame":1e3})")->max_frame(), 1000u);
  EXPECT_FALSE(DecodeAck(R"({"maxFrame":4294967296})").ok());
  EXPECT_FALSE(DecodeAck(R"({"maxFrame":-1})").ok());
}

TEST(DecodeJson, IsJsonAndNothingElse) {
  for (const std::string& payload :
       {"{"s, "{}x"s, "{}{}"s, "{} \0"s, "{'text':'a'}"s, "{text:\"a\"}"s, "{\"text\":\"a\",}"s,
        "{\"text\":\"a\"//c\n}"s, "{\"text\" \"a\"}"s, "{\"text\":\"\xff\"}"s,
        "{\"text\":\"\xed\xa0\x80\"}"s, "{\"text\":\"\0\"}"s, "{\"text\":\"a\nb\"}"s,
        R"({"text":"\ud800"})"s, R"({"text":"\udc00\ud800"})"s, R"({"text":"\x41"})"s,
        R"({"text":"a","text":"b"})"s, R"({"clientMsgId":1,"client_msg_id":1})"s,
        R"({"to":"a","chatId":"b"})"s, R"({"text":5})"s, R"({"text":true})"s, R"({"text":["a"]})"s,
        R"({"text":{}})"s}) {
    ExpectRefused(DecodeSend(payload).status(), payload);
  }
  for (const std::string& payload :
       {R"({"createChat":{"members":"x"}})"s, R"({"createChat":{"members":["x",null]}})"s,
        R"({"createChat":{"members":[["x"]]}})"s, R"({"createChat":[]})"s, R"({"whoami":1})"s,
        R"({"whoami":{},"history":{}})"s, R"({"createChat":{"members":[{}]}})"s,
        R"({"registerPush":{"webPush":{"p256dh":"!!"}}})"s, R"({"registerPush":{"preview":"true"}})"s,
        R"({"registerPush":{"preview":1}})"s}) {
    ExpectRefused(DecodeRequest(payload).status(), payload);
  }
}

TEST(DecodeJson, ReasonsNameTheFieldAndQuoteNothing) {
  EXPECT_EQ(DecodeSend(R"({"clientMsgId":"secret words"})").status().message(),
            "field client_msg_id: a value of the wrong kind");
  EXPECT_EQ(DecodeSend(R"({"text":{"a":"secret words"}})").status().message(),
            "field text: a value of the wrong kind");
  EXPECT_EQ(DecodeSend(R"({"clientMsgId":9007199254740993})").status().message(),
            "field clientMsgId: a number of 2^53 or more has to be given as a string");
  for (const char* payload : {R"({"secret":})", R"({"text":"secret", "text":1})",
                              R"({"to":"secret","chatId":"secret"})"}) {
    EXPECT_EQ(DecodeSend(payload).status().message().find("secret"), std::string::npos);
  }
}

TEST(DecodeJson, KeepsEveryCharacter) {
  EXPECT_EQ(Sent(R"({"text":"\ud83d\ude00\u0000\"\\\/\b\f\n\r\t"})").text(),
            "\xf0\x9f\x98\x80\0\"\\/\b\f\n\r\t"s);
  EXPECT_EQ(DecodeRequest(R"({"registerPush":{"webPush":{"auth":"-_-_","p256dh":"+/+/"}}})")
                ->register_push().web_push().auth(),
            "\xfb\xff\xbf");
}

TEST(Salvage, ReadsTheIdOfWhatCannotBeDecoded) {
  EXPECT_EQ(SalvageClientMsgId(R"({"clientMsgId":"77","text":5})"), 77u);
  EXPECT_EQ(SalvageClientMsgId(R"({"client_msg_id":77,"text":"cut of)"), 77u);
  EXPECT_EQ(SalvageClientMsgId(R"({"x":{"clientMsgId":1},"clientMsgId":77,)"), 77u);
  EXPECT_EQ(SalvageClientMsgId(R"({"clientMsgId":9007199254740993})"), 9007199254740993u);
  EXPECT_EQ(SalvageClientMsgId("\x08\x4d\x22\x05hi"s), 77u);  // a text that is cut off
  EXPECT_EQ(SalvageClientMsgId("\x22\x01\xff\x08\x4d"s), 77u);  // and one that is not UTF-8
  for (const std::string& payload :
       {""s, "{"s, "\x08"s, "hello"s, R"({"clientMsgId":"x"})"s, R"({"clientMsgId":-1})"s,
        R"({"clientMsgId":1.5})"s, R"({"text":"a"})"s, R"({"clientMsgId":[77]})"s,
        R"({"clientMsgId":{"a":77}})"s, "{\"a\":" + std::string(60'000, '[')}) {
    EXPECT_EQ(SalvageClientMsgId(payload), 0u) << payload.substr(0, 50);
  }
}

TEST(Salvage, ReadsTheRequestIdIfItIsOne) {
  EXPECT_EQ(SalvageRequestId(R"({"requestId":"r1","whoami":5})"), "r1");
  EXPECT_EQ(SalvageRequestId("\x0a\x02r1\x12\x05x"s), "r1");
  EXPECT_EQ(SalvageRequestId("\x0a\x02\xff\xff"s), "");
  EXPECT_EQ(SalvageRequestId("\x0a\x25"s + std::string(37, 'r')), "");
  EXPECT_EQ(SalvageRequestId("\x0a\x24"s + std::string(36, 'r')), std::string(36, 'r'));
  EXPECT_EQ(SalvageRequestId(R"({"requestId":5})"), "");
  EXPECT_EQ(SalvageRequestId(""), "");
}

}  // namespace
}  // namespace nightjar
