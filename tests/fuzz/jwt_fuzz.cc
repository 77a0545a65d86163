// Tokens and key files. The first byte says what the rest is: a token; the payload of a token that is
// signed well; header and payload (a NUL between them) of one that is signed well; or a key file.
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/wire/base64url.h"
#include "common/wire/jwt.h"
#include "common/wire/names.h"
#include "tests/fuzz/check.h"
#include "tests/unit/wire/tokens/token_maker.h"

namespace {

using namespace nightjar;
using nlohmann::json;

constexpr int64_t kNowMs = 1'800'000'000'000;
const std::string kSecret(32, 's');

std::shared_ptr<const KeySet> MakeKeys() {
  const test::KeyPair ec(test::KeyType::kEcP256);
  const test::KeyPair ed(test::KeyType::kEd25519);
  const test::KeyPair rsa(test::KeyType::kRsa2048);
  const json file = {{"keys",
                      {{{"kid", "h"}, {"alg", "HS256"}, {"secret", Base64UrlEncode(kSecret)}},
                       {{"kid", "e"}, {"alg", "ES256"}, {"pem", ec.PublicPem()}},
                       {{"kid", "d"}, {"alg", "EdDSA"}, {"pem", ed.PublicPem()}},
                       {{"kid", "r"}, {"alg", "RS256"}, {"pem", rsa.PublicPem()}}}}};
  auto keys = KeySet::Parse(file.dump(), "");
  FUZZ_CHECK(keys.ok());
  return *keys;
}

void CheckVerdict(const Result<Claims>& claims) {
  if (!claims.ok()) {
    FUZZ_CHECK(claims.status().code() == Code::kUnauthenticated);
    FUZZ_CHECK(!claims.status().message().empty());
    return;
  }
  FUZZ_CHECK(ValidUid(claims->uid));
  FUZZ_CHECK(claims->device.empty() || ValidDevice(claims->device));
  FUZZ_CHECK(claims->expires_ms > kNowMs);
  FUZZ_CHECK(claims->name.size() <= 256 && claims->email.size() <= 256);
}

void CheckKeyFile(std::string_view text) {
  // Files elsewhere on the machine are none of a fuzzer's business.
  if (text.find("pem_file") != std::string_view::npos || text.find("\\u") != std::string_view::npos) {
    return;
  }
  const auto keys = KeySet::Parse(text, "");
  if (keys.ok()) {
    CheckVerdict((*keys)->Verify(test::HmacToken(R"({"alg":"HS256"})", R"({"sub":"a"})", kSecret),
                                 kNowMs));
  } else {
    FUZZ_CHECK(keys.status().code() == Code::kInvalidArgument);
    FUZZ_CHECK(keys.status().message().find('\n') == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const KeySet> keys = MakeKeys();
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: {
      // Nobody but us has the keys' private halves; an HMAC with this secret is in the corpus.
      CheckVerdict(keys->Verify(rest, kNowMs));
      break;
    }
    case 1: CheckVerdict(keys->Verify(test::HmacToken(R"({"alg":"HS256","kid":"h"})", rest, kSecret), kNowMs)); break;
    case 2: {
      const size_t nul = std::min(rest.find('\0'), rest.size());
      const std::string_view payload = nul < rest.size() ? rest.substr(nul + 1) : "";
      CheckVerdict(keys->Verify(test::HmacToken(rest.substr(0, nul), payload, kSecret), kNowMs));
      break;
    }
    default: CheckKeyFile(rest);
  }
  return 0;
}
