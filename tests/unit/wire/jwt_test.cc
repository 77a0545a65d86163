#include "common/wire/jwt.h"

#include <gtest/gtest.h>

#include <vector>

#include <nlohmann/json.hpp>

#include "common/wire/base64url.h"
#include "common/wire/limits.h"
#include "tests/unit/wire/tokens/token_maker.h"

namespace nightjar {
namespace {

using nlohmann::json;
using test::HmacToken;
using test::KeyPair;
using test::KeyType;
using test::PairToken;

constexpr int64_t kNowMs = 1'800'000'000'000;
constexpr int64_t kNowS = kNowMs / 1000;
const std::string kSecret(32, 's');
const std::string kHs = R"({"alg":"HS256","typ":"JWT","kid":"h"})";
const std::string kEs = R"({"alg":"ES256","typ":"JWT","kid":"e"})";
const std::string kEd = R"({"alg":"EdDSA","typ":"JWT","kid":"d"})";
const std::string kRs = R"({"alg":"RS256","typ":"JWT","kid":"r"})";

json Claimed() { return {{"sub", "alice"}, {"exp", kNowS + 60}}; }

class JwtTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ec_ = new KeyPair(KeyType::kEcP256);
    ed_ = new KeyPair(KeyType::kEd25519);
    rsa_ = new KeyPair(KeyType::kRsa2048);
  }
  static void TearDownTestSuite() {
    delete ec_;
    delete ed_;
    delete rsa_;
  }

  static json HsKey() {
    return {{"kid", "h"}, {"alg", "HS256"}, {"secret", Base64UrlEncode(kSecret)}};
  }
  static json EsKey() { return {{"kid", "e"}, {"alg", "ES256"}, {"pem", ec_->PublicPem()}}; }
  static json EdKey() { return {{"kid", "d"}, {"alg", "EdDSA"}, {"pem", ed_->PublicPem()}}; }
  static json RsKey() { return {{"kid", "r"}, {"alg", "RS256"}, {"pem", rsa_->PublicPem()}}; }

  static std::shared_ptr<const KeySet> Keys(const std::vector<json>& list) {
    auto keys = KeySet::Parse(json{{"keys", list}}.dump(), "");
    EXPECT_TRUE(keys.ok()) << keys.status().message();
    return *keys;
  }

  // What Verify says about a token signed well with the HS256 key.
  Result<Claims> Said(const json& payload, int64_t now_ms = kNowMs) const {
    return keys_->Verify(HmacToken(kHs, payload.dump(), kSecret), now_ms);
  }
  std::string Reason(const json& payload) const {
    const Result<Claims> claims = Said(payload);
    EXPECT_TRUE(claims.ok() || claims.status().code() == Code::kUnauthenticated);
    return claims.status().message();
  }
  std::string ReasonOf(const std::string& token) const {
    const Result<Claims> claims = keys_->Verify(token, kNowMs);
    EXPECT_TRUE(claims.ok() || claims.status().code() == Code::kUnauthenticated);
    return claims.status().message();
  }

  static KeyPair* ec_;
  static KeyPair* ed_;
  static KeyPair* rsa_;
  const std::shared_ptr<const KeySet> keys_ = Keys({HsKey(), EsKey(), EdKey(), RsKey()});
};
KeyPair* JwtTest::ec_ = nullptr;
KeyPair* JwtTest::ed_ = nullptr;
KeyPair* JwtTest::rsa_ = nullptr;

