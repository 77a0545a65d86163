// The key file behind KeySet. Only jwt.cc and jwt_keys.cc use it.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace nightjar {

enum class JwtAlgorithm { kHs256, kEs256, kEdDsa, kRs256 };
// As a token's header has it.
const char* NameOf(JwtAlgorithm algorithm);

struct JwtKey {
  std::string kid;
  JwtAlgorithm algorithm = JwtAlgorithm::kHs256;
  std::string secret;                    // HS256
  std::shared_ptr<EVP_PKEY> public_key;  // the others: parsed once, that is most of the work
};

// At least one key, each checked to be usable for its algorithm (HS256: 32 bytes and more; RS256:
// RSA of 2048 bits and more; ES256: on P-256; EdDSA: Ed25519). kInvalidArgument with one line that
// names the key.
Result<std::vector<JwtKey>> ParseKeys(std::string_view json, const std::string& dir);
// The same from a file; the line begins with its path. kNotFound if it cannot be read.
Result<std::vector<JwtKey>> LoadKeys(const std::string& path);

}  // namespace nightjar
