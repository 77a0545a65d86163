// The line between a device and a broker. Behind it: Paho for real brokers, a fake for tests and
// simulated worlds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nightjar::client {

struct LinkEvent {
  enum class Kind { kUp, kDown, kArrived };
  Kind kind = Kind::kDown;
  std::string topic;    // kArrived
  std::string payload;  // kArrived: the payload; kDown: the reason
};

// Threads: one owner makes every call; nothing blocks. What happens on the line is collected by
// Poll().
class Link {
 public:
  virtual ~Link() = default;
  // Starts connecting; answered by kUp or kDown. REQUIRES: down.
  virtual void Open() = 0;
  // Says goodbye. No event follows.
  virtual void Close() = 0;
  // Ignored unless up. What is published when the line breaks may be lost: the brain repeats.
  virtual void Subscribe(const std::string& filter) = 0;
  virtual void Publish(const std::string& topic, const std::string& payload) = 0;
  // Everything that happened since the last call, oldest first.
  virtual void Poll(std::vector<LinkEvent>& events) = 0;
};

}  // namespace nightjar::client
