#include <gtest/gtest.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "common/wire/base64url.h"
#include "common/wire/jwt.h"
#include "notifier/gateways/signing_key.h"
#include "notifier/gateways/webpush_crypto.h"
#include "tests/unit/wire/tokens/token_maker.h"

namespace nightjar::notify {
namespace {

std::string Bytes(const char* base64url) { return *Base64UrlDecode(base64url); }

std::shared_ptr<EVP_PKEY> FromNumbers(const std::string& point, std::string scalar) {
  std::string reversed(scalar.rbegin(), scalar.rend());  // OpenSSL takes numbers in native order
  char group[] = "prime256v1";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<char*>(point.data()),
                                        point.size()),
      OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY,
                              reinterpret_cast<unsigned char*>(reversed.data()), reversed.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  EVP_PKEY* key = nullptr;
  EVP_PKEY_fromdata_init(context);
  EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params);
  EVP_PKEY_CTX_free(context);
  return {key, EVP_PKEY_free};
}

const char kBrowserKey[] =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const char kBrowserAuth[] = "BTBZMqHH6r4Tts7J_aSIgg";

// RFC 8291, section 5 and appendix A.
TEST(WebPushCrypto, TheExampleOfTheRfc) {
  EphemeralKey ephemeral;
  ephemeral.key =
      FromNumbers(Bytes("BP4z9KsN6nGRTbVYI_"
                        "c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"),
                  Bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"));
  ASSERT_NE(ephemeral.key, nullptr);
  ephemeral.salt = Bytes("DGv6ra1nlYgDCS1FRnbzlw");
  const Result<std::string> body =
      EncryptWebPush("When I grow up, I want to be a watermelon", Bytes(kBrowserKey),
                     Bytes(kBrowserAuth), ephemeral);
  ASSERT_TRUE(body.ok()) << body.status().message();
  EXPECT_EQ(
      Base64UrlEncode(*body),
      "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmY"
      "WAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexS"
      "gSxsj_Qulcy4a-fN");
}

TEST(WebPushCrypto, SizesAreHeld) {
  const Result<EphemeralKey> ephemeral = EphemeralKey::Throw();
  ASSERT_TRUE(ephemeral.ok());
  const auto encrypt = [&](size_t size, const std::string& key, const std::string& auth) {
    return EncryptWebPush(std::string(size, 'x'), key, auth, *ephemeral);
  };
  const std::string key = Bytes(kBrowserKey), auth = Bytes(kBrowserAuth);
  ASSERT_TRUE(encrypt(kWebPushPlain, key, auth).ok());
  EXPECT_EQ(encrypt(kWebPushPlain, key, auth)->size(), kWebPushBody);
  EXPECT_FALSE(encrypt(kWebPushPlain + 1, key, auth).ok());
  EXPECT_FALSE(encrypt(1, key.substr(1), auth).ok());
  EXPECT_FALSE(encrypt(1, key, auth.substr(1)).ok());
  std::string beside = key;
  beside.back() ^= 1;
  EXPECT_FALSE(encrypt(1, beside, auth).ok()) << "a point beside the curve gives secrets away";
}

TEST(WebPushCrypto, EveryMessageHasAKeyAndSaltOfItsOwn) {
  const Result<EphemeralKey> one = EphemeralKey::Throw(), other = EphemeralKey::Throw();
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_NE(one->salt, other->salt);
  EXPECT_NE(EVP_PKEY_eq(one->key.get(), other->key.get()), 1);
}

// What is signed here is taken by the project's own verifier.
TEST(SigningKey, SignsTokens) {
  struct Case {
    test::KeyType type;
    SigningKey::Kind kind;
    std::string name;
  };
  for (const Case& c : {Case{test::KeyType::kEcP256, SigningKey::Kind::kEs256, "ES256"},
                        Case{test::KeyType::kRsa2048, SigningKey::Kind::kRs256, "RS256"}}) {
    const test::KeyPair pair(c.type);
    const Result<SigningKey> key = SigningKey::FromPem(pair.PrivatePem(), c.kind);
    ASSERT_TRUE(key.ok()) << key.status().message();
    std::string pem = pair.PublicPem();
    for (size_t at; (at = pem.find('\n')) != std::string::npos;) pem.replace(at, 1, "\\n");
    const auto keys = KeySet::Parse(
        R"({"keys":[{"kid":"k","alg":")" + c.name + R"(","pem":")" + pem + R"("}]})", "");
    ASSERT_TRUE(keys.ok()) << keys.status().message();
    // Often, since a number in a signature may begin with zeros.
    for (int i = 0; i < 300; ++i) {
      const Result<std::string> token =
          key->Sign(R"({"alg":")" + c.name + R"(","kid":"k"})",
                    R"({"sub":"alice","exp":2000000000,"n":)" + std::to_string(i) + "}");
      ASSERT_TRUE(token.ok());
      ASSERT_TRUE((*keys)->Verify(*token, 1'800'000'000'000).ok()) << c.name << " " << i;
    }
  }
}

TEST(SigningKey, RefusesOtherKeys) {
  using Kind = SigningKey::Kind;
  const auto takes = [](test::KeyType type, Kind kind) {
    return SigningKey::FromPem(test::KeyPair(type).PrivatePem(), kind).ok();
  };
  EXPECT_FALSE(takes(test::KeyType::kEcP384, Kind::kEs256));
  EXPECT_FALSE(takes(test::KeyType::kRsa2048, Kind::kEs256));
  EXPECT_FALSE(takes(test::KeyType::kRsa1024, Kind::kRs256));
  EXPECT_FALSE(takes(test::KeyType::kEcP256, Kind::kRs256));
  EXPECT_FALSE(SigningKey::FromPem("", Kind::kEs256).ok());
  EXPECT_FALSE(
      SigningKey::FromPem(test::KeyPair(test::KeyType::kEcP256).PublicPem(), Kind::kEs256).ok());
}

}  // namespace
}  // namespace nightjar::notify
