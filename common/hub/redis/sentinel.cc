#include "common/hub/redis/sentinel.h"

#include <charconv>

#include "common/hub/redis/command.h"

namespace nightjar::hub {
namespace {

Status No(std::string why) { return {Code::kUnavailable, "a Sentinel " + std::move(why)}; }

}  // namespace

AskSentinel::AskSentinel(const RedisOptions& options)
    : options_(options), step_(options.sentinel_password.empty() ? Step::kAsk : Step::kAuth) {}

std::string AskSentinel::Next() const {
  CommandWriter c;
  if (step_ == Step::kAuth) {
    c.Arg("AUTH").Arg(options_.sentinel_password);
  } else {
    c.Arg("SENTINEL").Arg("GET-MASTER-ADDR-BY-NAME").Arg(options_.master);
  }
  std::string out;
  c.AppendTo(out);
  return out;
}

Status AskSentinel::Take(const redisReply& reply) {
  if (IsError(reply)) {
    return No((step_ == Step::kAuth ? "refused the password: " : "cannot be asked: ") +
              std::string(Text(reply)));
  }
  if (step_ == Step::kAuth) {
    step_ = Step::kAsk;
    return {};
  }
  if (reply.type == REDIS_REPLY_NIL) {
    return No("knows no master named \"" + options_.master + "\"");
  }
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 2) {
    return No("gave an answer of the wrong shape");
  }
  const std::string_view port = Text(*reply.element[1]);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), master_.port);
  master_.host = Text(*reply.element[0]);
  if (error != std::errc() || end != port.data() + port.size() || master_.port < 1 ||
      master_.port > 65535 || master_.host.empty()) {
    return No("gave an address that is none");
  }
  step_ = Step::kDone;
  return {};
}

}  // namespace nightjar::hub
