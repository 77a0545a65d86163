#include "notifier/gateways/fcm.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

namespace nightjar::notify {
namespace {

using nlohmann::json;

constexpr size_t kMessage = 4096;
constexpr int64_t kMostTtl = int64_t{28} * 24 * 3600;
constexpr int64_t kSlackMs = 5 * 60'000;
constexpr int64_t kQuotaMs = 60'000;

std::string Text(const json& object, const char* name) {
  if (!object.is_object()) return "";
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

json Message(const Content& content, const Lines& lines, int64_t now_ms) {
  json notification = {{"body", lines.body}};
  if (content.preview) notification["title"] = lines.title;
  json data = {{"msg_id", std::to_string(content.newest)},
               {"count", std::to_string(content.count)},
               {"tag", content.collapse_key}};
  // Google can read it: which chat it is says who writes to whom.
  if (content.preview) data["chat"] = content.chat;
  return {
      {"notification", notification},
      {"data", data},
      {"android",
       {{"collapse_key", content.collapse_key},
        {"priority", "HIGH"},
        {"ttl", std::to_string(TtlSeconds(content, now_ms, kMostTtl)) + "s"},
        {"notification", {{"tag", content.collapse_key}, {"notification_count", content.badge}}}}},
      {"apns",
       {{"headers", {{"apns-collapse-id", content.collapse_key}}},
        {"payload", {{"aps", {{"badge", content.badge}, {"sound", "default"}}}}}}}};
}

// The code of FCM's own among the details, else the general status.
std::string ErrorCode(const std::string& body) {
  const json answer = json::parse(body, nullptr, false);
  if (!answer.is_object() || !answer.contains("error")) return "";
  const json& error = answer["error"];
  if (error.is_object() && error.contains("details") && error["details"].is_array()) {
    for (const json& detail : error["details"]) {
      const std::string code = Text(detail, "errorCode");
      if (!code.empty()) return code;
    }
  }
  return Text(error, "status");
}

bool IsProjectId(const std::string& id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == ':' || c == '.';
  });
}

}  // namespace

Result<FcmAccount> FcmAccount::Parse(const std::string& text) {
  const json account = json::parse(text, nullptr, false);
  Result<SigningKey> key =
      SigningKey::FromPem(Text(account, "private_key"), SigningKey::Kind::kRs256);
  if (!account.is_object() || Text(account, "type") != "service_account") {
    return Status(Code::kInvalidArgument, "this is no service account's JSON");
  }
  if (!key.ok()) return Status(Code::kInvalidArgument, "private_key: " + key.status().message());
  FcmAccount parsed{Text(account, "project_id"), Text(account, "client_email"),
                    Text(account, "private_key_id"), Text(account, "token_uri"), std::move(*key)};
  if (!IsProjectId(parsed.project_id) || parsed.client_email.empty() ||
      !parsed.token_uri.starts_with("https://")) {
    return Status(Code::kInvalidArgument,
                  "project_id, client_email or token_uri (https) is missing or wrong");
  }
  return parsed;
}

std::string FcmAccess::Token(int64_t now_ms) const { return now_ms < until_ms_ ? token_ : ""; }

bool FcmAccess::ShouldAsk(int64_t now_ms) const {
  return !asking_ && now_ms >= not_before_ms_ && now_ms >= until_ms_ - kSlackMs;
}

Result<HttpRequest> FcmAccess::Ask(int64_t now_ms) {
  const json header = {{"alg", "RS256"}, {"typ", "JWT"}, {"kid", account_.key_id}};
  const json payload = {{"iss", account_.client_email},
                        {"scope", "https://www.googleapis.com/auth/firebase.messaging"},
                        {"aud", account_.token_uri},
                        {"iat", now_ms / 1000},
                        {"exp", now_ms / 1000 + 3600}};
  const Result<std::string> statement = account_.key.Sign(JsonText(header), JsonText(payload));
  if (!statement.ok()) return statement.status();
  asking_ = true;
  HttpRequest request;
  request.url = account_.token_uri;
  request.headers = {{"content-type", "application/x-www-form-urlencoded"}};
  request.body =
      "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=" + *statement;
  return request;
}

