#include "common/wire/jwt_keys.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
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

// Empty if the PEM text is a public key for the algorithm; else what is wrong with it.
std::string CheckPem(const std::string& pem, jwt_alg_t algorithm) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr, EVP_PKEY_free);
  if (key == nullptr) return "the PEM text holds no public key (BEGIN PUBLIC KEY)";
  if (algorithm == JWT_ALG_RS256) {
    if (EVP_PKEY_base_id(key.get()) != EVP_PKEY_RSA) return "RS256 needs an RSA key";
    if (EVP_PKEY_bits(key.get()) < kRsaBitsLeast) {
      return fmt::format("RSA key of {} bits; at least {}", EVP_PKEY_bits(key.get()),
                         kRsaBitsLeast);
    }
    return {};
  }
  char group[32] = {};
  size_t size = 0;
  if (EVP_PKEY_base_id(key.get()) != EVP_PKEY_EC ||
      EVP_PKEY_get_group_name(key.get(), group, sizeof(group), &size) != 1 ||
      std::string_view(group, size) != SN_X9_62_prime256v1) {
    return "ES256 needs a key on the curve P-256";
  }
  return {};
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

Result<std::string> ReadPem(const json& entry, const std::string& dir, jwt_alg_t algorithm) {
  auto pem = StringOf(entry, "pem");
  const auto file = StringOf(entry, "pem_file");
  if (pem.has_value() == file.has_value()) {
    return Bad(fmt::format("{} needs \"pem\" or \"pem_file\", one of them",
                           jwt_alg_str(algorithm)));
  }
  if (file) {
    // An absolute pem_file stays what it is.
    auto text = ReadFile((std::filesystem::path(dir) / *file).string());
    if (!text.ok()) return text.status();
    pem = std::move(text).value();
  }
  if (std::string wrong = CheckPem(*pem, algorithm); !wrong.empty()) return Bad(std::move(wrong));
  return *std::move(pem);
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
  if (*algorithm == "HS256") {
    key.algorithm = JWT_ALG_HS256;
  } else if (*algorithm == "RS256") {
    key.algorithm = JWT_ALG_RS256;
  } else if (*algorithm == "ES256") {
    key.algorithm = JWT_ALG_ES256;
  } else {
    return Bad("\"alg\" is none of ES256, RS256, HS256");
  }
  auto material = key.algorithm == JWT_ALG_HS256 ? ReadSecret(entry)
                                                 : ReadPem(entry, dir, key.algorithm);
  if (!material.ok()) return material.status();
  key.material = std::move(material).value();
  return key;
}

// "key 2 (kid "phone")", as far as it has one.
std::string NameOf(size_t index, const json& entry) {
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
    if (!key.ok()) return Bad(NameOf(i, entry) + ": " + key.status().message());
    for (const JwtKey& other : keys) {
      if (other.kid == key->kid) return Bad(NameOf(i, entry) + ": kid given twice");
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
