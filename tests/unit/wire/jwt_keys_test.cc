// Key files: what is taken, and the one line that says what is wrong with one.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/wire/base64url.h"
#include "common/wire/jwt.h"
#include "tests/unit/wire/tokens/token_maker.h"

namespace nightjar {
namespace {

using nlohmann::json;
using test::KeyPair;
using test::KeyType;

class KeyFileTest : public testing::Test {
 protected:
  KeyFileTest() {
    std::string name = (std::filesystem::temp_directory_path() / "nightjar_keys_XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  ~KeyFileTest() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ / name, std::ios::binary) << text;
    return (dir_ / name).string();
  }

  std::filesystem::path dir_;
};

json HsKey(const std::string& kid = "h", size_t size = 32) {
  return {{"kid", kid}, {"alg", "HS256"}, {"secret", Base64UrlEncode(std::string(size, 's'))}};
}

// The whole complaint about a key file of these keys; empty if there is none.
std::string Complaint(const std::vector<json>& keys) {
  const auto result = KeySet::Parse(json{{"keys", keys}}.dump(), "");
  if (result.ok()) return {};
  EXPECT_EQ(result.status().message().find('\n'), std::string::npos) << "one line";
  return result.status().message();
}

TEST_F(KeyFileTest, SaysWhichFileCannotBeRead) {
  const auto missing = KeySet::Load((dir_ / "nowhere.json").string());
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_EQ(missing.status().message(),
            (dir_ / "nowhere.json").string() + ": cannot be read: No such file or directory");
  EXPECT_EQ(KeySet::Load(dir_.string()).status().message(), dir_.string() + ": is a directory");
}

TEST_F(KeyFileTest, SaysWhatIsWrongWithTheFile) {
  const auto said = [this](const std::string& text) {
    const std::string path = Write("keys.json", text);
    const Status status = KeySet::Load(path).status();
    EXPECT_TRUE(status.message().starts_with(path + ": ")) << status.message();
    return status.message().substr(std::min(status.message().size(), path.size() + 2));
  };
  EXPECT_EQ(said(""), "not valid JSON");
  EXPECT_EQ(said("{\"keys\":[}"), "not valid JSON");
  EXPECT_EQ(said("[]"), "no list \"keys\" in it");
  EXPECT_EQ(said("{}"), "no list \"keys\" in it");
  EXPECT_EQ(said("{\"keys\":{}}"), "no list \"keys\" in it");
  EXPECT_EQ(said("{\"keys\":[]}"), "\"keys\" is empty");
  EXPECT_EQ(said(std::string((1 << 20) + 1, ' ')), "larger than 1 MiB");
  EXPECT_EQ(said(json{{"keys", {HsKey(), HsKey("short", 31)}}}.dump()),
            "key 2 (kid \"short\"): secret of 31 bytes; at least 32");
}

TEST_F(KeyFileTest, SaysWhatIsWrongWithAKey) {
  EXPECT_EQ(Complaint({HsKey()}), "");
  EXPECT_EQ(Complaint({5}), "key 1: not an object");
  EXPECT_EQ(Complaint({{{"alg", "HS256"}}}), "key 1: \"kid\" has to be a string of 1 to 128 bytes");
  EXPECT_NE(Complaint({HsKey("")}), "");
  EXPECT_NE(Complaint({HsKey(std::string(129, 'k'))}), "");
  EXPECT_EQ(Complaint({{{"kid", "a"}}}), "key 1 (kid \"a\"): \"alg\" is missing");
  for (const char* alg : {"none", "HS384", "ES384", "eddsa", "hs256", ""}) {
    EXPECT_EQ(Complaint({{{"kid", "a"}, {"alg", alg}}}),
              "key 1 (kid \"a\"): \"alg\" is none of ES256, EdDSA, RS256, HS256");
  }
  EXPECT_EQ(Complaint({{{"kid", "a"}, {"alg", "HS256"}}}), "key 1 (kid \"a\"): HS256 needs \"secret\"");
  EXPECT_EQ(Complaint({{{"kid", "a"}, {"alg", "HS256"}, {"secret", "a+b="}}}),
            "key 1 (kid \"a\"): \"secret\" is not base64url without padding");
  EXPECT_EQ(Complaint({{{"kid", "a"}, {"alg", "ES256"}}}),
            "key 1 (kid \"a\"): ES256 needs \"pem\" or \"pem_file\", one of them");
  EXPECT_EQ(Complaint({{{"kid", "a"}, {"alg", "ES256"}, {"pem", "x"}, {"pem_file", "y"}}}),
            "key 1 (kid \"a\"): ES256 needs \"pem\" or \"pem_file\", one of them");
  EXPECT_EQ(Complaint({{{"kid", "a"}, {"alg", "RS256"}, {"pem", "-----BEGIN"}}}),
            "key 1 (kid \"a\"): the PEM text holds no public key (BEGIN PUBLIC KEY)");
  EXPECT_EQ(Complaint({HsKey("same"), HsKey("same")}), "key 2 (kid \"same\"): kid given twice");
  EXPECT_EQ(Complaint({HsKey("a\nb"), {{"kid", "a\nb"}}}),
            "key 2 (kid \"a?b\"): \"alg\" is missing");
}

TEST_F(KeyFileTest, HoldsKeysToTheirAlgorithm) {
  const auto of = [](const char* alg, KeyType type) {
    return Complaint({{{"kid", "a"}, {"alg", alg}, {"pem", KeyPair(type).PublicPem()}}});
  };
  EXPECT_EQ(of("ES256", KeyType::kEcP256), "");
  EXPECT_EQ(of("RS256", KeyType::kRsa2048), "");
  EXPECT_EQ(of("ES256", KeyType::kEcP384), "key 1 (kid \"a\"): ES256 needs a key on the curve P-256");
  EXPECT_EQ(of("ES256", KeyType::kRsa2048), "key 1 (kid \"a\"): ES256 needs a key on the curve P-256");
  EXPECT_EQ(of("ES256", KeyType::kEd25519), "key 1 (kid \"a\"): ES256 needs a key on the curve P-256");
  EXPECT_EQ(of("EdDSA", KeyType::kEd25519), "");
  EXPECT_EQ(of("EdDSA", KeyType::kEcP256), "key 1 (kid \"a\"): EdDSA needs an Ed25519 key");
  EXPECT_EQ(of("RS256", KeyType::kEd25519), "key 1 (kid \"a\"): RS256 needs an RSA key");
  EXPECT_EQ(of("RS256", KeyType::kEcP256), "key 1 (kid \"a\"): RS256 needs an RSA key");
  EXPECT_EQ(of("RS256", KeyType::kRsa1024), "key 1 (kid \"a\"): RSA key of 1024 bits; at least 2048");
}

TEST_F(KeyFileTest, FindsPemFilesBesideItself) {
  const KeyPair pair(KeyType::kEcP256);
  const std::string pem = Write("public.pem", pair.PublicPem());
  for (const std::string& name : {std::string("public.pem"), pem}) {
    const std::string path =
        Write("keys.json", json{{"keys", {{{"kid", "e"}, {"alg", "ES256"}, {"pem_file", name}}}}}.dump());
    const auto keys = KeySet::Load(path);
    ASSERT_TRUE(keys.ok()) << keys.status().message();
    const std::string token = test::PairToken(R"({"alg":"ES256","kid":"e"})",
                                              R"({"sub":"alice","exp":1900000000})", pair);
    EXPECT_TRUE((*keys)->Verify(token, 1'800'000'000'000).ok());
  }
  const std::string path = Write(
      "keys.json", json{{"keys", {{{"kid", "e"}, {"alg", "ES256"}, {"pem_file", "gone.pem"}}}}}.dump());
  EXPECT_EQ(KeySet::Load(path).status().message(),
            path + ": key 1 (kid \"e\"): " + (dir_ / "gone.pem").string() +
                ": cannot be read: No such file or directory");
}

TEST_F(KeyFileTest, SignedTokensAreTaken) {
  const KeyPair pair(KeyType::kEcP256);
  const std::string path =
      Write("keys.json", json{{"keys", {{{"kid", "e"}, {"alg", "ES256"}, {"pem", pair.PublicPem()}},
                                        HsKey("first"), HsKey("second")}}}.dump());
  Claims claims;
  claims.uid = "alice";
  claims.device = "phone";
  claims.service = true;
  claims.expires_ms = 1'900'000'000'000;
  claims.name = "Al\"ice \xc3\xa9";
  claims.email = "alice@example.org";
  const Result<std::string> token = SignToken(path, claims);
  ASSERT_TRUE(token.ok()) << token.status().message();
  const Result<Claims> read = (*KeySet::Load(path))->Verify(*token, 1'800'000'000'000);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->uid, claims.uid);
  EXPECT_EQ(read->device, claims.device);
  EXPECT_EQ(read->service, claims.service);
  EXPECT_EQ(read->expires_ms, claims.expires_ms);
  EXPECT_EQ(read->name, claims.name);
  EXPECT_EQ(read->email, claims.email);
}

TEST_F(KeyFileTest, SigningSaysWhyItCannot) {
  Claims claims;
  claims.uid = "alice";
  claims.expires_ms = 1'900'000'000'000;
  EXPECT_EQ(SignToken((dir_ / "gone").string(), claims).status().code(), Code::kNotFound);
  const KeyPair pair(KeyType::kEcP256);
  std::string path = Write(
      "es.json", json{{"keys", {{{"kid", "e"}, {"alg", "ES256"}, {"pem", pair.PublicPem()}}}}}.dump());
  EXPECT_EQ(SignToken(path, claims).status().message(), path + ": no HS256 key to sign with");
  path = Write("hs.json", json{{"keys", {HsKey()}}}.dump());
  claims.uid = "a b";
  EXPECT_EQ(SignToken(path, claims).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace nightjar
