#include "common/wire/jwt_keys.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "common/wire/base64url.h"

namespace nightjar {
namespace {

using nlohmann::json;

constexpr size_t kFileMost = 1 << 20;
constexpr size_t kKidMost = 128;
constexpr size_t kSecretLeast = 32;
constexpr int kRsaBitsLeast = 2048;

Status Bad(std::string reason) { return {Code::kInvalidArgument, std::move(reason)}; }

Result<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return Status(Code::kNotFound, path + ": is a directory");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(kFileMost + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return Status(Code::kNotFound,
                  fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileMost) return Bad(path + ": larger than 1 MiB");
  return text;
}

// The value of a string field; nothing if it is missing or no string.
std::optional<std::string> StringOf(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

// Empty if the key is one for the algorithm; else what is wrong with it.
std::string CheckKey(EVP_PKEY* key, JwtAlgorithm algorithm) {
  const int type = EVP_PKEY_base_id(key);
  switch (algorithm) {
    case JwtAlgorithm::kHs256:
      return "HS256 takes no public key";
    case JwtAlgorithm::kRs256:
      if (type != EVP_PKEY_RSA) return "RS256 needs an RSA key";
      if (EVP_PKEY_bits(key) < kRsaBitsLeast) {
        return fmt::format("RSA key of {} bits; at least {}", EVP_PKEY_bits(key), kRsaBitsLeast);
      }
      return {};
    case JwtAlgorithm::kEdDsa:
      return type == EVP_PKEY_ED25519 ? "" : "EdDSA needs an Ed25519 key";
    case JwtAlgorithm::kEs256:
      break;
  }
  char group[32] = {};
  size_t size = 0;
  if (type != EVP_PKEY_EC || EVP_PKEY_get_group_name(key, group, sizeof(group), &size) != 1 ||
      std::string_view(group, size) != SN_X9_62_prime256v1) {
    return "ES256 needs a key on the curve P-256";
  }
  return {};
}

std::optional<JwtAlgorithm> AlgorithmOf(std::string_view name) {
  for (const JwtAlgorithm algorithm :
       {JwtAlgorithm::kHs256, JwtAlgorithm::kEs256, JwtAlgorithm::kEdDsa, JwtAlgorithm::kRs256}) {
    if (name == NameOf(algorithm)) return algorithm;
  }
  return std::nullopt;
}

Result<std::string> ReadSecret(const json& entry) {
  const auto text = StringOf(entry, "secret");
  if (!text) return Bad("HS256 needs \"secret\"");
  auto secret = Base64UrlDecode(*text);
  if (!secret) return Bad("\"secret\" is not base64url without padding");
  if (secret->size() < kSecretLeast) {
    return Bad(fmt::format("secret of {} bytes; at least {}", secret->size(), kSecretLeast));
  }
  return *std::move(secret);
}

Result<std::shared_ptr<EVP_PKEY>> ReadPublicKey(const json& entry, const std::string& dir,
                                                JwtAlgorithm algorithm) {
  auto pem = StringOf(entry, "pem");
  const auto file = StringOf(entry, "pem_file");
  if (pem.has_value() == file.has_value()) {
    return Bad(fmt::format("{} needs \"pem\" or \"pem_file\", one of them", NameOf(algorithm)));
  }
  if (file) {
    // An absolute pem_file stays what it is.
    auto text = ReadFile((std::filesystem::path(dir) / *file).string());
    if (!text.ok()) return text.status();
    pem = std::move(text).value();
  }
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())), BIO_free);
  std::shared_ptr<EVP_PKEY> key(
      bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr, EVP_PKEY_free);
  ERR_clear_error();  // what is wrong is said here, and not left in the thread's queue
  if (key == nullptr) return Bad("the PEM text holds no public key (BEGIN PUBLIC KEY)");
  if (std::string wrong = CheckKey(key.get(), algorithm); !wrong.empty()) {
    return Bad(std::move(wrong));
  }
  return key;
}

Result<JwtKey> ReadKey(const json& entry, const std::string& dir) {
  if (!entry.is_object()) return Bad("not an object");
  JwtKey key;
  const auto kid = StringOf(entry, "kid");
  if (!kid || kid->empty() || kid->size() > kKidMost) {
    return Bad("\"kid\" has to be a string of 1 to 128 bytes");
  }
  key.kid = *kid;
  const auto algorithm = StringOf(entry, "alg");
  if (!algorithm) return Bad("\"alg\" is missing");
  const auto known = AlgorithmOf(*algorithm);
  if (!known) return Bad("\"alg\" is none of ES256, EdDSA, RS256, HS256");
  key.algorithm = *known;
  if (key.algorithm == JwtAlgorithm::kHs256) {
    auto secret = ReadSecret(entry);
    if (!secret.ok()) return secret.status();
    key.secret = std::move(secret).value();
  } else {
    auto public_key = ReadPublicKey(entry, dir, key.algorithm);
    if (!public_key.ok()) return public_key.status();
    key.public_key = std::move(public_key).value();
  }
  return key;
}

// "key 2 (kid "phone")", as far as it has one.
std::string NameOfEntry(size_t index, const json& entry) {
  std::string name = fmt::format("key {}", index + 1);
  if (!entry.is_object()) return name;
  if (auto kid = StringOf(entry, "kid"); kid && !kid->empty() && kid->size() <= kKidMost) {
    for (char& c : *kid) {
      if (c < ' ' || c > '~') c = '?';
    }
    name += fmt::format(" (kid \"{}\")", *kid);
  }
  return name;
}

}  // namespace

const char* NameOf(JwtAlgorithm algorithm) {
  switch (algorithm) {
    case JwtAlgorithm::kHs256:
      return "HS256";
    case JwtAlgorithm::kEs256:
      return "ES256";
    case JwtAlgorithm::kEdDsa:
      return "EdDSA";
    case JwtAlgorithm::kRs256:
      return "RS256";
  }
  return "";
}

Result<std::vector<JwtKey>> ParseKeys(std::string_view text, const std::string& dir) {
  const json file = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (file.is_discarded()) return Bad("not valid JSON");
  const auto list = file.is_object() ? file.find("keys") : file.end();
  if (!file.is_object() || list == file.end() || !list->is_array()) {
    return Bad("no list \"keys\" in it");
  }
  if (list->empty()) return Bad("\"keys\" is empty");
  std::vector<JwtKey> keys;
  for (size_t i = 0; i < list->size(); ++i) {
    const json& entry = (*list)[i];
    Result<JwtKey> key = ReadKey(entry, dir);
    if (!key.ok()) return Bad(NameOfEntry(i, entry) + ": " + key.status().message());
    for (const JwtKey& other : keys) {
      if (other.kid == key->kid) return Bad(NameOfEntry(i, entry) + ": kid given twice");
    }
    keys.push_back(std::move(key).value());
  }
  return keys;
}

Result<std::vector<JwtKey>> LoadKeys(const std::string& path) {
  Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  const std::string dir = std::filesystem::path(path).parent_path().string();
  Result<std::vector<JwtKey>> keys = ParseKeys(*text, dir);
  if (!keys.ok()) return Status(keys.status().code(), path + ": " + keys.status().message());
  return keys;
}

}  // namespace nightjar
