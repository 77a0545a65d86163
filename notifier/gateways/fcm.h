// Firebase Cloud Messaging, HTTP v1: a request, the access token that it needs, and what answers
// mean.
#pragma once

#include <string>

#include "common/base/result.h"
#include "nightjar/v1/client.pb.h"
#include "notifier/gateways/content.h"
#include "notifier/gateways/http.h"
#include "notifier/gateways/signing_key.h"

namespace nightjar::notify {

// A service account, from the JSON file that Google's console gives.
struct FcmAccount {
  std::string project_id, client_email, key_id, token_uri;
  SigningKey key;
  static Result<FcmAccount> Parse(const std::string& json);
};

// The access token: asked for with a signed statement, kept until five minutes before it ends. The
// owner carries the requests; one at a time. One owner.
class FcmAccess {
 public:
  explicit FcmAccess(FcmAccount account) : account_(std::move(account)) {}

  // Empty: there is none now; Ask for one.
  std::string Token(int64_t now_ms) const;
  // Is it time to ask? (There is none, or it ends soon; nobody has asked; not within the wait after
  // a failure.)
  bool ShouldAsk(int64_t now_ms) const;
  // The request for a new token; its answer, or Failed, must follow.
  Result<HttpRequest> Ask(int64_t now_ms);
  // kOk, or why there is no token (kUnavailable: for now; kFailedPrecondition: the account or its
  // key is refused). After a failure ShouldAsk waits: what Retry-After says, else 10 s, 5 minutes
  // when refused.
  Status Read(const HttpAnswer& answer, int64_t now_ms);
  void Failed(int64_t now_ms);  // no answer came
  // The gateway refused `token`: it counts no more.
  void Renew(const std::string& token);
  const FcmAccount& account() const { return account_; }

 private:
  FcmAccount account_;
  std::string token_;
  int64_t until_ms_ = 0;
  int64_t not_before_ms_ = 0;
  bool asking_ = false;
};

inline constexpr char kFcmBase[] = "https://fcm.googleapis.com";

Result<HttpRequest> BuildFcm(const v1::RegisterPush::Fcm& to, const Content& content,
                             const std::string& base, const std::string& project,
                             const std::string& access_token, int64_t now_ms);
Verdict ReadFcm(const HttpAnswer& answer, int64_t now_ms);

}  // namespace nightjar::notify
