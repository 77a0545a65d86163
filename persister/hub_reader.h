// Asks the hub several things at once and waits for all answers, with an end to the waiting.
//
// Threads: any but the hub's own.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "common/hub/hub.h"

namespace nightjar::persist {

class HubReader {
 public:
  // `hub` must outlive this.
  HubReader(hub::Hub& hub, int64_t timeout_ms) : hub_(hub), timeout_ms_(timeout_ms) {}

  // Replies in the order of `calls`. kUnavailable: one failed, or not all came in time.
  Result<std::vector<hub::Reply>> Ask(std::vector<hub::Call> calls);

  template <typename R>
  Result<R> AskOne(hub::Call call) {
    std::vector<hub::Call> calls;
    calls.push_back(std::move(call));
    auto replies = Ask(std::move(calls));
    if (!replies.ok()) return replies.status();
    auto* reply = std::get_if<R>(&replies->front());
    if (reply == nullptr) return Status(Code::kInternal, "the hub gave an answer of another kind");
    return std::move(*reply);
  }

 private:
  hub::Hub& hub_;
  const int64_t timeout_ms_;
};

}  // namespace nightjar::persist
