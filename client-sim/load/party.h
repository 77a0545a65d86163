// Who sits on the connections of a load run: brains that speak Nightjar's protocol (fleet.h), or
// clients of a plain broker (bare.h). The run says when somebody writes; a party writes, and tells
// the scoreboard what came of it.
//
// Threads: the owner of the Swarm.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client-sim/swarm/swarm.h"

namespace nightjar::load {

// Takes the measurements. `intended_ns` is when the message should have been written (open loop): a
// generator that falls behind does not hide it.
class Scoreboard {
 public:
  virtual ~Scoreboard() = default;
  virtual void Sent(int64_t intended_ns) = 0;
  // `copies` will have to be received.
  virtual void Accepted(int64_t intended_ns, int64_t now_ns, uint32_t copies) = 0;
  // `waited`: the receiver was on line all the time, so that the latency says something.
  virtual void Received(int64_t intended_ns, int64_t now_ns, bool waited) = 0;
  virtual void Delivered(int64_t intended_ns, int64_t now_ns) = 0;
  virtual void Rejected(int64_t intended_ns) = 0;
  // Something worth counting, by name: "gaps", "put_off" ...
  virtual void Count(const char* what) = 0;
  // One line for people; the first few are kept.
  virtual void Trouble(const std::string& what) = 0;
};

class Party : public swarm::SwarmEvents {
 public:
  // Must be set before anything else.
  void Attach(swarm::Swarm* swarm, Scoreboard* scoreboard) {
    swarm_ = swarm;
    scoreboard_ = scoreboard;
  }
  // How many devices may write: on line, and told where they stand.
  virtual uint32_t ready() const = 0;
  // Makes the chat known to the server. introduced() counts up when it is.
  virtual void Introduce(uint32_t chat, int64_t now_ns) = 0;
  virtual uint32_t introduced() const = 0;
  virtual void Write(uint32_t device, uint32_t chat, uint32_t bytes, int64_t intended_ns,
                     int64_t now_ns) = 0;
  virtual void ReadHistory(uint32_t device, uint32_t chat, int64_t now_ns) = 0;
  // Does what is due; the next time something will be due.
  virtual int64_t Timers(int64_t now_ns) = 0;
  // Nothing is under way any more.
  virtual bool Settled() const = 0;
  virtual const char* KindName(swarm::Kind kind, bool up) const = 0;
  // Why the last line that broke did.
  const std::string& last_loss() const { return last_loss_; }

 protected:
  std::string last_loss_;
  swarm::Swarm* swarm_ = nullptr;
  Scoreboard* scoreboard_ = nullptr;
};

// The text of a message: the intended time in 16 hexadecimal digits, filled up to `bytes`.
std::string StampedText(int64_t intended_ns, size_t bytes);
// 0 if the text has no stamp.
int64_t StampOf(std::string_view text);
// MQTT's own packets; nullptr for kinds of the party.
const char* MqttKindName(swarm::Kind kind);

}  // namespace nightjar::load
