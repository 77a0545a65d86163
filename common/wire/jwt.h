// Who a token says its bearer is. Algorithms ES256, EdDSA (Ed25519), RS256, HS256; keys from a
// file, chosen by `kid`. Signatures are OpenSSL's matter, everything else is checked here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace nightjar {

struct Claims {
  std::string uid;          // sub
  std::string device;       // dev; empty: any device
  bool service = false;     // svc
  int64_t expires_ms = 0;   // exp, Unix milliseconds
  std::string name, email;  // optional, for notifications; bounded to 256 bytes each
};

// Threads: immutable after Load; Verify may be called from any thread.
class KeySet {
 public:
  // Reads a JSON key file:
  //   {"keys":[{"kid":"k1","alg":"HS256","secret":"base64url"},
  //            {"kid":"k2","alg":"ES256","pem":"-----BEGIN PUBLIC KEY-----..."}, ...]}
  // `pem_file` may stand in place of `pem`, relative to the key file. The key decides the
  // algorithm; a token that names another is refused.
  static Result<std::shared_ptr<const KeySet>> Load(const std::string& path);
  static Result<std::shared_ptr<const KeySet>> Parse(std::string_view json, const std::string& dir);

  // kUnauthenticated with a reason for the log (never containing the token).
  // A token without `kid` is tried with the only key, if there is exactly one.
  Result<Claims> Verify(std::string_view token, int64_t unix_ms) const;

  ~KeySet();

 private:
  KeySet();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Signs with the first HS256 key of a key file; for `nj token`, tests and the sidecars of one
// machine.
Result<std::string> SignToken(const std::string& key_file, const Claims& claims);

}  // namespace nightjar
