#include "notifier/gateways/webpush_crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <openssl/rand.h>

namespace nightjar::notify {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* what) const {
    Free(what);
  }
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using PkeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using CipherCtxPtr = std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>>;
using KdfPtr = std::unique_ptr<EVP_KDF, Freer<EVP_KDF_free>>;
using KdfCtxPtr = std::unique_ptr<EVP_KDF_CTX, Freer<EVP_KDF_CTX_free>>;

constexpr uint32_t kRecordSize = 4096;

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
void* Param(std::string_view text) { return const_cast<char*>(text.data()); }

// Null if the point is not on the curve.
PkeyPtr PublicKey(std::string_view point) {
  char group[] = "prime256v1";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, Param(point), point.size()),
      OSSL_PARAM_construct_end()};
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
    return nullptr;
  }
  return PkeyPtr(key);
}

std::string PointOf(EVP_PKEY* key) {
  std::string point(65, '\0');
  size_t size = 0;
  const int ok = EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, Bytes(point),
                                                 point.size(), &size);
  return ok == 1 && size == point.size() ? point : "";
}

std::string SharedSecret(EVP_PKEY* mine, EVP_PKEY* theirs) {
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, mine, nullptr));
  std::string secret(32, '\0');
  size_t size = secret.size();
  if (EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), theirs) != 1 ||
      EVP_PKEY_derive(context.get(), Bytes(secret), &size) != 1 || size != secret.size()) {
    return "";
  }
  return secret;
}

std::string Hkdf(std::string_view salt, std::string_view key, std::string_view info, size_t size) {
  static const KdfPtr kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const KdfCtxPtr context(EVP_KDF_CTX_new(kdf.get()));
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, Param(key), key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, Param(salt), salt.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, Param(info), info.size()),
      OSSL_PARAM_construct_end()};
  std::string out(size, '\0');
  return EVP_KDF_derive(context.get(), Bytes(out), size, params) == 1 ? out : "";
}

// The only record, hence the delimiter 2 and the nonce as it is.
std::string Seal(std::string_view plain, const std::string& key, const std::string& nonce) {
  const CipherCtxPtr context(EVP_CIPHER_CTX_new());
  std::string padded(plain);
  padded += '\x02';
  std::string sealed(padded.size() + 16, '\0');
  int size = 0, rest = 0;
  const bool ok =
      EVP_EncryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, Bytes(std::string_view(key)),
                         Bytes(std::string_view(nonce))) == 1 &&
      EVP_EncryptUpdate(context.get(), Bytes(sealed), &size, Bytes(std::string_view(padded)),
                        static_cast<int>(padded.size())) == 1 &&
      EVP_EncryptFinal_ex(context.get(), Bytes(sealed) + size, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, 16, Bytes(sealed) + padded.size()) ==
          1;
  return ok ? sealed : "";
}

std::string_view WithZero(const char* text) {
  return {text, std::char_traits<char>::length(text) + 1};
}

}  // namespace

Result<EphemeralKey> EphemeralKey::Throw() {
  EphemeralKey thrown;
  thrown.key.reset(EVP_EC_gen("P-256"), EVP_PKEY_free);
  thrown.salt.resize(16);
  if (thrown.key == nullptr || RAND_bytes(Bytes(thrown.salt), 16) != 1) {
    return Status(Code::kInternal, "OpenSSL could not make a key");
  }
  return thrown;
}

Result<std::string> EncryptWebPush(std::string_view plain, std::string_view p256dh,
                                   std::string_view auth, const EphemeralKey& ephemeral) {
  if (plain.size() > kWebPushPlain) return Status(Code::kInvalidArgument, "too long for Web Push");
  if (p256dh.size() != 65 || p256dh[0] != 0x04 || auth.size() != 16) {
    return Status(Code::kInvalidArgument, "the browser's keys have the wrong size");
  }
  const PkeyPtr theirs = PublicKey(p256dh);
  if (theirs == nullptr) {
    return Status(Code::kInvalidArgument, "the browser's key is no point of P-256");
  }
  const std::string point = PointOf(ephemeral.key.get());
  const std::string shared = SharedSecret(ephemeral.key.get(), theirs.get());
  std::string info(WithZero("WebPush: info"));
  info.append(p256dh).append(point);
  const std::string ikm = Hkdf(auth, shared, info, 32);
  const std::string key = Hkdf(ephemeral.salt, ikm, WithZero("Content-Encoding: aes128gcm"), 16);
  const std::string nonce = Hkdf(ephemeral.salt, ikm, WithZero("Content-Encoding: nonce"), 12);
  if (point.empty() || shared.empty() || key.empty() || nonce.empty()) {
    return Status(Code::kInternal, "OpenSSL could not agree on a key");
  }
  const std::string sealed = Seal(plain, key, nonce);
  if (sealed.empty()) return Status(Code::kInternal, "OpenSSL could not encrypt");
  std::string body = ephemeral.salt;
  for (int shift = 24; shift >= 0; shift -= 8) body += static_cast<char>(kRecordSize >> shift);
  body += static_cast<char>(point.size());
  return body.append(point).append(sealed);
}

}  // namespace nightjar::notify
