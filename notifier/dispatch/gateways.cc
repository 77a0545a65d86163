#include "notifier/dispatch/gateways.h"

namespace nightjar::notify {
namespace {

constexpr int64_t kSoonMs = 2'000;
constexpr int64_t kQuietMs = 60'000;

Verdict Said(Verdict::Kind kind, std::string reason, int64_t after_ms = 0) {
  Verdict verdict;
  verdict.kind = kind;
  verdict.reason = std::move(reason);
  verdict.after_ms = after_ms;
  return verdict;
}

}  // namespace

Answer AnswerOf(const Verdict& verdict, int64_t registered_ms) {
  switch (verdict.kind) {
    case Verdict::Kind::kSent:
      return {Answer::Kind::kSent};
    case Verdict::Kind::kLater:
      return {Answer::Kind::kLater, verdict.after_ms};
    case Verdict::Kind::kDeadToken: {
      const bool newer = verdict.dead_since_ms > 0 && registered_ms > verdict.dead_since_ms;
      return {newer ? Answer::Kind::kFailed : Answer::Kind::kDeadToken};
    }
    case Verdict::Kind::kRenewAuth:
    case Verdict::Kind::kFailed:
    case Verdict::Kind::kConfiguration:
      break;
  }
  return {Answer::Kind::kFailed};
}

Gateways::Gateways(Options options, std::array<Carrier*, kGateways> carriers, Alarm alarm)
    : options_(std::move(options)), carriers_(carriers), alarm_(std::move(alarm)) {}

std::array<bool, kGateways> Gateways::configured() const {
  return {options_.vapid.has_value(), options_.fcm.has_value(), options_.apns.has_value()};
}

void Gateways::Send(const v1::RegisterPush& to, const Content& content, int64_t now_ms, Done done) {
  if (!configured()[static_cast<size_t>(GatewayOf(to))]) {
    return done(Said(Verdict::Kind::kFailed, "the gateway is not configured"));
  }
  Try(std::make_shared<Push>(Push{to, content, std::move(done), false, ""}), now_ms);
}

void Gateways::Try(PushPtr push, int64_t now_ms) {
  const Gateway gateway = GatewayOf(push->to);
  Result<HttpRequest> request = Build(*push, now_ms);
  if (!request.ok()) {
    const bool wait = request.status().code() == Code::kUnavailable;
    return push->done(Said(wait ? Verdict::Kind::kLater : Verdict::Kind::kFailed,
                           request.status().message(), wait ? kSoonMs : 0));
  }
  const bool taken = carriers_[static_cast<size_t>(gateway)]->Submit(
      std::move(*request),
      [this, push](const Carried& carried, int64_t unix_ms) { Ended(push, carried, unix_ms); });
  if (!taken) push->done(Said(Verdict::Kind::kLater, "too much waits for the gateway", kSoonMs));
}

// kUnavailable: not now.
Result<HttpRequest> Gateways::Build(Push& push, int64_t now_ms) {
  switch (GatewayOf(push.to)) {
    case Gateway::kWebPush: {
      const Result<EphemeralKey> ephemeral = EphemeralKey::Throw();
      if (!ephemeral.ok()) return ephemeral.status();
      return BuildWebPush(push.to.web_push(), push.content, *options_.vapid, *ephemeral, now_ms);
    }
    case Gateway::kApns:
      return BuildApns(push.to.apns(), push.content, options_.apns_options, *options_.apns, now_ms);
    case Gateway::kFcm:
      break;
  }
  AskFcmToken(now_ms);
  push.fcm_token = options_.fcm->Token(now_ms);
  if (push.fcm_token.empty()) return Status(Code::kUnavailable, "there is no access token yet");
  return BuildFcm(push.to.fcm(), push.content, options_.fcm_base,
                  options_.fcm->account().project_id, push.fcm_token, now_ms);
}

void Gateways::AskFcmToken(int64_t now_ms) {
  FcmAccess& access = *options_.fcm;
  if (!access.ShouldAsk(now_ms)) return;
  Result<HttpRequest> ask = access.Ask(now_ms);
  if (!ask.ok()) {
    access.Failed(now_ms);
    return Warn(Gateway::kFcm, ask.status().message(), now_ms);
  }
  const bool taken = carriers_[static_cast<size_t>(Gateway::kFcm)]->Submit(
      std::move(*ask), [this](const Carried& carried, int64_t unix_ms) {
        if (carried.kind != Carried::Kind::kAnswered) {
          options_.fcm->Failed(unix_ms);
          return;
        }
        const Status status = options_.fcm->Read(carried.answer, unix_ms);
        if (!status.ok()) Warn(Gateway::kFcm, status.message(), unix_ms);
      });
  if (!taken) access.Failed(now_ms);
}

Verdict Gateways::Read(const Push& push, const Carried& carried, int64_t now_ms) {
  switch (carried.kind) {
    case Carried::Kind::kRefused:
      return Said(Verdict::Kind::kFailed, carried.reason);
    case Carried::Kind::kUnreachable:
    case Carried::Kind::kHeld:
      return Said(Verdict::Kind::kLater, carried.reason, carried.after_ms);
    case Carried::Kind::kAnswered:
      break;
  }
  switch (GatewayOf(push.to)) {
    case Gateway::kWebPush:
      return ReadWebPush(carried.answer, now_ms);
    case Gateway::kFcm:
      return ReadFcm(carried.answer, now_ms);
    case Gateway::kApns:
      return ReadApns(carried.answer, now_ms);
  }
  return {};
}

void Gateways::Ended(PushPtr push, const Carried& carried, int64_t now_ms) {
  Verdict verdict = Read(*push, carried, now_ms);
  if (verdict.kind == Verdict::Kind::kRenewAuth && !push->renewed) {
    push->renewed = true;
    Renew(*push, now_ms);
    return Try(std::move(push), now_ms);
  }
  const bool refused =
      verdict.kind == Verdict::Kind::kRenewAuth || verdict.kind == Verdict::Kind::kConfiguration;
  if (refused) Warn(GatewayOf(push->to), verdict.reason, now_ms);
  push->done(std::move(verdict));
}

void Gateways::Renew(const Push& push, int64_t now_ms) {
  switch (GatewayOf(push.to)) {
    case Gateway::kWebPush: {
      const Result<std::string> origin = OriginOf(push.to.web_push().endpoint());
      if (origin.ok()) options_.vapid->Renew(*origin, now_ms);
      return;
    }
    case Gateway::kFcm:
      return options_.fcm->Renew(push.fcm_token);
    case Gateway::kApns:
      return options_.apns->Renew(now_ms);
  }
}

void Gateways::Warn(Gateway gateway, const std::string& reason, int64_t now_ms) {
  int64_t& quiet_until_ms = quiet_until_ms_[static_cast<size_t>(gateway)];
  if (now_ms < quiet_until_ms) return;
  quiet_until_ms = now_ms + kQuietMs;
  alarm_(gateway, reason);
}

}  // namespace nightjar::notify