Status FcmAccess::Read(const HttpAnswer& answer, int64_t now_ms) {
  asking_ = false;
  const json body = json::parse(answer.body, nullptr, false);
  if (answer.status == 200) {
    const std::string token = Text(body, "access_token");
    const bool printable =
        std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    const bool lasts =
        body.is_object() && body.contains("expires_in") && body["expires_in"].is_number_unsigned();
    if (!token.empty() && token.size() <= 8192 && printable && lasts) {
      token_ = token;
      until_ms_ = now_ms + static_cast<int64_t>(
                               std::min<uint64_t>(body["expires_in"].get<uint64_t>(), 24 * 3600)) *
                               1000;
      // One that ends within the slack is used up, not asked for in a circle.
      not_before_ms_ = now_ms + 10'000;
      return Status::Ok();
    }
  }
  const std::string reason = Reason(answer.status, Text(body, "error"));
  const int status = answer.status;
  if (status == 200 || status == 429 || status >= 500) {
    not_before_ms_ = now_ms + std::max<int64_t>(10'000, RetryAfterMs(answer.retry_after, now_ms));
    return Status(Code::kUnavailable, "no access token: " + reason);
  }
  not_before_ms_ = now_ms + 300'000;
  return Status(Code::kFailedPrecondition, "the service account is refused: " + reason);
}

void FcmAccess::Failed(int64_t now_ms) {
  asking_ = false;
  not_before_ms_ = now_ms + 10'000;
}

void FcmAccess::Renew(const std::string& token) {
  if (token != token_) return;  // another one by now
  token_.clear();
  until_ms_ = 0;
}

Result<HttpRequest> BuildFcm(const v1::RegisterPush::Fcm& to, const Content& content,
                             const std::string& base, const std::string& project,
                             const std::string& access_token, int64_t now_ms) {
  if (to.token().empty()) return Status(Code::kInvalidArgument, "the device token is empty");
  const std::string message = FitLines(
      content, kMessage, [&](const Lines& lines) { return Message(content, lines, now_ms); });
  if (message.empty()) return Status(Code::kInvalidArgument, "the message does not fit");
  HttpRequest request;
  request.url = base + "/v1/projects/" + project + "/messages:send";
  request.headers = {{"authorization", "Bearer " + access_token},
                     {"content-type", "application/json"}};
  // The token is not part of what is limited.
  request.body = R"({"message":{"token":)" + JsonText(to.token()) + ',' + message.substr(1) + '}';
  return request;
}

Verdict ReadFcm(const HttpAnswer& answer, int64_t now_ms) {
  using Kind = Verdict::Kind;
  const std::string code = answer.status == 200 ? "" : ErrorCode(answer.body);
  Verdict verdict;
  verdict.reason = Reason(answer.status, code);
  const int status = answer.status;
  if (status == 200) {
    verdict.kind = Kind::kSent;
  } else if (code == "UNREGISTERED" || code == "SENDER_ID_MISMATCH") {
    verdict.kind = Kind::kDeadToken;
  } else if (status == 429 || status >= 500) {
    verdict.kind = Kind::kLater;
    verdict.after_ms = RetryAfterMs(answer.retry_after, now_ms);
    if (status == 429 && verdict.after_ms == 0) verdict.after_ms = kQuotaMs;
  } else if (status == 401 && code != "THIRD_PARTY_AUTH_ERROR") {
    verdict.kind = Kind::kRenewAuth;
  } else if (status == 400 || status == 401 || status == 403 || status == 404) {
    verdict.kind = Kind::kConfiguration;
  }
  return verdict;
}

}  // namespace nightjar::notify
