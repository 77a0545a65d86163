// The key file behind KeySet. Only jwt.cc and jwt_keys.cc use it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <jwt.h>

#include "common/base/result.h"

namespace nightjar {

struct JwtKey {
  std::string kid;
  jwt_alg_t algorithm = JWT_ALG_NONE;
  std::string material;  // HS256: the secret's bytes; else PEM text of the public key
};

// At least one key, each checked to be usable for its algorithm (HS256: 32 bytes and more; RS256: RSA
// of 2048 bits and more; ES256: on P-256). kInvalidArgument with one line that names the key.
Result<std::vector<JwtKey>> ParseKeys(std::string_view json, const std::string& dir);
// The same from a file; the line begins with its path. kNotFound if it cannot be read.
Result<std::vector<JwtKey>> LoadKeys(const std::string& path);

}  // namespace nightjar
