// All gateways behind one call: builds the request, has it carried, reads the answer, and renews
// our own tokens once when that is what the gateway wants.
//
// One owner; carriers answer on the owner's thread too. Holds nothing back: what cannot go now is
// answered kLater at once and comes again from the hub.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "notifier/core/round.h"
#include "notifier/gateways/apns.h"
#include "notifier/gateways/fcm.h"
#include "notifier/gateways/webpush.h"
#include "notifier/http/http_sender.h"

namespace nightjar::notify {

// What a verdict is for a round. `registered_ms`: when the token came to us; 0: not known. A token
// that came after the moment since which it is said to be dead is kept.
Answer AnswerOf(const Verdict& verdict, int64_t registered_ms);

// An HttpSender, or a test's own.
class Carrier {
 public:
  using Done = std::function<void(Carried, int64_t unix_ms)>;
  virtual ~Carrier() = default;
  // False, and `done` never called, if too much waits.
  [[nodiscard]] virtual bool Submit(HttpRequest request, Done done) = 0;
};

class Gateways {
 public:
  struct Options {
    std::optional<Vapid> vapid;
    std::optional<FcmAccess> fcm;
    std::string fcm_base = kFcmBase;
    std::optional<ApnsToken> apns;
    ApnsOptions apns_options;
  };
  using Done = std::function<void(Verdict)>;
  // The set-up of a gateway is to be mended: why, in one line without secrets. At most once a
  // minute and gateway.
  using Alarm = std::function<void(Gateway, const std::string& reason)>;

  // `carriers`: one for each gateway that is configured; they must outlive this, and end their
  // answers before it.
  Gateways(Options options, std::array<Carrier*, kGateways> carriers, Alarm alarm);

  std::array<bool, kGateways> configured() const;
  // `done` is called once, maybe before this returns. What is not configured fails.
  void Send(const v1::RegisterPush& to, const Content& content, int64_t now_ms, Done done);

 private:
  struct Push {
    v1::RegisterPush to;
    Content content;
    Done done;
    bool renewed = false;
    std::string fcm_token;  // with which it was asked
  };
  using PushPtr = std::shared_ptr<Push>;

  void Try(PushPtr push, int64_t now_ms);
  Result<HttpRequest> Build(Push& push, int64_t now_ms);
  void AskFcmToken(int64_t now_ms);
  Verdict Read(const Push& push, const Carried& carried, int64_t now_ms);
  void Ended(PushPtr push, const Carried& carried, int64_t now_ms);
  void Renew(const Push& push, int64_t now_ms);
  void Warn(Gateway gateway, const std::string& reason, int64_t now_ms);

  Options options_;
  const std::array<Carrier*, kGateways> carriers_;
  const Alarm alarm_;
  std::array<int64_t, kGateways> quiet_until_ms_{};
};

}  // namespace nightjar::notify
