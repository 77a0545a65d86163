// A device that lives: a DeviceBrain on a Link, reconnecting by itself.
//
// Threads: one owner; Step() does all the work and never blocks for long (Close() says goodbye, at
// most a second).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client-sim/brain/device_brain.h"
#include "client-sim/device/link.h"
#include "common/base/backoff.h"

namespace nightjar::client {

class Device {
 public:
  Device(std::string uid, std::string device, std::unique_ptr<Link> link, uint64_t seed);

  // Wants to be connected from now on; retries with backoff (200 ms to 5 s).
  void GoOnline(Now now);
  // Closes the line and stays away until GoOnline.
  void GoOffline(Now now);

  // Takes in what came, sends what is due. What happened is appended to `happened`.
  void Step(Now now, std::vector<Happening>& happened);
  // Steady time at which Step() has something to do even if nothing comes.
  int64_t NextDeadline() const;

  DeviceBrain& brain() { return brain_; }
  const DeviceBrain& brain() const { return brain_; }
  // The present line has subscribed and been told where it stands.
  bool online() const { return state_ == State::kUp && brain_.synced(); }

 private:
  enum class State { kAway, kWaiting, kConnecting, kUp };

  void Take(const LinkEvent& event, Now now, std::vector<Happening>& happened);
  void Do(std::vector<Happening>& happened);

  DeviceBrain brain_;
  std::unique_ptr<Link> link_;
  Backoff backoff_;
  State state_ = State::kAway;
  int64_t connect_at_ms_ = 0;
  Out out_;
  std::vector<Happening> pending_;  // happened outside of Step
  std::vector<LinkEvent> events_;
};

}  // namespace nightjar::client
