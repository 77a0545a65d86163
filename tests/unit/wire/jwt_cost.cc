// Not a test: what verifying a token costs, for each algorithm. Every CONNECT pays it on the
// broker's only thread.
#include <cstdio>
#include <ctime>

#include <nlohmann/json.hpp>

#include "common/wire/base64url.h"
#include "common/wire/jwt.h"
#include "tests/unit/wire/tokens/token_maker.h"

namespace {

using nlohmann::json;
using namespace nightjar;  // NOLINT(google-build-using-namespace)

void Measure(const char* algorithm, const json& key, const std::string& token) {
  const auto keys = KeySet::Parse(json{{"keys", {key}}}.dump(), "");
  if (!keys.ok()) {
    std::printf("%-6s %s\n", algorithm, keys.status().message().c_str());
    return;
  }
  constexpr int kTimes = 2000;
  int good = 0;
  const std::clock_t begin = std::clock();  // of CPU: the machine may be busy
  for (int i = 0; i < kTimes; ++i) good += (*keys)->Verify(token, 1'800'000'000'000).ok() ? 1 : 0;
  const double us = 1e6 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("%-6s %7.1f us a token%s\n", algorithm, us / kTimes,
              good == kTimes ? "" : ", but it was refused");
}

void MeasurePair(const char* algorithm, test::KeyType type) {
  const test::KeyPair pair(type);
  const json header = {{"alg", algorithm}, {"kid", "k"}};
  Measure(algorithm, {{"kid", "k"}, {"alg", algorithm}, {"pem", pair.PublicPem()}},
          test::PairToken(header.dump(), R"({"sub":"alice","exp":1900000000})", pair));
}

}  // namespace

int main() {
  const std::string secret(32, 's');
  Measure("HS256", {{"kid", "k"}, {"alg", "HS256"}, {"secret", Base64UrlEncode(secret)}},
          test::HmacToken(R"({"alg":"HS256","kid":"k"})", R"({"sub":"alice","exp":1900000000})",
                          secret));
  MeasurePair("ES256", test::KeyType::kEcP256);
  MeasurePair("RS256", test::KeyType::kRsa2048);
  MeasurePair("EdDSA", test::KeyType::kEd25519);
  return 0;
}
