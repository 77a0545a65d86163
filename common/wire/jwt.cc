#include "common/wire/jwt.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/wire/base64url.h"
#include "common/wire/jwt_keys.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar {
namespace {

using nlohmann::json;

constexpr double kClockSkewS = 5;     // for `nbf` and `iat`; expiry is exact
constexpr double kTimeMostS = 1e11;   // the year 5138: beyond it is milliseconds by mistake
constexpr size_t kProfileMost = 256;  // of `name` and `email`

Status Refuse(const char* reason) { return {Code::kUnauthenticated, reason}; }

struct Token {
  std::string_view header, payload, signature;
};

std::optional<Token> Split(std::string_view token) {
  const size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  if (token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
  return Token{token.substr(0, first), token.substr(first + 1, second - first - 1),
               token.substr(second + 1)};
}

// A JSON object; discarded if it is anything else. A name given twice makes it "anything else": two
// parsers could take different ones.
json ParseObject(std::string_view text) {
  std::vector<std::vector<std::string>> names;
  bool clean = true;
  const auto watch = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key) {
      auto& seen = names.back();
      const auto& name = value.get_ref<const std::string&>();
      for (const std::string& other : seen) clean = clean && other != name;
      seen.push_back(name);
    }
    return true;
  };
  json parsed = json::parse(text, watch, /*allow_exceptions=*/false);
  if (!clean || !parsed.is_object()) return json(json::value_t::discarded);
  return parsed;
}

// The string value of a claim: nothing if there is no such claim; not ok if it is no plain string.
Result<std::optional<std::string>> OptionalString(const json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return std::optional<std::string>();
  if (!found->is_string()) return Refuse("a claim is not a string");
  auto value = found->get<std::string>();
  if (value.find('\0') != std::string::npos) return Refuse("a claim contains a NUL");
  return std::optional<std::string>(std::move(value));
}

// A NumericDate in seconds; nothing if there is no such claim.
Result<std::optional<double>> OptionalTime(const json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return std::optional<double>();
  if (!found->is_number()) return Refuse("a time claim is not a number");
  const double seconds = found->get<double>();
  if (!std::isfinite(seconds) || std::abs(seconds) > kTimeMostS) {
    return Refuse("a time claim is out of range");
  }
  return std::optional<double>(seconds);
}

Status CheckTimes(const json& claims, int64_t unix_ms, int64_t& expires_ms) {
  const auto expires = OptionalTime(claims, "exp");
  if (!expires.ok()) return expires.status();
  if (!expires->has_value()) return Refuse("no exp");
  expires_ms = static_cast<int64_t>(std::floor(**expires * 1000));
  if (unix_ms >= expires_ms) return Refuse("expired");
  const double latest_s = static_cast<double>(unix_ms) / 1000 + kClockSkewS;
  for (const char* name : {"nbf", "iat"}) {
    const auto from = OptionalTime(claims, name);
    if (!from.ok()) return from.status();
    if (from->has_value() && **from > latest_s) return Refuse("not valid yet");
  }
  return Status::Ok();
}

// The first bytes of a text that are whole characters.
std::string Bounded(std::string text) {
  if (text.size() <= kProfileMost) return text;
  size_t size = kProfileMost;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  text.resize(size);
  return text;
}

Result<Claims> ReadClaims(const json& token, int64_t unix_ms) {
  Claims claims;
  if (Status status = CheckTimes(token, unix_ms, claims.expires_ms); !status.ok()) return status;

  auto subject = OptionalString(token, "sub");
  if (!subject.ok()) return subject.status();
  if (!subject->has_value() || !ValidUid(**subject)) return Refuse("sub is no user id");
  claims.uid = **subject;

  auto device = OptionalString(token, "dev");
  if (!device.ok()) return device.status();
  if (device->has_value()) {
    if (!ValidDevice(**device)) return Refuse("dev is no device");
    claims.device = **device;
  }
  if (const auto service = token.find("svc"); service != token.end()) {
    if (!service->is_boolean()) return Refuse("svc is no boolean");
    claims.service = service->get<bool>();
  }
  // These two only decorate notifications: odd ones are left out, not refused.
  if (auto name = OptionalString(token, "name"); name.ok() && name->has_value()) {
    claims.name = Bounded(**name);
  }
  if (auto email = OptionalString(token, "email"); email.ok() && email->has_value()) {
    claims.email = Bounded(**email);
  }
  return claims;
}

bool IsJwtType(const json& type) {
  if (!type.is_string()) return false;
  std::string name = type.get<std::string>();
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name == "JWT";
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Hmac(std::string_view secret, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), Bytes(text), text.size(),
           bytes.data(), &size) == nullptr) {
    return {};
  }
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

// From JWS's two numbers side by side to the DER that OpenSSL takes; empty if it is not 64 bytes.
std::string EcdsaDer(std::string_view joined) {
  if (joined.size() != 64) return {};
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> numbers(ECDSA_SIG_new(),
                                                                      ECDSA_SIG_free);
  BIGNUM* r = BN_bin2bn(Bytes(joined), 32, nullptr);
  BIGNUM* s = BN_bin2bn(Bytes(joined) + 32, 32, nullptr);
  if (numbers == nullptr || ECDSA_SIG_set0(numbers.get(), r, s) != 1) {  // it owns them from here
    BN_free(r);
    BN_free(s);
    return {};
  }
  std::string der(80, '\0');  // two numbers of at most 33 bytes, and a few around them
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  const int size = i2d_ECDSA_SIG(numbers.get(), &at);
  der.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return der;
}

