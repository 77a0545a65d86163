// A sidecar's connection to one broker: connects, subscribes, and keeps doing so; publishes while it is
// connected. On Paho MQTT C++, MQTT 3.1.1, clean sessions.
//
// Threads: Publish and connected() from any thread. `on_message` runs on Paho's one thread for all
// connections of the process: it must hand the message on and return. `on_state` and `credentials` run
// on the client's own thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace nightjar::mqtt {

// Asked for anew at every connect.
struct Credentials {
  std::string user, password;
  int64_t renew_unix_ms = 0;  // reconnect with fresh ones at this time; 0: never
};

class Client {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    uint16_t port = 1883;
    std::string client_id;
    std::vector<std::pair<std::string, int>> subscriptions;  // filter, QoS
    int keep_alive_s = 30;
    int connect_timeout_s = 5;
    int64_t backoff_first_ms = 100;
    int64_t backoff_cap_ms = 5000;
    size_t max_in_flight = 1000;              // published and not yet written out
    std::function<Result<Credentials>()> credentials;  // empty: none
    std::function<void(std::string_view topic, std::string_view payload)> on_message;
    // connected: subscribed to everything. Else `why`; told once for each change, not for each try.
    std::function<void(bool connected, const std::string& why)> on_state;
  };

  // Starts the client's thread, which connects and keeps trying.
  explicit Client(Options options);
  ~Client();  // Stop()

  // kUnavailable: not connected; kResourceExhausted: max_in_flight reached. Never waits.
  Status Publish(const std::string& topic, std::string_view payload, int qos);
  bool connected() const;

  // Disconnects and joins the thread; no callback runs after this. Not from a callback. Repeatable.
  void Stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nightjar::mqtt
