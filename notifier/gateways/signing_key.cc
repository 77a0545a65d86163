#include "notifier/gateways/signing_key.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/wire/base64url.h"

namespace nightjar::notify {
namespace {

// No passphrase, and no question for one on the terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

bool IsP256(EVP_PKEY* key) {
  char group[64] = {};
  size_t size = 0;
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                        &size) == 1 &&
         std::string_view(group, size) == "prime256v1";
}

// OpenSSL's signature (DER) as JSON Web Tokens have it: r and s, 32 bytes each.
std::string RAndS(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> parts(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), ECDSA_SIG_free);
  std::string raw(64, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  if (parts == nullptr || BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), out, 32) != 32 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), out + 32, 32) != 32) {
    return "";
  }
  return raw;
}

std::string SignBytes(EVP_PKEY* key, std::string_view bytes) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t size = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, data, bytes.size()) != 1) {
    return "";
  }
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data,
                     bytes.size()) != 1) {
    return "";
  }
  signature.resize(size);
  return signature;
}

}  // namespace

Result<SigningKey> SigningKey::FromPem(std::string_view pem, Kind kind) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr),
                                EVP_PKEY_free);
  if (key == nullptr) {
    return Status(Code::kInvalidArgument, "no private key in PEM (or one with a passphrase)");
  }
  if (kind == Kind::kEs256 && !IsP256(key.get())) {
    return Status(Code::kInvalidArgument, "the key is not of the curve P-256");
  }
  const bool rsa = EVP_PKEY_is_a(key.get(), "RSA") == 1 && EVP_PKEY_get_bits(key.get()) >= 2048;
  if (kind == Kind::kRs256 && !rsa) {
    return Status(Code::kInvalidArgument, "the key is not RSA of at least 2048 bits");
  }
  return SigningKey(std::move(key), kind);
}

Result<std::string> SigningKey::Sign(std::string_view header, std::string_view payload) const {
  std::string token = Base64UrlEncode(header) + '.' + Base64UrlEncode(payload);
  std::string signature = SignBytes(key_.get(), token);
  if (kind_ == Kind::kEs256) signature = RAndS(signature);
  if (signature.empty()) return Status(Code::kInternal, "OpenSSL could not sign");
  return token.append(".").append(Base64UrlEncode(signature));
}

std::string SigningKey::PublicPoint() const {
  std::string point(65, '\0');
  size_t size = 0;
  EVP_PKEY_get_octet_string_param(key_.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                  reinterpret_cast<unsigned char*>(point.data()), point.size(),
                                  &size);
  // Keys may have been read in compressed form; then OpenSSL gives the point so.
  if (size == point.size() && point[0] == 0x04) return point;
  unsigned char* encoded = nullptr;
  EVP_PKEY_set_utf8_string_param(key_.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                 OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED);
  size = EVP_PKEY_get1_encoded_public_key(key_.get(), &encoded);
  point.assign(reinterpret_cast<const char*>(encoded), size);
  OPENSSL_free(encoded);
  return point;
}

}  // namespace nightjar::notify
