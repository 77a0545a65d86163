// Web Push and UnifiedPush (RFC 8030, 8291, 8292): a request, and what its answer means.
#pragma once

#include <map>
#include <string>

#include "common/base/result.h"
#include "nightjar/v1/client.pb.h"
#include "notifier/gateways/content.h"
#include "notifier/gateways/http.h"
#include "notifier/gateways/signing_key.h"
#include "notifier/gateways/webpush_crypto.h"

namespace nightjar::notify {

// https://host[:port] of an endpoint, in lower case. kInvalidArgument unless it is an https URL of
// printable ASCII without user name or password.
Result<std::string> OriginOf(const std::string& endpoint);

// Signs who we are, once a push service and half a day. One owner; the bound on origins (clients
// choose them) is kOrigins, beyond which all are forgotten and signed anew.
class Vapid {
 public:
  static constexpr size_t kOrigins = 1024;
  // `subject`: mailto: or https:, by which push services reach the operator. kInvalidArgument else.
  static Result<Vapid> Make(SigningKey key, std::string subject);

  // The Authorization header for a push service.
  Result<std::string> Authorize(const std::string& origin, int64_t now_ms);
  // What was signed for this origin is refused: sign anew. At most once a minute and origin, so
  // that a service that refuses everything costs no signature a push.
  void Renew(const std::string& origin, int64_t now_ms);
  // What browsers subscribe with (applicationServerKey), base64url.
  std::string PublicKey() const;

 private:
  struct Signed {
    std::string header;
    int64_t at_ms = 0;
  };
  Vapid(SigningKey key, std::string subject) : key_(std::move(key)), subject_(std::move(subject)) {}
  SigningKey key_;
  std::string subject_;
  std::map<std::string, Signed> signed_;
};

// kInvalidArgument: the registration is not usable, ever.
Result<HttpRequest> BuildWebPush(const v1::RegisterPush::WebPush& to, const Content& content,
                                 Vapid& vapid, const EphemeralKey& ephemeral, int64_t now_ms);
Verdict ReadWebPush(const HttpAnswer& answer, int64_t now_ms);

}  // namespace nightjar::notify
