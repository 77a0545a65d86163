// Carries requests to one gateway over HTTP/2: many at once over few connections, held to bounds in
// number, time and size. Each gateway has a sender of its own (thread, connections, bounds), so
// that one that stands still delays no other.
//
// Only https, no redirects, no proxies of the environment, certificates verified. What clients name
// (`public_only`) is connected only to addresses that IsPublicAddress takes, checked on the address
// itself when it is connected to, so that no name can lead elsewhere.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "notifier/gateways/http.h"
#include "notifier/http/host_gate.h"

namespace nightjar::notify {

struct Carried {
  enum class Kind {
    kAnswered,     // `answer` counts (of a body that was too long, its beginning)
    kRefused,      // never to be asked: no https URL, or an address that is not public
    kUnreachable,  // no answer; it may have arrived
    kHeld,         // not asked: the host is left alone for after_ms, or too much waits for it
  };
  Kind kind = Kind::kUnreachable;
  HttpAnswer answer;
  int64_t after_ms = 0;
  std::string reason;  // for logs: why there is no answer
};

class HttpSender {
 public:
  struct Options {
    bool public_only = true;
    std::string ca_file;      // PEM; empty: the system's
    size_t in_flight = 1000;  // over all hosts
    HostGate::Options host;
    size_t connections = 128;     // over all hosts
    size_t host_connections = 4;  // to one
    size_t waiting = 4096;        // requests that wait for their turn
    int64_t waiting_ms = 5'000;   // for longer none does
    int64_t connect_ms = 5'000;
    int64_t answer_ms = 15'000;  // from being sent, connecting included
    size_t body_bytes = 16 * 1024;
    size_t hosts = 10'000;     // remembered; clients choose them
    bool hold_on_429 = false;  // 429 is of the whole host, not of one recipient
    uint64_t seed = 1;         // of the jitter
  };
  using Done = std::function<void(Carried)>;

  explicit HttpSender(Options options);
  // What is under way is answered as kUnreachable.
  ~HttpSender();

  // Any thread. `done` is called once, on the sender's thread, and must not block; false, and never
  // called, if too much waits already.
  [[nodiscard]] bool Submit(HttpRequest request, Done done);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace nightjar::notify
