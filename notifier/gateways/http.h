// A request to a gateway and what came back, as values: what the builders make and the parsers
// read. notifier/http/ carries them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nightjar::notify {

struct HttpRequest {
  std::string url;                                           // a POST
  std::vector<std::pair<std::string, std::string>> headers;  // may hold secrets: never logged
  std::string body;
};

struct HttpAnswer {
  int status = 0;
  std::string retry_after;  // the header as it came; empty: none
  std::string body;         // bounded by who reads it from the line
};

// What a gateway's answer means.
struct Verdict {
  enum class Kind {
    kSent,
    kDeadToken,      // the registration is to be removed
    kLater,          // for now; see after_ms
    kRenewAuth,      // our own token is old: make a new one and try once more
    kFailed,         // this notification will never be taken
    kConfiguration,  // as kFailed, and so will all others be until the operator mends something
  };
  Kind kind = Kind::kFailed;
  int64_t after_ms = 0;       // kLater: how long to wait; 0: as long as one likes
  int64_t dead_since_ms = 0;  // kDeadToken: only if it was registered before (Unix ms); 0: anyhow
  std::string reason;         // for logs and test-push: printable, short, without tokens
};

// Retry-After: seconds or a date (RFC 9110); 0 if it is neither or lies in the past. At most a day.
int64_t RetryAfterMs(const std::string& header, int64_t now_ms);

// "503" or "503 reason", the reason reduced to printable characters and 64 bytes.
std::string Reason(int status, const std::string& reason);

}  // namespace nightjar::notify
