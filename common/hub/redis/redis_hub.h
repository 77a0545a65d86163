// The hub on Redis: one pipelined connection, one thread of its own.
//
// Submit puts calls into a bounded queue; the hub's thread encodes everything that is queued, writes it
// at once, and answers in the order of the replies. When the connection breaks, what was under way is
// repeated after the reconnect in its old order, before anything newer; only a Send without a
// client_msg_id cannot be, and fails. LOADING, READONLY and MISCONF count as away, and so does a hub that
// has lost its data or is of another epoch: the reconnect sets it up, and is told like any other.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/hub/hub.h"
#include "common/hub/redis/options.h"

namespace nightjar::hub {

// What the server is like, as found at start.
struct ProbeResult {
  std::string server_version;
  InfoReply info;
  // Whole lines for the log, loud ones: what makes Accepted less than durable.
  std::vector<std::string> warnings;
};

// Connects once, waits (at most a few seconds), loads or upgrades the functions, sets an empty hub up.
// kUnavailable: nobody answers there (or it is still loading); kFailedPrecondition: too old a server or
// another layout of the hub; kUnauthenticated: password refused. The message is one clear line.
Result<ProbeResult> Probe(const RedisOptions& options);

class RedisHub final : public Hub {
 public:
  struct Status {
    bool up = false;
    InfoReply info;                     // of an up
    std::string reason;                 // of a down
    std::vector<std::string> warnings;  // of an up, see ProbeResult
  };
  // On the hub's thread, once for every change.
  using StatusCallback = std::function<void(const Status&)>;

  // Starts the thread, which connects and keeps trying. Nothing fails here; Probe() tells beforehand.
  explicit RedisHub(RedisOptions options, StatusCallback on_status = {});
  ~RedisHub() override;  // Stop()

  // Any thread. Beyond max_calls or max_bytes the call fails as kFull (on the hub's thread). After
  // Stop() it fails as kUnavailable, on the caller's thread.
  void Submit(Call call, Callback done) override;

  // Takes no further calls, waits up to drain_ms for what is under way, fails the rest as kUnavailable,
  // and joins the thread. Every callback has run when this returns. Not from a callback. Repeatable.
  void Stop();

  struct Stats {
    size_t calls = 0;          // submitted and not answered
    size_t bytes = 0;
    uint64_t connects = 0;     // connections that came up
    uint64_t repeated = 0;     // calls sent again after a break
    uint64_t wakeups = 0, writes = 0, answered = 0;
  };
  Stats stats() const;         // any thread

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nightjar::hub
