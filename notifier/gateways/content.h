// What a notification says, before a gateway's form is given to it. Pure; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "common/wire/msg_id.h"

namespace nightjar::notify {

struct Content {
  std::string chat;
  std::string title;         // of the chat; empty: a direct one
  std::string author, text;  // of the newest message
  MsgId newest = 0;
  uint32_t count = 0;  // messages that it stands for
  uint32_t badge = 0;
  std::string collapse_key;
  int64_t expires_ms = 0;
  bool preview = false;  // may it show who wrote and what
  std::string language;
};

// The two lines of a notification.
struct Lines {
  std::string title, body;
};

// The JSON of `make`, as long as at most `most` bytes: the lines are cut until it fits, the body
// first. Without preview the title is empty and the body says only how many. Empty if nothing fits.
std::string FitLines(const Content& content, size_t most,
                     const std::function<nlohmann::json(const Lines&)>& make);

// How long the gateway is to keep it, in seconds; at least 0 (only if the device is there now).
int64_t TtlSeconds(const Content& content, int64_t now_ms, int64_t most);

// Compact, with bytes that are no text replaced: never throws.
std::string JsonText(const nlohmann::json& json);

}  // namespace nightjar::notify
