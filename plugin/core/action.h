// What the core wants done. The shells do it; nothing here is done by the core itself.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/hub/hub.h"
#include "plugin/core/event.h"

namespace nightjar::core {

struct PublishTo {  // to this session only, whatever it is subscribed to
  SessionId session = 0;
  std::string topic;
  std::string payload;
  int qos = 0;
};
struct PublishAll {  // through the broker's subscriptions (svc/...)
  std::string topic;
  std::string payload;
};
struct Kick {  // close the connection; its Disconnected will follow
  SessionId session = 0;
};
struct AskHub {  // answered by HubReplied with the same token
  uint64_t token = 0;
  hub::Call call;
};
struct Emptied {};  // after Drain: nobody is left (or the time for it is over), the broker may stop
struct CannotGoOn {  // another process goes by this broker's id: stop, and say why
  std::string reason;
};
enum class LogLevel { kDebug, kInfo, kNotice, kWarning, kError };
struct LogLine {  // one event, one line; never a message's text or a token
  LogLevel level = LogLevel::kInfo;
  std::string text;
};

using Action = std::variant<PublishTo, PublishAll, Kick, AskHub, Emptied, CannotGoOn, LogLine>;

// kLater, of ConnectAsked only: close without an answer; the client tries again (elsewhere, or
// later).
enum class Verdict { kNone, kAllow, kDeny, kLater };

struct Actions {
  Verdict verdict = Verdict::kNone;  // of the events that ask
  std::vector<Action> list;          // to be done in order

  void clear() {
    verdict = Verdict::kNone;
    list.clear();
  }
};

}  // namespace nightjar::core
