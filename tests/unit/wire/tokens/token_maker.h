// Key pairs made on the spot and tokens signed with them, by OpenSSL alone. For tests and fuzzing.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace nightjar::test {

enum class KeyType { kEcP256, kEcP384, kRsa2048, kRsa1024, kEd25519 };

class KeyPair {
 public:
  explicit KeyPair(KeyType type);
  ~KeyPair();

  std::string PublicPem() const;
  std::string PrivatePem() const;  // PKCS #8
  // The raw signature as JWS has it (r and s side by side for EC), over SHA-256 except for Ed25519.
  std::string Sign(std::string_view text) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string HmacSha256(std::string_view secret, std::string_view text);

// "header.payload" in base64url: what is signed.
std::string SigningInput(std::string_view header, std::string_view payload);
std::string HmacToken(std::string_view header, std::string_view payload, std::string_view secret);
std::string PairToken(std::string_view header, std::string_view payload, const KeyPair& pair);

}  // namespace nightjar::test
