// What the tests of all gateways need: a content to send, and keys.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "notifier/gateways/content.h"
#include "notifier/gateways/http.h"
#include "notifier/gateways/signing_key.h"
#include "tests/unit/wire/tokens/token_maker.h"

namespace nightjar::notify {

inline constexpr int64_t kNow = 1'800'000'000'000;

inline Content SomeContent() {
  Content content;
  content.chat = "dm:alice:bob";
  content.author = "alice";
  content.text = "See you at nine?";
  content.newest = MakeMsgId(kNow - 5000, 7);
  content.count = 3;
  content.badge = 5;
  content.collapse_key = "abcdefghijklmnopqrstuvwx";
  content.expires_ms = kNow + 3'600'000;
  content.preview = true;
  content.language = "en";
  return content;
}

inline SigningKey SomeKey(SigningKey::Kind kind) {
  const bool ec = kind == SigningKey::Kind::kEs256;
  const test::KeyPair pair(ec ? test::KeyType::kEcP256 : test::KeyType::kRsa2048);
  return *SigningKey::FromPem(pair.PrivatePem(), kind);
}

inline std::string Header(const HttpRequest& request, const std::string& name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return "(none)";
}

inline HttpAnswer Said(int status, std::string body = "", std::string retry_after = "") {
  return {status, std::move(retry_after), std::move(body)};
}

}  // namespace nightjar::notify
