// Pairs of users who write to each other: the same talk in two forms, by hand over a bare broker,
// and as Nightjar's protocol recommends. The load run (load.h) says when somebody writes; a Traffic
// writes, and tells what came of it.
//
// Threads: the owner of the Swarm.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "client-sim/swarm/swarm.h"
#include "common/base/result.h"

namespace nightjar::swarm {

// Takes the measurements. `intended_ns` is when the message should have been written (open loop): a
// generator that falls behind does not hide it.
class Scoreboard {
 public:
  virtual ~Scoreboard() = default;
  virtual void Accepted(int64_t intended_ns, int64_t now_ns) = 0;
  virtual void Received(int64_t intended_ns, int64_t now_ns) = 0;
  virtual void Delivered(int64_t intended_ns, int64_t now_ns) = 0;
  // One line for people; the first few are kept.
  virtual void Trouble(const std::string& what) = 0;
};

struct TrafficCounts {
  uint64_t written = 0;    // sends put on the wire, repeats not counted
  uint64_t held_back = 0;  // had to wait at the sender (16 under way)
  uint64_t dropped = 0;    // not even written: the sender's queue was full
  uint64_t refused = 0;    // rejected for now, and repeated
  uint64_t failed = 0;     // rejected for good
  uint64_t acks = 0;       // acknowledgement packets (those riding in a send not counted)
  uint64_t resends = 0;    // gaps seen
  uint64_t open = 0;       // not accepted yet, at this moment
};

class Traffic : public SwarmEvents {
 public:
  // Must be set before anything else.
  void Attach(Swarm* swarm, Scoreboard* scoreboard) {
    swarm_ = swarm;
    scoreboard_ = scoreboard;
  }
  // Users 2k and 2k + 1 talk to each other. `intended_ns` travels in the text.
  virtual void Write(uint32_t client, int64_t intended_ns) = 0;
  // How many clients may write (after the inbox is known to be open).
  virtual uint32_t ready() const = 0;
  // Does what is due (acknowledgements); the next time something will be due.
  virtual int64_t Timers(int64_t now_ns) = 0;
  virtual TrafficCounts counts() const = 0;

 protected:
  Swarm* swarm_ = nullptr;
  Scoreboard* scoreboard_ = nullptr;
};

struct TrafficOptions {
  uint32_t clients = 1000;
  size_t text_bytes = 100;
  std::string key_file;      // nightjar: tokens are signed with it
  std::string prefix = "u";  // uids are prefix + number
};
// QoS 1 publish to the peer's inbox, QoS 1 subscription, a QoS 1 receipt of 24 bytes back.
std::unique_ptr<Traffic> MakeBareTraffic(TrafficOptions options);
// QoS 0 both ways, short topics, protobuf; acknowledgements collected for 200 ms or riding in the
// next send; repeats and resends as the protocol says. kNotFound and the like if the key file is no
// good.
Result<std::unique_ptr<Traffic>> MakeNightjarTraffic(TrafficOptions options);

// The text of a message: the intended time in 16 hexadecimal digits, filled up to `bytes`.
std::string StampedText(int64_t intended_ns, size_t bytes);
// 0 if the text has no stamp.
int64_t StampOf(std::string_view text);

}  // namespace nightjar::swarm
