#include "tests/unit/wire/tokens/token_maker.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <cstdlib>

#include "common/wire/base64url.h"

namespace nightjar::test {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();  // OpenSSL itself fails: nothing can be tested
}

EVP_PKEY* Generate(KeyType type) {
  switch (type) {
    case KeyType::kEcP256:
      return EVP_EC_gen("P-256");
    case KeyType::kEcP384:
      return EVP_EC_gen("P-384");
    case KeyType::kRsa2048:
      return EVP_RSA_gen(2048);
    case KeyType::kRsa1024:
      return EVP_RSA_gen(1024);
    case KeyType::kEd25519:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  }
  return nullptr;
}

// DER to the fixed width of JWS: two numbers of 32 bytes.
std::string Joined(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  Require(signature != nullptr);
  std::array<unsigned char, 64> bytes;
  Require(BN_bn2binpad(ECDSA_SIG_get0_r(signature), bytes.data(), 32) == 32);
  Require(BN_bn2binpad(ECDSA_SIG_get0_s(signature), bytes.data() + 32, 32) == 32);
  ECDSA_SIG_free(signature);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename Write>
std::string Written(const Write& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  Require(write(bio) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

}  // namespace

struct KeyPair::Impl {
  EVP_PKEY* key = nullptr;
  bool ec = false;
  const EVP_MD* digest = EVP_sha256();
};

KeyPair::KeyPair(KeyType type) : impl_(std::make_unique<Impl>()) {
  impl_->key = Generate(type);
  impl_->ec = type == KeyType::kEcP256;
  if (type == KeyType::kEd25519) impl_->digest = nullptr;  // it has its own
  Require(impl_->key != nullptr);
}
KeyPair::~KeyPair() { EVP_PKEY_free(impl_->key); }

std::string KeyPair::PublicPem() const {
  return Written([this](BIO* bio) { return PEM_write_bio_PUBKEY(bio, impl_->key); });
}

std::string KeyPair::PrivatePem() const {
  return Written([this](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, impl_->key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string KeyPair::Sign(std::string_view text) const {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  Require(EVP_DigestSignInit(context, nullptr, impl_->digest, nullptr, impl_->key) == 1);
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  size_t size = 0;
  Require(EVP_DigestSign(context, nullptr, &size, bytes, text.size()) == 1);
  std::string signature(size, '\0');
  Require(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, bytes,
                         text.size()) == 1);
  signature.resize(size);
  EVP_MD_CTX_free(context);
  return impl_->ec ? Joined(signature) : signature;
}

std::string HmacSha256(std::string_view secret, std::string_view text) {
  std::array<unsigned char, 32> bytes;
  unsigned size = 0;
  Require(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
               reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data(),
               &size) != nullptr);
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string SigningInput(std::string_view header, std::string_view payload) {
  return Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
}

std::string HmacToken(std::string_view header, std::string_view payload, std::string_view secret) {
  const std::string input = SigningInput(header, payload);
  return input + "." + Base64UrlEncode(HmacSha256(secret, input));
}

std::string PairToken(std::string_view header, std::string_view payload, const KeyPair& pair) {
  const std::string input = SigningInput(header, payload);
  return input + "." + Base64UrlEncode(pair.Sign(input));
}

}  // namespace nightjar::test
