// One MQTT connection between a device and a broker, as a pair of lines in order. The two ends
// learn of its end at different times.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "plugin/core/event.h"

namespace nightjar::worlds {

struct Conn {
  int client = 0;  // World::client(), who holds it
  int broker = 0;
  uint64_t life = 0;  // of the broker, once it is let in
  core::SessionId session = 0;
  std::string client_id, user, token;
  bool asked = false;              // the broker has seen CONNECT
  bool server_open = false;        // let in, and the broker has not seen the end
  bool client_open = true;         // the device has not seen the end
  bool synced = false;             // the first sync was sent to the device
  bool heard = false;              // the broker knows by now in which encoding to answer
  bool cut = false;                // nothing passes any more
  int64_t up_at = 0, down_at = 0;  // when the newest packet of each direction arrives
};
using ConnPtr = std::shared_ptr<Conn>;

// Who holds the near end of connections.
class Client {
 public:
  virtual ~Client() = default;
  virtual void OnConnected(const ConnPtr& conn) = 0;
  virtual void OnPacket(const ConnPtr& conn, const std::string& topic,
                        const std::string& payload) = 0;
  virtual void OnClosed(const ConnPtr& conn) = 0;  // also: was not let in
};

}  // namespace nightjar::worlds
