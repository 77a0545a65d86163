#include "plugin/claim.h"

#include <fmt/format.h>

#include <string>
#include <variant>

#include "common/hub/sync_call.h"
#include "plugin/broker_shell.h"

namespace nightjar::plugin {
namespace {

constexpr int64_t kAgainMs = 200;
constexpr int64_t kBeyondTtlMs = 2000;

}  // namespace

Status ClaimBrokerId(hub::Hub& hub, const core::Config& config,
                     const std::function<void(int64_t ms)>& wait) {
  hub::Beat beat;
  beat.broker = fmt::format("{}#{}", config.broker_id, config.incarnation);
  beat.first = true;
  beat.ttl_ms = config.broker_ttl_ms;
  int64_t left_ms = config.broker_ttl_ms + kBeyondTtlMs;
  for (bool told = false;; told = true) {
    const hub::Reply reply = hub::CallAndWait(hub, beat);
    const auto* beaten = std::get_if<hub::BeatReply>(&reply);
    if (beaten == nullptr) {
      const auto* failure = std::get_if<hub::Failure>(&reply);
      return {Code::kUnavailable,
              "the hub does not take this broker in: " +
                  (failure ? failure->message : "another reply than asked for")};
    }
    if (beaten->outcome == hub::BeatReply::Outcome::kAlive) return Status::Ok();
    if (left_ms <= 0) {
      return {Code::kFailedPrecondition,
              fmt::format("another broker with the id {} is alive on this hub; give each its own "
                          "plugin_opt_broker_id",
                          config.broker_id)};
    }
    if (!told) {
      Log(core::LogLevel::kNotice,
          fmt::format("another broker with the id {} is alive; waiting for it to end",
                      config.broker_id));
    }
    wait(kAgainMs);
    left_ms -= kAgainMs;
  }
}

}  // namespace nightjar::plugin
