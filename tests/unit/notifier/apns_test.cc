#include "notifier/gateways/apns.h"

#include <gtest/gtest.h>

#include "tests/unit/notifier/gateways_world.h"

namespace nightjar::notify {
namespace {

using Kind = Verdict::Kind;
using nlohmann::json;

ApnsToken SomeToken() {
  return *ApnsToken::Make(SomeKey(SigningKey::Kind::kEs256), "KEY1234567", "TEAM123456");
}

v1::RegisterPush::Apns Phone() {
  v1::RegisterPush::Apns phone;
  phone.set_token("00ffAA");
  phone.set_topic("com.example.chat");
  return phone;
}

TEST(Apns, RequestWithPreview) {
  ApnsToken token = SomeToken();
  const auto request = BuildApns(Phone(), SomeContent(), {}, token, kNow);
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(request->url, "https://api.push.apple.com/3/device/00ffAA");
  EXPECT_EQ(Header(*request, "apns-topic"), "com.example.chat");
  EXPECT_EQ(Header(*request, "apns-collapse-id"), "abcdefghijklmnopqrstuvwx");
  EXPECT_EQ(Header(*request, "apns-expiration"), std::to_string(kNow / 1000 + 3600));
  EXPECT_EQ(Header(*request, "apns-priority"), "10");
  EXPECT_EQ(Header(*request, "authorization"), "bearer " + *token.Get(kNow));
  const json body = json::parse(request->body);
  EXPECT_EQ(body["aps"]["alert"], (json{{"title", "alice"}, {"body", "See you at nine?"}}));
  EXPECT_EQ(body["aps"]["badge"], 5);
  EXPECT_EQ(body["chat"], "dm:alice:bob");
}

TEST(Apns, WithoutPreviewNothingSaysWho) {
  ApnsToken token = SomeToken();
  Content content = SomeContent();
  content.preview = false;
  v1::RegisterPush::Apns phone = Phone();
  phone.set_sandbox(true);
  const auto request = BuildApns(phone, content, {}, token, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_TRUE(request->url.starts_with("https://api.sandbox.push.apple.com/"));
  EXPECT_EQ(request->body.find("alice"), std::string::npos);
  EXPECT_EQ(request->body.find("nine"), std::string::npos);
  EXPECT_EQ(json::parse(request->body)["aps"]["alert"], (json{{"body", "3 new messages"}}));
}

TEST(Apns, TheBodyFits) {
  ApnsToken token = SomeToken();
  Content content = SomeContent();
  content.title = "Neighbours";
  content.chat.assign(2900, 'c');
  content.text.clear();
  for (int i = 0; i < 3000; ++i) content.text += "\U0001F600\"";
  const auto request = BuildApns(Phone(), content, {}, token, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_LE(request->body.size(), 4096u);
  EXPECT_GT(request->body.size(), 4080u);
  const std::string body = json::parse(request->body)["aps"]["alert"]["body"];
  EXPECT_TRUE(body.starts_with("alice: \U0001F600"));
  EXPECT_TRUE(body.ends_with("…"));
}

TEST(Apns, RegistrationsThatCannotBe) {
  ApnsToken token = SomeToken();
  for (const char* bad : {"", "xyz", "00ff/../x", "00 ff"}) {
    v1::RegisterPush::Apns phone = Phone();
    phone.set_token(bad);
    EXPECT_FALSE(BuildApns(phone, SomeContent(), {}, token, kNow).ok()) << bad;
  }
  v1::RegisterPush::Apns phone = Phone();
  phone.set_topic("com.example\r\nx: y");
  EXPECT_FALSE(BuildApns(phone, SomeContent(), {}, token, kNow).ok());
}

TEST(Apns, OneTokenForFortyMinutesAndNeverTwoInTwenty) {
  ApnsToken token = SomeToken();
  const std::string first = *token.Get(kNow);
  EXPECT_EQ(*token.Get(kNow + 39 * 60'000), first);
  token.Renew(kNow + 10 * 60'000);
  EXPECT_EQ(*token.Get(kNow + 19 * 60'000), first) << "Apple refuses those who mint more often";
  EXPECT_NE(*token.Get(kNow + 20 * 60'000), first);
  ApnsToken other = SomeToken();
  const std::string old = *other.Get(kNow);
  EXPECT_NE(*other.Get(kNow + 40 * 60'000), old);
  EXPECT_FALSE(ApnsToken::Make(SomeKey(SigningKey::Kind::kEs256), "short", "TEAM123456").ok());
}

TEST(Apns, Answers) {
  const auto kind = [](int status, const std::string& reason) {
    return ReadApns(Said(status, R"({"reason":")" + reason + "\"}"), kNow).kind;
  };
  EXPECT_EQ(ReadApns(Said(200), kNow).kind, Kind::kSent);
  EXPECT_EQ(kind(400, "BadDeviceToken"), Kind::kDeadToken);
  EXPECT_EQ(kind(400, "DeviceTokenNotForTopic"), Kind::kDeadToken);
  EXPECT_EQ(kind(400, "BadTopic"), Kind::kConfiguration);
  EXPECT_EQ(kind(403, "ExpiredProviderToken"), Kind::kRenewAuth);
  EXPECT_EQ(kind(403, "InvalidProviderToken"), Kind::kConfiguration);
  EXPECT_EQ(kind(413, "PayloadTooLarge"), Kind::kFailed);
  EXPECT_EQ(kind(429, "TooManyRequests"), Kind::kLater);
  EXPECT_EQ(kind(429, "TooManyProviderTokenUpdates"), Kind::kLater) << "no new token for this";
  EXPECT_EQ(kind(503, "Shutdown"), Kind::kLater);
  const Verdict gone =
      ReadApns(Said(410, R"({"reason":"Unregistered","timestamp":1700000000123})"), kNow);
  EXPECT_EQ(gone.kind, Kind::kDeadToken);
  EXPECT_EQ(gone.dead_since_ms, 1'700'000'000'123);
  EXPECT_EQ(gone.reason, "410 Unregistered");
  EXPECT_EQ(ReadApns(Said(400, "<html>\n"), kNow).kind, Kind::kConfiguration);
  EXPECT_EQ(ReadApns(Said(400, "{\"reason\":\"a\\nb\"}"), kNow).reason, "400 a?b");
}

}  // namespace
}  // namespace nightjar::notify
