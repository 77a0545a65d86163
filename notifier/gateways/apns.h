// Apple's push service: a request, its token, and what an answer means.
#pragma once

#include <string>

#include "common/base/result.h"
#include "nightjar/v1/client.pb.h"
#include "notifier/gateways/content.h"
#include "notifier/gateways/http.h"
#include "notifier/gateways/signing_key.h"

namespace nightjar::notify {

// The provider token: one for all requests, kept for 40 minutes (Apple allows 20 to 60). One owner.
class ApnsToken {
 public:
  // `key_id` and `team_id`: ten letters and digits each. kInvalidArgument else.
  static Result<ApnsToken> Make(SigningKey key, std::string key_id, std::string team_id);
  Result<std::string> Get(int64_t now_ms);
  // It was refused as expired. Never sooner than 20 minutes after the last one: Apple refuses those
  // who mint more (TooManyProviderTokenUpdates).
  void Renew(int64_t now_ms);

 private:
  ApnsToken(SigningKey key, std::string key_id, std::string team_id)
      : key_(std::move(key)), key_id_(std::move(key_id)), team_id_(std::move(team_id)) {}
  SigningKey key_;
  std::string key_id_, team_id_, token_;
  int64_t minted_ms_ = 0;
  bool refused_ = false;
};

struct ApnsOptions {
  std::string base = "https://api.push.apple.com";
  std::string sandbox_base = "https://api.sandbox.push.apple.com";
};

// kInvalidArgument: the registration is not usable, ever.
Result<HttpRequest> BuildApns(const v1::RegisterPush::Apns& to, const Content& content,
                              const ApnsOptions& options, ApnsToken& token, int64_t now_ms);
Verdict ReadApns(const HttpAnswer& answer, int64_t now_ms);

}  // namespace nightjar::notify
