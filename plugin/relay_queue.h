// What other brokers' calls told this one, on its way from the hub's thread to the broker's.
// Bounded in number and bytes: a broker that does not keep up is told that it has missed something,
// and compares heads, instead of growing.
//
// Threads: any for Push and Missed; one owner for Take.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "common/hub/hub.h"

namespace nightjar::plugin {

class RelayQueue {
 public:
  RelayQueue(size_t most, size_t most_bytes) : most_(most), most_bytes_(most_bytes) {}

  // False, and noted as missed, if there is no room.
  bool Push(hub::Relayed what);

  // The oldest ones, until they are work for `count` devices (at least one of them); `out` is
  // cleared first. True: there are more.
  bool Take(std::vector<hub::Relayed>& out, size_t count);

  // Was anything not taken in since the last time this was asked?
  bool Missed();

 private:
  const size_t most_, most_bytes_;
  std::mutex mutex_;
  std::deque<hub::Relayed> items_;
  size_t bytes_ = 0;
  bool missed_ = false;
};

}  // namespace nightjar::plugin
