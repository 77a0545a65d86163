#include "persister/service_token.h"

#include <fstream>
#include <sstream>

#include "common/base/clock.h"
#include "common/wire/jwt.h"
#include "common/wire/limits.h"

namespace nightjar::persist {
namespace {

constexpr int64_t kLifeMs = 3600 * 1000;
constexpr int64_t kRenewMs = kLifeMs * 3 / 4;

}  // namespace

Result<mqtt::Credentials> ServiceCredentials(const TokenSource& source, const std::string& device) {
  mqtt::Credentials credentials;
  credentials.user = kServiceUser;
  if (!source.token_file.empty()) {
    std::ifstream file(source.token_file);
    if (!(file >> credentials.password)) {
      return Status(Code::kUnavailable, "no token can be read from " + source.token_file);
    }
    if (credentials.password.size() > limits::kToken) {
      return Status(Code::kInvalidArgument, "too long for a token: " + source.token_file);
    }
    return credentials;  // when it ends, the broker closes, and the file is read again
  }
  const int64_t now = SystemNow().unix_ms;
  Claims claims;
  claims.uid = kServiceUser;
  claims.device = device;
  claims.service = true;
  claims.expires_ms = now + kLifeMs;
  auto token = SignToken(source.key_file, claims);
  if (!token.ok()) return token.status();
  credentials.password = std::move(*token);
  credentials.renew_unix_ms = now + kRenewMs;
  return credentials;
}

}  // namespace nightjar::persist
