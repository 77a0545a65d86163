// A private key that signs JSON Web Tokens: ES256 (Web Push's VAPID, APNs) or RS256 (FCM).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

struct evp_pkey_st;

namespace nightjar::notify {

// Threads: immutable; Sign from any thread.
class SigningKey {
 public:
  enum class Kind { kEs256, kRs256 };

  // PEM, PKCS #8 or the older forms, not encrypted. P-256 for kEs256, RSA of 2048 bits or more for
  // kRs256; everything else is kInvalidArgument with a reason that does not show the key.
  static Result<SigningKey> FromPem(std::string_view pem, Kind kind);

  // The compact form of a token with this header and payload, both JSON texts as they are to be
  // signed. kInternal if OpenSSL refuses.
  Result<std::string> Sign(std::string_view header, std::string_view payload) const;

  // kEs256: the public point, uncompressed (65 bytes).
  std::string PublicPoint() const;

 private:
  SigningKey(std::shared_ptr<evp_pkey_st> key, Kind kind) : key_(std::move(key)), kind_(kind) {}
  std::shared_ptr<evp_pkey_st> key_;
  Kind kind_;
};

}  // namespace nightjar::notify
