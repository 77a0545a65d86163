// How a process reaches the hub: by one line; or, in worlds whose hub is spread over servers as in
// a Redis Cluster, by a line to each of them under a SplitHub. A line keeps the order of its calls,
// and each is late, loses and breaks by itself; of what goes by different lines nothing is sure.
// The servers share one hub in memory, partition p being of server p % servers.
//
// Threads: none, as HubLine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/hub/hub.h"
#include "common/hub/split/split_hub.h"
#include "tests/worlds/hub_line.h"
#include "tests/worlds/shape.h"

namespace nightjar::worlds {

class HubLink : public hub::Hub {
 public:
  // `broken` is told of a call that touches several partitions where it must not.
  HubLink(Scheduler& scheduler, Dice& dice, Coverage& coverage, const Shape& shape,
          HubLine::Executor execute, std::function<void(const hub::Call&)> broken);

  void Submit(hub::Call call, hub::Callback done) override;

  bool up() const;      // all lines are
  size_t size() const;  // calls and parts of calls that are not answered
  void Connect();       // the lines that are not up
  void Cut();           // all lines
  void CutOne();        // one of them
  // As HubLine's, for all lines.
  void Die();
  void Freeze(int64_t until);
  void LoseBeats(int64_t until);
  void Calm();
  // As HubLine's, for the line to this server.
  void ServerDied(uint32_t server);
  void Mute(uint32_t server, bool muted);

 private:
  // The calls of one partition, each to its server.
  class Router : public hub::Hub {
   public:
    explicit Router(HubLink& link) : link_(link) {}
    void Submit(hub::Call call, hub::Callback done) override;

   private:
    HubLink& link_;
  };

  Dice& dice_;
  const uint32_t partitions_;
  const bool split_;
  const std::function<void(const hub::Call&)> broken_;
  std::vector<std::unique_ptr<HubLine>> lines_;
  Router router_;
  std::unique_ptr<hub::SplitHub> splitter_;  // of this life of the process
};

}  // namespace nightjar::worlds
