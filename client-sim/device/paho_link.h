// A Link over one Paho MQTT C++ client (MQTT 3.1.1, QoS 0 both ways, clean session).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client-sim/device/link.h"
#include "common/base/result.h"

namespace nightjar::client {

// Wakes the thread that drives devices when something came for one of them. Ring() may be called by
// any thread, and by signal handlers.
class Bell {
 public:
  Bell();
  ~Bell();
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  void Ring();
  // Returns when rung since the last wait, when `also_readable` (a file, -1: none) can be read, or
  // after `ms`.
  void WaitFor(int64_t ms, int also_readable = -1);

 private:
  int event_;
};

struct PahoOptions {
  struct Broker {
    std::string host = "127.0.0.1";
    int port = 1883;
  };
  // At least one. The first connection goes to one at random, each further one to another than the
  // one before, if there is another: what broke or is shutting down is left alone.
  std::vector<Broker> brokers;
  std::string uid;
  std::string device;
  // Asked for each connection; an error keeps the line down, with the reason.
  std::function<Result<std::string>()> token;
  int keep_alive_s = 30;
  int connect_timeout_s = 5;
};

// `bell` must outlive the link. The queue from Paho's thread is bounded: frames beyond it are
// dropped, which the device notices as a gap and makes good.
std::unique_ptr<Link> MakePahoLink(PahoOptions options, Bell* bell);

}  // namespace nightjar::client
