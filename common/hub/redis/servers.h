// What carries the hub's calls: one server, or the servers of a Cluster. RedisHub runs it on its
// thread.
//
// Threads: the hub's, but for relay_counts(). Times in ms, steady.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/hub/redis/pending.h"
#include "common/hub/redis/relay_link.h"
#include "common/hub/redis/slot_map.h"

namespace nightjar::hub {

class Servers {
 public:
  virtual ~Servers() = default;

  // To be written with the next Work.
  virtual void Add(Pending call) = 0;
  // No call waits or is under way.
  virtual bool idle() const = 0;
  // How long calls still gather before the next write; 0: they need not.
  virtual int64_t GatherLeft(int64_t now) const = 0;

  // What is due: calls whose time is over, connecting, giving up, and (`write`) what waits.
  virtual void Work(int64_t now, bool write) = 0;
  // When Work is due next, if nothing comes before.
  virtual int64_t DueMs(int64_t now) const = 0;

  // Appends what to poll for; poll passes over a socket that is negative.
  virtual void AppendSockets(std::vector<pollfd>& sockets) const = 0;
  // After poll: what AppendSockets appended. Returns the first after it.
  virtual const pollfd* OnSockets(const pollfd* sockets, int64_t now) = 0;

  // For good; every call is failed.
  virtual void Stop(const std::string& why) = 0;

  virtual RelayLink::Counts relay_counts() const = 0;  // any thread
};

// Whom a server tells.
class ServerOwner {
 public:
  virtual ~ServerOwner() = default;
  virtual void OnUp(const ProbeResult& greeted) = 0;
  // Of every break, also of an attempt to connect.
  virtual void OnBreak(const std::string& why) = 0;
  // By a Cluster only, while it is not up as a whole: is any of its servers? Again and again.
  virtual void OnPartly(bool) {}

  // In a Cluster only. The server has refused a call because of its place (`redirect`), or has not
  // got its partition: to be added again, there or elsewhere. It may be added in this very moment
  // neither; Withdraw may be called.
  virtual void OnTurnedAway(Pending, const std::optional<Redirect>&) {}
  // Is an older call of this partition turned away? Then what the server did of newer ones is
  // repeated.
  virtual bool HoldsBack(uint32_t) const { return false; }
  // A partition that was asked for while the link was up has come.
  virtual void OnCame(uint32_t) {}
};

}  // namespace nightjar::hub