bool PublicKeyHolds(const JwtKey& key, std::string_view text, std::string_view signature) {
  const EVP_MD* digest = key.algorithm == JwtAlgorithm::kEdDsa ? nullptr : EVP_sha256();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const bool holds =
      context != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.public_key.get()) == 1 &&
      EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(text),
                       text.size()) == 1;
  ERR_clear_error();  // a refused signature leaves its trace in the thread's OpenSSL queue
  return holds;
}

// Is `signature` this key's, by its own algorithm, of `text`?
bool SignatureHolds(const JwtKey& key, std::string_view text, std::string_view signature) {
  if (signature.empty()) return false;
  switch (key.algorithm) {
    case JwtAlgorithm::kHs256: {
      const std::string good = Hmac(key.secret, text);
      return !good.empty() && signature.size() == good.size() &&
             CRYPTO_memcmp(signature.data(), good.data(), good.size()) == 0;
    }
    case JwtAlgorithm::kEs256: {
      const std::string der = EcdsaDer(signature);
      return !der.empty() && PublicKeyHolds(key, text, der);
    }
    case JwtAlgorithm::kEdDsa:
    case JwtAlgorithm::kRs256:
      return PublicKeyHolds(key, text, signature);
  }
  return false;
}

}  // namespace

struct KeySet::Impl {
  std::vector<JwtKey> keys;

  const JwtKey* Find(const std::string& kid) const {
    for (const JwtKey& key : keys) {
      if (key.kid == kid) return &key;
    }
    return nullptr;
  }
};

KeySet::KeySet() : impl_(std::make_unique<Impl>()) {}
KeySet::~KeySet() = default;

Result<std::shared_ptr<const KeySet>> KeySet::Load(const std::string& path) {
  auto keys = LoadKeys(path);
  if (!keys.ok()) return keys.status();
  std::shared_ptr<KeySet> set(new KeySet());
  set->impl_->keys = std::move(keys).value();
  return std::shared_ptr<const KeySet>(std::move(set));
}

Result<std::shared_ptr<const KeySet>> KeySet::Parse(std::string_view text, const std::string& dir) {
  auto keys = ParseKeys(text, dir);
  if (!keys.ok()) return keys.status();
  std::shared_ptr<KeySet> set(new KeySet());
  set->impl_->keys = std::move(keys).value();
  return std::shared_ptr<const KeySet>(std::move(set));
}

Result<Claims> KeySet::Verify(std::string_view token, int64_t unix_ms) const {
  if (token.size() > limits::kToken) return Refuse("token larger than 8 KiB");
  const auto parts = Split(token);
  if (!parts) return Refuse("not a signed token");
  const auto header_text = Base64UrlDecode(parts->header);
  const auto payload_text = Base64UrlDecode(parts->payload);
  const auto signature = Base64UrlDecode(parts->signature);
  if (!header_text || !payload_text || !signature) return Refuse("not base64url");

  const json header = ParseObject(*header_text);
  if (header.is_discarded()) return Refuse("header is no JSON object");
  if (header.contains("crit")) return Refuse("header has critical extensions");
  if (const auto type = header.find("typ"); type != header.end() && !IsJwtType(*type)) {
    return Refuse("typ is not JWT");
  }
  const JwtKey* key = nullptr;
  if (const auto kid = header.find("kid"); kid == header.end()) {
    if (impl_->keys.size() != 1) return Refuse("no kid, and more than one key");
    key = &impl_->keys.front();
  } else {
    if (!kid->is_string()) return Refuse("kid is no string");
    key = impl_->Find(kid->get<std::string>());
    if (key == nullptr) return Refuse("no key of this kid");
  }
  const auto algorithm = header.find("alg");
  if (algorithm == header.end() || !algorithm->is_string() ||
      algorithm->get_ref<const std::string&>() != NameOf(key->algorithm)) {
    return Refuse("the algorithm is not the key's");
  }
  const std::string_view text = token.substr(0, parts->header.size() + 1 + parts->payload.size());
  if (!SignatureHolds(*key, text, *signature)) return Refuse("bad signature");
  const json payload = ParseObject(*payload_text);
  if (payload.is_discarded()) return Refuse("payload is no JSON object");
  return ReadClaims(payload, unix_ms);
}

Result<std::string> SignToken(const std::string& key_file, const Claims& claims) {
  auto keys = LoadKeys(key_file);
  if (!keys.ok()) return keys.status();
  const JwtKey* key = nullptr;
  for (const JwtKey& candidate : *keys) {
    if (candidate.algorithm == JwtAlgorithm::kHs256 && key == nullptr) key = &candidate;
  }
  if (key == nullptr) return Status(Code::kNotFound, key_file + ": no HS256 key to sign with");
  if (!ValidUid(claims.uid)) return Status(Code::kInvalidArgument, "not a user id");
  if (!claims.device.empty() && !ValidDevice(claims.device)) {
    return Status(Code::kInvalidArgument, "not a device");
  }

  json payload = {{"sub", claims.uid}, {"exp", claims.expires_ms / 1000}};
  if (!claims.device.empty()) payload["dev"] = claims.device;
  if (claims.service) payload["svc"] = true;
  if (!claims.name.empty()) payload["name"] = claims.name;
  if (!claims.email.empty()) payload["email"] = claims.email;
  const auto part = [](const json& object) {
    return Base64UrlEncode(object.dump(-1, ' ', false, json::error_handler_t::replace));
  };
  const json header = {{"alg", NameOf(key->algorithm)}, {"typ", "JWT"}, {"kid", key->kid}};
  const std::string text = part(header) + "." + part(payload);
  const std::string signature = Hmac(key->secret, text);
  if (signature.empty()) return Status(Code::kInternal, "OpenSSL does not sign");
  return text + "." + Base64UrlEncode(signature);
}

}  // namespace nightjar
