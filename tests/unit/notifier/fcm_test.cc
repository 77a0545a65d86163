#include "notifier/gateways/fcm.h"

#include <gtest/gtest.h>

#include "tests/unit/notifier/gateways_world.h"

namespace nightjar::notify {
namespace {

using Kind = Verdict::Kind;
using nlohmann::json;

json AccountJson() {
  static const std::string pem = test::KeyPair(test::KeyType::kRsa2048).PrivatePem();
  return {{"type", "service_account"},
          {"project_id", "chat-42"},
          {"private_key_id", "k1"},
          {"private_key", pem},
          {"client_email", "push@chat-42.example"},
          {"token_uri", "https://oauth.example/token"}};
}
FcmAccess SomeAccess() { return FcmAccess(*FcmAccount::Parse(AccountJson().dump())); }
HttpAnswer Granted(const std::string& token, int64_t seconds) {
  return Said(200, json{{"access_token", token}, {"expires_in", seconds}}.dump());
}

HttpRequest Build(const Content& content) {
  v1::RegisterPush::Fcm phone;
  phone.set_token("device:token\"");
  const auto request = BuildFcm(phone, content, kFcmBase, "chat-42", "at", kNow);
  EXPECT_TRUE(request.ok());
  return *request;
}

TEST(Fcm, Request) {
  const HttpRequest request = Build(SomeContent());
  EXPECT_EQ(request.url, "https://fcm.googleapis.com/v1/projects/chat-42/messages:send");
  EXPECT_EQ(Header(request, "authorization"), "Bearer at");
  const json message = json::parse(request.body)["message"];
  EXPECT_EQ(message["token"], "device:token\"");
  EXPECT_EQ(message["notification"], (json{{"title", "alice"}, {"body", "See you at nine?"}}));
  EXPECT_EQ(message["android"]["collapse_key"], "abcdefghijklmnopqrstuvwx");
  EXPECT_EQ(message["android"]["ttl"], "3600s");
  EXPECT_EQ(message["android"]["notification"]["notification_count"], 5);
  for (const auto& [name, value] : message["data"].items()) EXPECT_TRUE(value.is_string()) << name;
}

TEST(Fcm, WithoutPreviewNothingSaysWho) {
  Content content = SomeContent();
  content.preview = false;
  const HttpRequest request = Build(content);
  EXPECT_EQ(request.body.find("alice"), std::string::npos);
  EXPECT_EQ(request.body.find("nine"), std::string::npos);
  EXPECT_NE(request.body.find("3 new messages"), std::string::npos);
}

TEST(Fcm, TheMessageFits) {
  Content content = SomeContent();
  content.chat.assign(2600, 'c');
  content.text.assign(16 * 1024, '\n');
  json message = json::parse(Build(content).body)["message"];
  message.erase("token");
  EXPECT_LE(message.dump().size(), 4096u);
  EXPECT_GT(message.dump().size(), 4000u);
}

TEST(Fcm, AccountsThatAreNone) {
  EXPECT_TRUE(FcmAccount::Parse(AccountJson().dump()).ok());
  for (const char* field : {"type", "project_id", "private_key", "client_email", "token_uri"}) {
    json account = AccountJson();
    account[field] = 7;
    EXPECT_FALSE(FcmAccount::Parse(account.dump()).ok()) << field;
  }
  json account = AccountJson();
  account["token_uri"] = "http://oauth.example/token";
  EXPECT_FALSE(FcmAccount::Parse(account.dump()).ok());
  account = AccountJson();
  account["project_id"] = "../x";
  EXPECT_FALSE(FcmAccount::Parse(account.dump()).ok());
  EXPECT_FALSE(FcmAccount::Parse("[]").ok());
  EXPECT_FALSE(FcmAccount::Parse("").ok());
}

TEST(Fcm, TheAccessTokenIsAskedForAndRenewed) {
  FcmAccess access = SomeAccess();
  ASSERT_TRUE(access.ShouldAsk(kNow));
  const auto ask = access.Ask(kNow);
  ASSERT_TRUE(ask.ok());
  EXPECT_EQ(ask->url, "https://oauth.example/token");
  EXPECT_FALSE(access.ShouldAsk(kNow)) << "one at a time";
  ASSERT_TRUE(access.Read(Granted("at1", 3600), kNow).ok());
  EXPECT_EQ(access.Token(kNow), "at1");
  EXPECT_FALSE(access.ShouldAsk(kNow + 3'299'999));
  EXPECT_TRUE(access.ShouldAsk(kNow + 3'300'000)) << "five minutes before its end";
  EXPECT_EQ(access.Token(kNow + 3'599'999), "at1") << "still good meanwhile";
  EXPECT_EQ(access.Token(kNow + 3'600'000), "");
}

TEST(Fcm, ARefusedTokenIsForgottenButNotItsSuccessor) {
  FcmAccess access = SomeAccess();
  ASSERT_TRUE(access.Ask(kNow).ok());
  ASSERT_TRUE(access.Read(Granted("at1", 3600), kNow).ok());
  access.Renew("at0");
  EXPECT_EQ(access.Token(kNow), "at1");
  access.Renew("at1");
  EXPECT_EQ(access.Token(kNow), "");
  EXPECT_FALSE(access.ShouldAsk(kNow + 9'999)) << "not in a circle";
  EXPECT_TRUE(access.ShouldAsk(kNow + 10'000));
}

TEST(Fcm, WhenNoTokenIsGranted) {
  FcmAccess access = SomeAccess();
  ASSERT_TRUE(access.Ask(kNow).ok());
  EXPECT_EQ(access.Read(Said(503, "", "60"), kNow).code(), Code::kUnavailable);
  EXPECT_FALSE(access.ShouldAsk(kNow + 59'999));
  EXPECT_TRUE(access.ShouldAsk(kNow + 60'000));
  const Status refused = access.Read(Said(400, R"({"error":"invalid_grant"})"), kNow);
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.message().find("400 invalid_grant"), std::string::npos);
  EXPECT_FALSE(access.ShouldAsk(kNow + 299'999));
  access.Failed(kNow);
  EXPECT_TRUE(access.ShouldAsk(kNow + 10'000));
  for (const char* nonsense : {"", "[]", R"({"access_token":"a b","expires_in":3600})",
                               R"({"access_token":"at","expires_in":-1})"}) {
    EXPECT_FALSE(access.Read(Said(200, nonsense), kNow).ok()) << nonsense;
    EXPECT_EQ(access.Token(kNow), "");
  }
}

TEST(Fcm, Answers) {
  const auto read = [](int status, const std::string& general, const std::string& code) {
    const json body = {{"error",
                        {{"code", status},
                         {"status", general},
                         {"details",
                          {{{"@type", "type.googleapis.com/google.rpc.BadRequest"}},
                           {{"@type", "type.googleapis.com/google.firebase.fcm.v1.FcmError"},
                            {"errorCode", code}}}}}}};
    return ReadFcm(Said(status, body.dump()), kNow).kind;
  };
  EXPECT_EQ(ReadFcm(Said(200, "{}"), kNow).kind, Kind::kSent);
  EXPECT_EQ(read(404, "NOT_FOUND", "UNREGISTERED"), Kind::kDeadToken);
  EXPECT_EQ(read(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), Kind::kDeadToken);
  EXPECT_EQ(read(404, "NOT_FOUND", ""), Kind::kConfiguration) << "no such project";
  EXPECT_EQ(read(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"), Kind::kConfiguration);
  EXPECT_EQ(read(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), Kind::kConfiguration);
  EXPECT_EQ(read(401, "UNAUTHENTICATED", ""), Kind::kRenewAuth);
  EXPECT_EQ(read(500, "INTERNAL", "INTERNAL"), Kind::kLater);
  EXPECT_EQ(ReadFcm(Said(429), kNow).after_ms, 60'000);
  EXPECT_EQ(ReadFcm(Said(429, "", "5"), kNow).after_ms, 5'000);
  EXPECT_EQ(ReadFcm(Said(503, "not JSON"), kNow).kind, Kind::kLater);
}

}  // namespace
}  // namespace nightjar::notify
