// Reads one JSON object from standard input (keys and registrations) and writes the requests that
// the notifier would make, for tests/integration/test_push_requests.py to hold against other
// people's code.
#include <iostream>

#include <nlohmann/json.hpp>

#include "common/wire/base64url.h"
#include "notifier/gateways/apns.h"
#include "notifier/gateways/fcm.h"
#include "notifier/gateways/webpush.h"

namespace {

using namespace nightjar;
using namespace nightjar::notify;
using nlohmann::json;

json Shown(const Result<HttpRequest>& request) {
  if (!request.ok()) return {{"error", request.status().message()}};
  json headers;
  for (const auto& [name, value] : request->headers) headers[name] = value;
  return {{"url", request->url}, {"headers", headers}, {"body", Base64UrlEncode(request->body)}};
}

}  // namespace

int main() {
  const json in = json::parse(std::cin);
  const int64_t now_ms = in.at("now_ms");
  const auto pem = [&](const char* name) {
    return *SigningKey::FromPem(in.at(name).get<std::string>(), SigningKey::Kind::kEs256);
  };
  Content content;
  content.chat = "dm:alice:bob";
  content.author = "alice";
  content.text = in.at("text");
  content.newest = 1;
  content.count = content.badge = 2;
  content.collapse_key = "abcdefghijklmnopqrstuvwx";
  content.expires_ms = now_ms + 3'600'000;
  content.preview = true;
  v1::RegisterPush::WebPush browser;
  browser.set_endpoint(in.at("endpoint"));
  browser.set_p256dh(*Base64UrlDecode(in.at("p256dh").get<std::string>()));
  browser.set_auth(*Base64UrlDecode(in.at("auth").get<std::string>()));
  Vapid vapid = *Vapid::Make(pem("vapid_pem"), "mailto:ops@example.com");
  v1::RegisterPush::Apns phone;
  phone.set_token("00ff");
  phone.set_topic("com.example.chat");
  ApnsToken token = *ApnsToken::Make(pem("apns_pem"), "KEY1234567", "TEAM123456");
  v1::RegisterPush::Fcm android;
  android.set_token("device");
  FcmAccess access(*FcmAccount::Parse(in.at("fcm_account").dump()));
  std::cout << json{{"web_push",
                     Shown(BuildWebPush(browser, content, vapid, *EphemeralKey::Throw(), now_ms))},
                    {"apns", Shown(BuildApns(phone, content, {}, token, now_ms))},
                    {"fcm_token", Shown(access.Ask(now_ms))},
                    {"fcm", Shown(BuildFcm(android, content, kFcmBase, "p", "at", now_ms))}}
                   .dump()
            << "\n";
  return 0;
}
