#include "notifier/gateways/webpush.h"

#include <gtest/gtest.h>

#include "common/wire/base64url.h"
#include "tests/unit/notifier/gateways_world.h"

namespace nightjar::notify {
namespace {

using Kind = Verdict::Kind;

v1::RegisterPush::WebPush Browser() {
  v1::RegisterPush::WebPush browser;
  browser.set_endpoint("https://Push.example.net:443/send/abc?x=1");
  browser.set_p256dh(SomeKey(SigningKey::Kind::kEs256).PublicPoint());
  browser.set_auth(std::string(16, 'a'));
  return browser;
}

Vapid SomeVapid() {
  return *Vapid::Make(SomeKey(SigningKey::Kind::kEs256), "mailto:ops@example.com");
}

TEST(WebPush, Request) {
  Vapid vapid = SomeVapid();
  const auto request = BuildWebPush(Browser(), SomeContent(), vapid, *EphemeralKey::Throw(), kNow);
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(request->url, "https://Push.example.net:443/send/abc?x=1");
  EXPECT_EQ(Header(*request, "ttl"), "3600");
  EXPECT_EQ(Header(*request, "topic"), "abcdefghijklmnopqrstuvwx");
  EXPECT_EQ(Header(*request, "content-encoding"), "aes128gcm");
  EXPECT_TRUE(Header(*request, "authorization").starts_with("vapid t=eyJ"));
  EXPECT_LE(request->body.size(), kWebPushBody);
}

TEST(WebPush, ALongTextIsCutToTheSize) {
  Vapid vapid = SomeVapid();
  Content content = SomeContent();
  content.text.assign(16 * 1024, 'x');
  content.chat.assign(1500, 'c');
  content.title = std::string(3000, '"');
  const auto request = BuildWebPush(Browser(), content, vapid, *EphemeralKey::Throw(), kNow);
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_LE(request->body.size(), kWebPushBody);
  EXPECT_GT(request->body.size(), 1500u);
}

// RFC 8292, section 2.4, has this header and payload.
TEST(WebPush, TheTokenIsThatOfTheRfc) {
  Vapid vapid = *Vapid::Make(SomeKey(SigningKey::Kind::kEs256), "mailto:push@example.com");
  constexpr int64_t kExp = 1'453'523'768;
  const auto header = vapid.Authorize("https://push.example.net", (kExp - 12 * 3600) * 1000);
  ASSERT_TRUE(header.ok());
  EXPECT_TRUE(header->starts_with(
      "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQi"
      "LCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0."));
  EXPECT_TRUE(header->ends_with(",k=" + vapid.PublicKey()));
  EXPECT_EQ(Base64UrlDecode(vapid.PublicKey())->size(), 65u);
}

TEST(WebPush, ATokenIsKeptForHalfItsLife) {
  Vapid vapid = SomeVapid();
  const std::string origin = "https://push.example.net";
  const std::string first = *vapid.Authorize(origin, kNow);
  EXPECT_EQ(*vapid.Authorize(origin, kNow + 5 * 3'600'000), first);
  EXPECT_NE(*vapid.Authorize(origin, kNow + 6 * 3'600'000), first);
  EXPECT_NE(*vapid.Authorize("https://other.example", kNow), first);
  const std::string now = *vapid.Authorize(origin, kNow);
  EXPECT_NE(now, first) << "the clock has gone back by a token's age";
  vapid.Renew(origin, kNow + 59'999);
  EXPECT_EQ(*vapid.Authorize(origin, kNow), now) << "not again within a minute";
  vapid.Renew(origin, kNow + 60'000);
  EXPECT_NE(*vapid.Authorize(origin, kNow), now);
}

TEST(WebPush, OriginsAndWhatIsNone) {
  EXPECT_EQ(*OriginOf("https://Push.Example.net/x"), "https://push.example.net");
  EXPECT_EQ(*OriginOf("HTTPS://a.b:8443?q"), "https://a.b:8443");
  EXPECT_EQ(*OriginOf("https://[2001:db8::1]:443/x"), "https://[2001:db8::1]");
  for (const char* bad :
       {"http://a.b/", "https://", "https:///x", "https://u:p@a.b/", "", "a.b",
        "https://a.b/\r\nx: y", "https://a b/", "https://a.b\\@c/", "https://ä.b/"}) {
    EXPECT_FALSE(OriginOf(bad).ok()) << bad;
  }
}

TEST(WebPush, Answers) {
  EXPECT_EQ(ReadWebPush(Said(201), kNow).kind, Kind::kSent);
  EXPECT_EQ(ReadWebPush(Said(404), kNow).kind, Kind::kDeadToken);
  EXPECT_EQ(ReadWebPush(Said(410), kNow).kind, Kind::kDeadToken);
  EXPECT_EQ(ReadWebPush(Said(401), kNow).kind, Kind::kRenewAuth);
  EXPECT_EQ(ReadWebPush(Said(403), kNow).kind, Kind::kConfiguration);
  EXPECT_EQ(ReadWebPush(Said(413), kNow).kind, Kind::kFailed);
  EXPECT_EQ(ReadWebPush(Said(302), kNow).kind, Kind::kFailed) << "redirects are not followed";
  EXPECT_EQ(ReadWebPush(Said(503), kNow).kind, Kind::kLater);
  EXPECT_EQ(ReadWebPush(Said(429, "", "17"), kNow).after_ms, 17'000);
}

TEST(RetryAfter, SecondsDatesAndNonsense) {
  EXPECT_EQ(RetryAfterMs("120", kNow), 120'000);
  EXPECT_EQ(RetryAfterMs("Fri, 15 Jan 2027 08:01:00 GMT", kNow), 60'000);
  EXPECT_EQ(RetryAfterMs("Fri, 15 Jan 2021 08:01:00 GMT", kNow), 0);
  EXPECT_EQ(RetryAfterMs("99999999999999999999999", kNow), 86'400'000);
  for (const char* nonsense : {"", "-5", "soon", "12 s", "-99999999999999999999999"}) {
    EXPECT_EQ(RetryAfterMs(nonsense, kNow), 0) << nonsense;
  }
}

}  // namespace
}  // namespace nightjar::notify