TEST_F(JwtTest, TakesAllItsAlgorithms) {
  const std::string payload = Claimed().dump();
  for (const std::string& token : {HmacToken(kHs, payload, kSecret), PairToken(kEs, payload, *ec_),
                                   PairToken(kEd, payload, *ed_), PairToken(kRs, payload, *rsa_)}) {
    const Result<Claims> claims = keys_->Verify(token, kNowMs);
    ASSERT_TRUE(claims.ok()) << claims.status().message();
    EXPECT_EQ(claims->uid, "alice");
    EXPECT_EQ(claims->device, "");
    EXPECT_FALSE(claims->service);
    EXPECT_EQ(claims->expires_ms, kNowMs + 60'000);
  }
}

TEST_F(JwtTest, ReadsTheOptionalClaims) {
  json payload = Claimed();
  payload.update({{"dev", "phone"}, {"svc", true}, {"name", "Alice"}, {"email", "a@b"}, {"x", {1}}});
  const Result<Claims> claims = Said(payload);
  ASSERT_TRUE(claims.ok());
  EXPECT_EQ(claims->device, "phone");
  EXPECT_TRUE(claims->service);
  EXPECT_EQ(claims->name, "Alice");
  EXPECT_EQ(claims->email, "a@b");
}

TEST_F(JwtTest, BoundsNameAndEmailAtACharacter) {
  json payload = Claimed();
  std::string name(255, 'n');
  payload["name"] = name + "\xc3\xa9";
  payload["email"] = 5;  // odd, and of no weight
  const Result<Claims> claims = Said(payload);
  ASSERT_TRUE(claims.ok());
  EXPECT_EQ(claims->name, name);
  EXPECT_EQ(claims->email, "");
}

TEST_F(JwtTest, ExpiresToTheMillisecond) {
  EXPECT_TRUE(Said(Claimed(), kNowMs + 59'999).ok());
  EXPECT_EQ(Said(Claimed(), kNowMs + 60'000).status().message(), "expired");
  json fraction = Claimed();
  fraction["exp"] = static_cast<double>(kNowS) + 0.5;
  EXPECT_TRUE(Said(fraction, kNowMs + 499).ok());
  EXPECT_FALSE(Said(fraction, kNowMs + 500).ok());
}

TEST_F(JwtTest, InsistsOnAUsableExp) {
  EXPECT_EQ(Reason({{"sub", "alice"}}), "no exp");
  for (const json& exp : {json("1900000000"), json(nullptr), json(true), json::array({1}), json(1e300),
                          json(1'900'000'000'000) /* milliseconds */, json(-1), json(0)}) {
    EXPECT_NE(Reason({{"sub", "alice"}, {"exp", exp}}), "") << exp;
  }
}

TEST_F(JwtTest, AllowsFiveSecondsOfSkewForWhatHasNotBegun) {
  for (const char* name : {"nbf", "iat"}) {
    json payload = Claimed();
    payload[name] = kNowS + 5;
    EXPECT_EQ(Reason(payload), "") << name;
    payload[name] = kNowS + 6;
    EXPECT_EQ(Reason(payload), "not valid yet") << name;
    payload[name] = "soon";
    EXPECT_NE(Reason(payload), "") << name;
  }
}

TEST_F(JwtTest, ChecksSubjectDeviceAndService) {
  for (const json& sub : {json(""), json("a b"), json(5), json(nullptr), json(std::string(65, 'a')),
                          json(std::string("ali\0ce", 6)), json("a:b"), json::array({"alice"})}) {
    EXPECT_NE(Reason({{"sub", sub}, {"exp", kNowS + 60}}), "") << sub;
  }
  EXPECT_NE(Reason({{"exp", kNowS + 60}}), "");
  for (const json& dev : {json(""), json("a.b"), json(5), json(std::string("a\0", 2))}) {
    json payload = Claimed();
    payload["dev"] = dev;
    EXPECT_NE(Reason(payload), "") << dev;
  }
  for (const json& svc : {json("true"), json(1), json(nullptr)}) {
    json payload = Claimed();
    payload["svc"] = svc;
    EXPECT_NE(Reason(payload), "") << svc;
  }
}

TEST_F(JwtTest, RefusesNoneAndConfusedAlgorithms) {
  const std::string payload = Claimed().dump();
  for (const char* alg : {"none", "None", "NONE", "nOnE", "", "HS384", "hs256", "ES256", "RS256"}) {
    const std::string header = json{{"alg", alg}, {"kid", "h"}}.dump();
    EXPECT_NE(ReasonOf(HmacToken(header, payload, kSecret)), "") << alg;
    EXPECT_NE(ReasonOf(test::SigningInput(header, payload) + "."), "") << alg;
  }
  // The classic: an HMAC made with a public key's text, under that key's name.
  for (const auto& [kid, pem] : {std::pair("e", ec_->PublicPem()), std::pair("d", ed_->PublicPem()),
                                std::pair("r", rsa_->PublicPem())}) {
    const std::string header = json{{"alg", "HS256"}, {"kid", kid}}.dump();
    EXPECT_EQ(ReasonOf(HmacToken(header, payload, pem)), "the algorithm is not the key's");
  }
  EXPECT_NE(ReasonOf(PairToken(R"({"alg":"ES256","kid":"r"})", payload, *ec_)), "");
  EXPECT_NE(ReasonOf(PairToken(R"({"alg":"EdDSA","kid":"e"})", payload, *ed_)), "");
  EXPECT_NE(ReasonOf(PairToken(R"({"alg":"ES256","kid":"d"})", payload, *ec_)), "");
  EXPECT_NE(ReasonOf(HmacToken(R"({"kid":"h"})", payload, kSecret)), "");
  EXPECT_NE(ReasonOf(HmacToken(R"({"alg":["HS256"],"kid":"h"})", payload, kSecret)), "");
  // Given twice, two parsers may each see another.
  EXPECT_NE(ReasonOf(HmacToken(R"({"alg":"none","alg":"HS256","kid":"h"})", payload, kSecret)), "");
  EXPECT_NE(ReasonOf(HmacToken(R"({"alg":"HS256","alg":"none","kid":"h"})", payload, kSecret)), "");
}

TEST_F(JwtTest, RefusesWrongSignatures) {
  const std::string payload = Claimed().dump();
  EXPECT_EQ(ReasonOf(HmacToken(kHs, payload, std::string(32, 'x'))), "bad signature");
  EXPECT_EQ(ReasonOf(PairToken(kEs, payload, KeyPair(KeyType::kEcP256))), "bad signature");
  EXPECT_EQ(ReasonOf(PairToken(kEd, payload, KeyPair(KeyType::kEd25519))), "bad signature");
  EXPECT_EQ(ReasonOf(PairToken(kRs, payload, KeyPair(KeyType::kRsa2048))), "bad signature");
  for (const std::string& header : {kHs, kEs, kEd, kRs}) {
    const std::string input = test::SigningInput(header, payload);
    for (const size_t size : {0, 1, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1000}) {
      EXPECT_EQ(ReasonOf(input + "." + Base64UrlEncode(std::string(size, '\0'))), "bad signature");
    }
  }
  // Another payload under a good signature.
  std::string token = HmacToken(kHs, payload, kSecret);
  json other = Claimed();
  other["sub"] = "mallory";
  token.replace(0, token.rfind('.'), test::SigningInput(kHs, other.dump()));
  EXPECT_EQ(ReasonOf(token), "bad signature");
}

TEST_F(JwtTest, EveryBitOfATokenCounts) {
  const std::string payload = Claimed().dump();
  for (const std::string& token : {HmacToken(kHs, payload, kSecret), PairToken(kEs, payload, *ec_),
                                   PairToken(kEd, payload, *ed_)}) {
    for (size_t i = 0; i < token.size(); ++i) {
      std::string changed = token;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(keys_->Verify(changed, kNowMs).ok()) << i;
    }
    EXPECT_FALSE(keys_->Verify(token.substr(0, token.size() - 1), kNowMs).ok());
    EXPECT_FALSE(keys_->Verify(token + "A", kNowMs).ok());
    EXPECT_FALSE(keys_->Verify(token + "=", kNowMs).ok());
    EXPECT_FALSE(keys_->Verify(token + ".", kNowMs).ok());
    EXPECT_FALSE(keys_->Verify(" " + token, kNowMs).ok());
    EXPECT_FALSE(keys_->Verify(token + "\n", kNowMs).ok());
    EXPECT_FALSE(keys_->Verify(token + std::string(1, '\0'), kNowMs).ok());
  }
}

TEST_F(JwtTest, RefusesWhatIsNoToken) {
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("..."), std::string("a.b"),
        std::string("a.b.c"), std::string("\0.\0.\0", 5), std::string("e30.e30.e30"),
        std::string("W10.e30.AAAA"), std::string("bnVsbA.bnVsbA.AAAA")}) {
    EXPECT_NE(ReasonOf(token), "");
  }
  EXPECT_NE(ReasonOf(HmacToken(std::string(5000, '['), "{}", kSecret)), "");
  EXPECT_NE(ReasonOf(HmacToken(kHs, "[]", kSecret)), "");
  EXPECT_NE(ReasonOf(HmacToken(kHs, "{", kSecret)), "");
  EXPECT_NE(ReasonOf(HmacToken(kHs, R"({"sub":"alice","sub":"bob","exp":1900000000})", kSecret)), "");
  EXPECT_NE(ReasonOf(HmacToken(R"({"alg":"HS256","kid":"h","crit":["exp"]})", Claimed().dump(),
                               kSecret)), "");
  EXPECT_EQ(ReasonOf(HmacToken(R"({"alg":"HS256","kid":"h","typ":"at+jwt"})", Claimed().dump(),
                               kSecret)), "typ is not JWT");
  EXPECT_EQ(ReasonOf(HmacToken(R"({"alg":"HS256","kid":"h"})", Claimed().dump(), kSecret)), "");
}

TEST_F(JwtTest, BoundsTheToken) {
  json payload = Claimed();
  payload["pad"] = std::string(5500, 'p');
  EXPECT_EQ(Reason(payload), "");
  payload["pad"] = std::string(limits::kToken, 'p');
  EXPECT_EQ(Reason(payload), "token larger than 8 KiB");
}

TEST_F(JwtTest, ChoosesTheKeyByKid) {
  const std::string payload = Claimed().dump();
  EXPECT_EQ(ReasonOf(HmacToken(R"({"alg":"HS256","kid":"other"})", payload, kSecret)),
            "no key of this kid");
  EXPECT_EQ(ReasonOf(HmacToken(R"({"alg":"HS256","kid":5})", payload, kSecret)), "kid is no string");
  const std::string nameless = HmacToken(R"({"alg":"HS256"})", payload, kSecret);
  EXPECT_EQ(ReasonOf(nameless), "no kid, and more than one key");
  EXPECT_TRUE(Keys({HsKey()})->Verify(nameless, kNowMs).ok());
  EXPECT_FALSE(Keys({EsKey()})->Verify(nameless, kNowMs).ok());
}

TEST_F(JwtTest, ReasonsNeverHoldTheToken) {
  const std::string payload = Claimed().dump();
  const std::string token = HmacToken(kHs, payload, std::string(32, 'x'));
  EXPECT_EQ(ReasonOf(token).find(token.substr(0, 10)), std::string::npos);
}

}  // namespace
}  // namespace nightjar
