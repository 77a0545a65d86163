#include <gtest/gtest.h>

#include "notifier/dispatch/gateways.h"
#include "tests/unit/notifier/gateways_world.h"

namespace nightjar::notify {
namespace {

using Kind = Verdict::Kind;
using nlohmann::json;

// Notes what it is given; the test says what became of it.
class NotedCarrier : public Carrier {
 public:
  bool Submit(HttpRequest request, Done done) override {
    if (full) return false;
    waiting.emplace_back(std::move(request), std::move(done));
    return true;
  }
  HttpRequest Answer(Carried carried, int64_t unix_ms = kNow) {
    auto [request, done] = std::move(waiting.front());
    waiting.erase(waiting.begin());
    done(std::move(carried), unix_ms);
    return request;
  }
  HttpRequest Answer(int status, std::string body = "", int64_t unix_ms = kNow) {
    Carried carried;
    carried.kind = Carried::Kind::kAnswered;
    carried.answer = Said(status, std::move(body));
    return Answer(std::move(carried), unix_ms);
  }

  std::vector<std::pair<HttpRequest, Done>> waiting;
  bool full = false;
};

class DispatchTest : public testing::Test {
 protected:
  static Gateways::Options AllOfThem() {
    Gateways::Options options;
    options.vapid = *Vapid::Make(SomeKey(SigningKey::Kind::kEs256), "mailto:ops@example.com");
    options.apns = *ApnsToken::Make(SomeKey(SigningKey::Kind::kEs256), "KEY1234567", "TEAM123456");
    const json account = {{"type", "service_account"},
                          {"project_id", "chat-42"},
                          {"private_key_id", "k1"},
                          {"private_key", test::KeyPair(test::KeyType::kRsa2048).PrivatePem()},
                          {"client_email", "push@chat-42.example"},
                          {"token_uri", "https://oauth.example/token"}};
    options.fcm.emplace(*FcmAccount::Parse(account.dump()));
    return options;
  }
  void Send(const v1::RegisterPush& to, int64_t now_ms = kNow) {
    gateways_.Send(to, SomeContent(), now_ms,
                   [this](Verdict verdict) { said_.push_back(std::move(verdict)); });
  }
  static v1::RegisterPush Android() {
    v1::RegisterPush to;
    to.mutable_fcm()->set_token("device");
    return to;
  }
  static v1::RegisterPush Iphone() {
    v1::RegisterPush to;
    to.mutable_apns()->set_token("00ff");
    to.mutable_apns()->set_topic("com.example.chat");
    return to;
  }
  static v1::RegisterPush Browser() {
    v1::RegisterPush to;
    to.mutable_web_push()->set_endpoint("https://push.example.net/abc");
    to.mutable_web_push()->set_p256dh(SomeKey(SigningKey::Kind::kEs256).PublicPoint());
    to.mutable_web_push()->set_auth(std::string(16, 'a'));
    return to;
  }
  static std::string Granted(const std::string& token) {
    return json{{"access_token", token}, {"expires_in", 3600}}.dump();
  }

