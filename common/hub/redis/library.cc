#include "common/hub/redis/library.h"

#include <openssl/sha.h>

#include <charconv>
#include <string_view>

#include "common/hub/keys.h"

namespace nightjar::hub {
namespace {

constexpr std::string_view kHead = "#!lua name=nightjar\n";
constexpr std::string_view kLayout = "local LIBRARY_LAYOUT, LIBRARY_VERSION = ";
constexpr std::string_view kDigest = "local LIBRARY_DIGEST = '";

std::string Digest(std::string_view text) {
  unsigned char sha[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), sha);
  std::string hex;
  for (size_t i = 0; i < 8; ++i) {
    hex.push_back("0123456789abcdef"[sha[i] >> 4]);
    hex.push_back("0123456789abcdef"[sha[i] & 15]);
  }
  return hex;
}

// The number that starts at `at`; `at` then stands behind it.
uint64_t NumberAt(std::string_view text, size_t& at) {
  uint64_t value = 0;
  const auto end = std::from_chars(text.data() + at, text.data() + text.size(), value);
  at = static_cast<size_t>(end.ptr - text.data());
  return value;
}

}  // namespace

std::string LibraryText(uint64_t version, const char* clock) {
  std::string body = keys::LuaConstants();
  for (size_t i = 0; i < kLibraryPartCount; ++i) {
    const LibraryPart& part = kLibraryParts[i];
    body.append("\n-- ").append(part.name).append(".lua\n");
    body.append(clock != nullptr && std::string_view(part.name) == "clock" ? clock : part.text);
  }
  std::string text(kHead);
  text.append(kLayout).append(std::to_string(kLayoutVersion)).append(", ");
  text.append(std::to_string(version)).append("\n");
  text.append(kDigest).append(Digest(body)).append("'\n").append(body);
  return text;
}

LibraryState StateOf(const std::string& text) {
  LibraryState state;
  size_t at = text.find(kLayout);
  if (at == std::string::npos) return state;
  at += kLayout.size();
  state.layout = NumberAt(text, at);
  at += 2;  // ", "
  state.version = NumberAt(text, at);
  at = text.find(kDigest, at);
  if (at != std::string::npos) state.digest = text.substr(at + kDigest.size(), 16);
  return state;
}

bool ShouldReplace(const LibraryState& there, const LibraryState& ours) {
  if (there.version != ours.version) return there.version < ours.version;
  return there.digest != ours.digest;
}

}  // namespace nightjar::hub
