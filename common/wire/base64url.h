// base64url without padding (RFC 4648 section 5), as JSON Web Tokens use it. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nightjar {

std::string Base64UrlEncode(std::string_view bytes);
// Strict: nothing for padding, other characters, an impossible length, or bits left over that are not
// zero, so that no two texts mean the same bytes.
std::optional<std::string> Base64UrlDecode(std::string_view text);

}  // namespace nightjar
