// The hub on Redis: one pipelined connection, one thread of its own; for a broker a second
// connection on the same thread, which listens to the broker's relay.
//
// Submit puts calls into a bounded queue; the hub's thread encodes everything that is queued,
// writes it at once, and answers in the order of the replies. When the connection breaks, what was
// under way is repeated after the reconnect in its old order, before anything newer; only a Send
// without a client_msg_id cannot be, and fails. LOADING, READONLY and MISCONF count as away, and so
// does a hub that has lost its data or is of another epoch: the reconnect sets it up, and is told
// like any other.
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

// Connects once, waits (at most a few seconds), loads or upgrades the functions, sets an empty hub
// up. kUnavailable: nobody answers there (or it is still loading); kFailedPrecondition: too old a
// server or another layout of the hub; kUnauthenticated: password refused. The message is one clear
// line.
Result<ProbeResult> Probe(const RedisOptions& options);

// What other brokers' calls tell this one (hub.h, "relay"). Both functions run on the hub's thread.
struct RelayHooks {
  // The broker's id, without its incarnation; empty: nothing is listened to (persister, tests).
  std::string broker_id;
  // In the order in which the hub published. What cannot be read is counted and left out.
  std::function<void(Relayed)> on_message;
  // up: the subscription is confirmed, which is told before the first message of it; also after
  // every reconnect, and what was published in between is lost. down: the connection it was on is
  // gone. Once for every change, up first. The state of the calls' own connection is another matter
  // (Status).
  std::function<void(bool up)> on_state;
  // A line for the log: why there is no relay (once until it is up again), or that something could
  // not be read (once a subscription).
  std::function<void(const std::string& line)> on_trouble = {};
};

class RedisHub final : public Hub {
 public:
  struct Status {
    bool up = false;
    InfoReply info;                     // of an up
    std::string reason;                 // of a down
    bool partly = false;                // of a down of a Cluster: some of its servers are up
    std::vector<std::string> warnings;  // of an up, see ProbeResult
  };
  // On the hub's thread, once for every change.
  using StatusCallback = std::function<void(const Status&)>;

  // Starts the thread, which connects and keeps trying. Nothing fails here; Probe() tells
  // beforehand.
  explicit RedisHub(RedisOptions options, StatusCallback on_status = {}, RelayHooks relay = {});
  ~RedisHub() override;  // Stop()

  // Any thread. Beyond max_calls or max_bytes the call fails as kFull (on the hub's thread). After
  // Stop() it fails as kUnavailable, on the caller's thread.
  void Submit(Call call, Callback done) override;

  // Takes no further calls, waits up to drain_ms for what is under way, fails the rest as
  // kUnavailable, and joins the thread. Every callback has run when this returns. Not from a
  // callback. Repeatable.
  void Stop();

  struct Stats {
    size_t calls = 0;  // submitted and not answered
    size_t bytes = 0;
    uint64_t connects = 0;  // connections that came up
    uint64_t repeated = 0;  // calls sent again after a break
    uint64_t wakeups = 0, writes = 0, answered = 0;
    uint64_t relay_ups = 0;  // subscriptions confirmed
    uint64_t relayed = 0;    // messages handed to on_message
    uint64_t relay_bad = 0;  // messages that could not be read
  };
  Stats stats() const;  // any thread

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nightjar::hub
