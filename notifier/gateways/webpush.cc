#include "notifier/gateways/webpush.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "common/wire/base64url.h"

namespace nightjar::notify {
namespace {

constexpr int64_t kTokenMs = int64_t{12} * 3600 * 1000;  // a day is the most that is allowed
constexpr int64_t kRenewAfterMs = kTokenMs / 2;
constexpr int64_t kRenewGapMs = 60'000;
constexpr int64_t kMostTtl = int64_t{28} * 24 * 3600;

nlohmann::json Payload(const Content& content, const Lines& lines) {
  nlohmann::json json = {{"chat", content.chat},        {"msg_id", std::to_string(content.newest)},
                         {"count", content.count},      {"badge", content.badge},
                         {"tag", content.collapse_key}, {"body", lines.body}};
  if (content.preview) json["title"] = lines.title;
  return json;
}

}  // namespace

Result<std::string> OriginOf(const std::string& endpoint) {
  const Status bad(Code::kInvalidArgument, "the endpoint is no https URL");
  constexpr std::string_view kScheme = "https://";
  for (const char c : endpoint) {
    if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>') return bad;
  }
  std::string lower = endpoint;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower.rfind(kScheme, 0) != 0) return bad;
  const size_t end = std::min(lower.find_first_of("/?#", kScheme.size()), lower.size());
  std::string origin = lower.substr(0, end);
  if (end == kScheme.size() || origin.find('@') != std::string::npos) return bad;
  if (origin.size() > 4 && origin.ends_with(":443")) origin.resize(origin.size() - 4);
  return origin;
}

Result<Vapid> Vapid::Make(SigningKey key, std::string subject) {
  if (!subject.starts_with("mailto:") && !subject.starts_with("https:")) {
    return Status(Code::kInvalidArgument, "the VAPID subject must begin with mailto: or https:");
  }
  return Vapid(std::move(key), std::move(subject));
}

std::string Vapid::PublicKey() const { return Base64UrlEncode(key_.PublicPoint()); }

Result<std::string> Vapid::Authorize(const std::string& origin, int64_t now_ms) {
  const auto known = signed_.find(origin);
  if (known != signed_.end() && !known->second.header.empty() &&
      std::abs(now_ms - known->second.at_ms) < kRenewAfterMs) {
    return known->second.header;
  }
  nlohmann::ordered_json payload;
  payload["aud"] = origin;
  payload["exp"] = (now_ms + kTokenMs) / 1000;
  payload["sub"] = subject_;
  const Result<std::string> token = key_.Sign(R"({"typ":"JWT","alg":"ES256"})", payload.dump());
  if (!token.ok()) return token.status();
  if (signed_.size() >= kOrigins) signed_.clear();
  Signed& fresh = signed_[origin];
  fresh = {"vapid t=" + *token + ",k=" + PublicKey(), now_ms};
  return fresh.header;
}

void Vapid::Renew(const std::string& origin, int64_t now_ms) {
  const auto known = signed_.find(origin);
  if (known != signed_.end() && std::abs(now_ms - known->second.at_ms) >= kRenewGapMs) {
    signed_.erase(known);
  }
}

Result<HttpRequest> BuildWebPush(const v1::RegisterPush::WebPush& to, const Content& content,
                                 Vapid& vapid, const EphemeralKey& ephemeral, int64_t now_ms) {
  const Result<std::string> origin = OriginOf(to.endpoint());
  if (!origin.ok()) return origin.status();
  const std::string plain =
      FitLines(content, kWebPushPlain, [&](const Lines& lines) { return Payload(content, lines); });
  Result<std::string> body = EncryptWebPush(plain, to.p256dh(), to.auth(), ephemeral);
  if (!body.ok()) return body.status();
  const Result<std::string> authorization = vapid.Authorize(*origin, now_ms);
  if (!authorization.ok()) return authorization.status();
  HttpRequest request;
  request.url = to.endpoint();
  request.headers = {{"authorization", *authorization},
                     {"content-encoding", "aes128gcm"},
                     {"content-type", "application/octet-stream"},
                     {"ttl", std::to_string(TtlSeconds(content, now_ms, kMostTtl))},
                     {"urgency", "high"},
                     {"topic", content.collapse_key}};
  request.body = std::move(*body);
  return request;
}

Verdict ReadWebPush(const HttpAnswer& answer, int64_t now_ms) {
  using Kind = Verdict::Kind;
  Verdict verdict;
  verdict.reason = Reason(answer.status, "");
  const int status = answer.status;
  if (status >= 200 && status < 300) {
    verdict.kind = Kind::kSent;
  } else if (status == 404 || status == 410) {
    verdict.kind = Kind::kDeadToken;
  } else if (status == 429 || status >= 500) {
    verdict.kind = Kind::kLater;
    verdict.after_ms = RetryAfterMs(answer.retry_after, now_ms);
  } else if (status == 401) {
    verdict.kind = Kind::kRenewAuth;
  } else if (status == 400 || status == 403) {
    verdict.kind = Kind::kConfiguration;
  }
  return verdict;
}

}  // namespace nightjar::notify
