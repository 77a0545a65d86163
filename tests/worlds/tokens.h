// Keys and tokens, made once for all worlds: signing is dear, and every world begins at the same
// time. Also what packets say, for traces.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/wire/jwt.h"

namespace nightjar::worlds {

inline constexpr int64_t kTokensFrom = 1'790'000'000'000;

std::shared_ptr<const KeySet> WorldKeys();
// Valid for a day or more from `unix_ms`. The reference lives as long as the process.
const std::string& SomeToken(const std::string& uid, bool service, int64_t unix_ms);

std::string PacketText(const std::string& topic, std::string_view payload);

}  // namespace nightjar::worlds
