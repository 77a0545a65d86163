// The mosquitto_* functions that the shells call, played by the test: what was published, kicked
// and logged is kept to be looked at.
#pragma once

#include <functional>
#include <string>
#include <vector>

// What the broker knows of a client; opaque to the plugin.
struct mosquitto {
  std::string id;
  bool clean = true;
};

namespace nightjar::test {

struct FakeBroker {
  struct Publish {
    std::string client_id;  // empty: everybody
    std::string topic, payload;
    int qos = 0;
    bool retain = false;
  };
  std::vector<Publish> published;
  std::vector<std::string> kicked;
  std::vector<std::string> log;                     // "priority text"
  std::function<void(const std::string&)> on_kick;  // the broker calls back while it kicks
  std::vector<int> refused_events;                  // mosquitto_callback_register
  std::vector<int> registered;

  bool Logged(const std::string& part) const;
  // The only one; starts afresh.
  static FakeBroker& Reset();
  static FakeBroker& Get();
};

}  // namespace nightjar::test