  NotedCarrier web_, fcm_, apns_;
  std::vector<std::string> alarms_;
  std::vector<Verdict> said_;
  Gateways gateways_{AllOfThem(),
                     {&web_, &fcm_, &apns_},
                     [this](Gateway, const std::string& reason) { alarms_.push_back(reason); }};
};

TEST_F(DispatchTest, EachGoesToItsGateway) {
  Send(Browser());
  Send(Iphone());
  ASSERT_EQ(web_.waiting.size(), 1u);
  ASSERT_EQ(apns_.waiting.size(), 1u);
  EXPECT_TRUE(said_.empty());
  web_.Answer(201);
  apns_.Answer(410, R"({"reason":"Unregistered","timestamp":5})");
  ASSERT_EQ(said_.size(), 2u);
  EXPECT_EQ(said_[0].kind, Kind::kSent);
  EXPECT_EQ(said_[1].kind, Kind::kDeadToken);
}

TEST_F(DispatchTest, WithoutAnAccessTokenItIsAskedForOnceAndThePushComesAgain) {
  Send(Android());
  Send(Android());
  ASSERT_EQ(said_.size(), 2u) << "nothing is kept waiting";
  EXPECT_EQ(said_[0].kind, Kind::kLater);
  ASSERT_EQ(fcm_.waiting.size(), 1u);
  EXPECT_EQ(fcm_.Answer(200, Granted("at1")).url, "https://oauth.example/token");
  Send(Android());
  const HttpRequest request = fcm_.Answer(200);
  EXPECT_EQ(Header(request, "authorization"), "Bearer at1");
  EXPECT_EQ(said_.back().kind, Kind::kSent);
}

TEST_F(DispatchTest, AnExpiredApnsTokenIsRenewedAndTheRequestGoesOnceMore) {
  Send(Iphone());
  const HttpRequest first =
      apns_.Answer(403, R"({"reason":"ExpiredProviderToken"})", kNow + 30 * 60'000);
  ASSERT_EQ(apns_.waiting.size(), 1u);
  EXPECT_TRUE(said_.empty());
  const HttpRequest second =
      apns_.Answer(403, R"({"reason":"ExpiredProviderToken"})", kNow + 30 * 60'000);
  EXPECT_NE(Header(first, "authorization"), Header(second, "authorization"));
  ASSERT_EQ(said_.size(), 1u) << "not in a circle";
  EXPECT_EQ(AnswerOf(said_[0], 0).kind, Answer::Kind::kFailed);
  EXPECT_EQ(alarms_, std::vector<std::string>{"403 ExpiredProviderToken"});
}

TEST_F(DispatchTest, ARefusedAccessTokenIsForgotten) {
  Send(Android());
  fcm_.Answer(200, Granted("at1"));
  Send(Android());
  fcm_.Answer(401, "", kNow + 60'000);
  EXPECT_EQ(said_.back().kind, Kind::kLater) << "until there is another one";
  EXPECT_EQ(fcm_.waiting.front().first.url, "https://oauth.example/token");
}

TEST_F(DispatchTest, VapidIsSignedAnew) {
  Send(Browser());
  const HttpRequest first = web_.Answer(401, "", kNow + 3'600'000);
  const HttpRequest second = web_.Answer(201);
  EXPECT_NE(Header(first, "authorization"), Header(second, "authorization"));
  EXPECT_EQ(said_.at(0).kind, Kind::kSent);
}

TEST_F(DispatchTest, WhatCannotBeCarried) {
  Send(Browser());
  web_.Answer({Carried::Kind::kRefused, {}, 0, "the address is not public"});
  Send(Browser());
  web_.Answer({Carried::Kind::kHeld, {}, 7'000, "the host is left alone"});
  web_.full = true;
  Send(Browser());
  v1::RegisterPush nonsense = Iphone();
  nonsense.mutable_apns()->set_token("../x");
  Send(nonsense);
  ASSERT_EQ(said_.size(), 4u);
  EXPECT_EQ(said_[0].kind, Kind::kFailed);
  EXPECT_EQ(said_[1].kind, Kind::kLater);
  EXPECT_EQ(said_[1].after_ms, 7'000);
  EXPECT_EQ(said_[2].kind, Kind::kLater);
  EXPECT_EQ(said_[3].kind, Kind::kFailed);
  EXPECT_TRUE(alarms_.empty()) << "clients' nonsense is not the operator's matter";
}

TEST_F(DispatchTest, AlarmsAreSaidOnceAMinute) {
  for (const int64_t at : {0, 1, 59'999, 60'000}) {
    Send(Iphone(), kNow);
    apns_.Answer(403, R"({"reason":"InvalidProviderToken"})", kNow + at);
  }
  EXPECT_EQ(alarms_.size(), 2u);
}

TEST_F(DispatchTest, WithoutKeysNothingIsConfigured) {
  Gateways none({}, {}, [](Gateway, const std::string&) {});
  EXPECT_EQ(none.configured(), (std::array<bool, kGateways>{}));
  Kind kind = Kind::kSent;
  none.Send(Browser(), SomeContent(), kNow, [&](const Verdict& verdict) { kind = verdict.kind; });
  EXPECT_EQ(kind, Kind::kFailed);
}

TEST(AnswerOf, ATokenThatCameLaterThanItsDeathIsKept) {
  Verdict verdict;
  verdict.kind = Kind::kDeadToken;
  verdict.dead_since_ms = 1000;
  EXPECT_EQ(AnswerOf(verdict, 999).kind, Answer::Kind::kDeadToken);
  EXPECT_EQ(AnswerOf(verdict, 1001).kind, Answer::Kind::kFailed);
  EXPECT_EQ(AnswerOf(verdict, 0).kind, Answer::Kind::kDeadToken);
}

}  // namespace
}  // namespace nightjar::notify
