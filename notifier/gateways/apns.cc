#include "notifier/gateways/apns.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <nlohmann/json.hpp>

namespace nightjar::notify {
namespace {

constexpr size_t kBody = 4096;
constexpr int64_t kKeepMs = 40 * 60'000, kLeastMs = 20 * 60'000;
constexpr int64_t kMostSeconds = int64_t{30} * 24 * 3600;

bool All(const std::string& text, const char* more, bool hex) {
  return std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return (hex ? std::isxdigit(c) : std::isalnum(c)) != 0 ||
           std::string_view(more).find(static_cast<char>(c)) != std::string_view::npos;
  });
}

nlohmann::json Payload(const Content& content, const Lines& lines) {
  nlohmann::json alert = {{"body", lines.body}};
  if (content.preview) alert["title"] = lines.title;
  nlohmann::json json = {{"aps",
                          {{"alert", alert},
                           {"badge", content.badge},
                           {"sound", "default"},
                           {"thread-id", content.collapse_key},
                           {"mutable-content", 1}}},
                         {"msg_id", std::to_string(content.newest)},
                         {"count", content.count}};
  // Apple can read it: which chat it is says who writes to whom.
  if (content.preview) json["chat"] = content.chat;
  return json;
}

// {"reason": "...", "timestamp": ms}
void ReadBody(const std::string& body, std::string& reason, int64_t& timestamp_ms) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return;
  const auto text = json.find("reason");
  if (text != json.end() && text->is_string()) reason = text->get<std::string>();
  const auto at = json.find("timestamp");
  if (at != json.end() && at->is_number_unsigned()) {
    timestamp_ms = static_cast<int64_t>(std::min<uint64_t>(
        at->get<uint64_t>(), static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
  }
}

}  // namespace

Result<ApnsToken> ApnsToken::Make(SigningKey key, std::string key_id, std::string team_id) {
  const auto fits = [](const std::string& id) { return id.size() == 10 && All(id, "", false); };
  if (!fits(key_id)) return Status(Code::kInvalidArgument, "the APNs key id has ten characters");
  if (!fits(team_id)) return Status(Code::kInvalidArgument, "the APNs team id has ten characters");
  return ApnsToken(std::move(key), std::move(key_id), std::move(team_id));
}

Result<std::string> ApnsToken::Get(int64_t now_ms) {
  const int64_t age = std::abs(now_ms - minted_ms_);
  if (!token_.empty() && age < (refused_ ? kLeastMs : kKeepMs)) return token_;
  const nlohmann::json header = {{"alg", "ES256"}, {"kid", key_id_}};
  const nlohmann::json payload = {{"iss", team_id_}, {"iat", now_ms / 1000}};
  Result<std::string> fresh = key_.Sign(header.dump(), payload.dump());
  if (!fresh.ok()) return fresh.status();
  token_ = *fresh;
  minted_ms_ = now_ms;
  refused_ = false;
  return token_;
}

void ApnsToken::Renew(int64_t now_ms) {
  // A refusal of one that was just made is an answer to a request with the one before.
  refused_ = std::abs(now_ms - minted_ms_) > 60'000;
}

Result<HttpRequest> BuildApns(const v1::RegisterPush::Apns& to, const Content& content,
                              const ApnsOptions& options, ApnsToken& token, int64_t now_ms) {
  if (to.token().empty() || to.token().size() > 512 || !All(to.token(), "", true)) {
    return Status(Code::kInvalidArgument, "the device token is not hexadecimal");
  }
  if (to.topic().empty() || !All(to.topic(), ".-_", false)) {
    return Status(Code::kInvalidArgument, "the topic is no bundle id");
  }
  const Result<std::string> bearer = token.Get(now_ms);
  if (!bearer.ok()) return bearer.status();
  HttpRequest request;
  request.url = (to.sandbox() ? options.sandbox_base : options.base) + "/3/device/" + to.token();
  const int64_t ttl = TtlSeconds(content, now_ms, kMostSeconds);
  request.headers = {{"authorization", "bearer " + *bearer},
                     {"content-type", "application/json"},
                     {"apns-topic", to.topic()},
                     {"apns-push-type", "alert"},
                     {"apns-priority", "10"},
                     {"apns-expiration", std::to_string(now_ms / 1000 + ttl)},
                     {"apns-collapse-id", content.collapse_key}};
  request.body =
      FitLines(content, kBody, [&](const Lines& lines) { return Payload(content, lines); });
  return request;
}

Verdict ReadApns(const HttpAnswer& answer, int64_t now_ms) {
  using Kind = Verdict::Kind;
  std::string reason;
  int64_t timestamp_ms = 0;
  ReadBody(answer.body, reason, timestamp_ms);
  Verdict verdict;
  verdict.reason = Reason(answer.status, reason);
  const int status = answer.status;
  if (status == 200) {
    verdict.kind = Kind::kSent;
  } else if (status == 410) {
    verdict.kind = Kind::kDeadToken;
    verdict.dead_since_ms = timestamp_ms;
  } else if (reason == "BadDeviceToken" || reason == "DeviceTokenNotForTopic") {
    verdict.kind = Kind::kDeadToken;
  } else if (reason == "ExpiredProviderToken") {
    verdict.kind = Kind::kRenewAuth;
  } else if (status == 429 || status >= 500) {
    verdict.kind = Kind::kLater;
    verdict.after_ms = RetryAfterMs(answer.retry_after, now_ms);
  } else if (status == 400 || status == 401 || status == 403) {
    verdict.kind = Kind::kConfiguration;
  }
  return verdict;
}

}  // namespace nightjar::notify
