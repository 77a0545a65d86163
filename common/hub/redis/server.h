// One server of the hub: its connection, the calls that wait for it and those under way there, and
// for a broker the connection that listens to its relay.
//
// What waits is written at once and answered in the order of the replies. When the connection
// breaks, what was under way is repeated after the next greeting in its old order, before anything
// newer; only what may not be repeated fails. Which machine it is may change (a failover): the
// calls stay, and so does what is remembered for judging who was promoted.
//
// Threads: the hub's, which polls the two sockets. Times in ms, steady.
#pragma once

#include <poll.h>

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "common/base/backoff.h"
#include "common/hub/redis/encode.h"
#include "common/hub/redis/greeting.h"
#include "common/hub/redis/link.h"
#include "common/hub/redis/options.h"
#include "common/hub/redis/pending.h"
#include "common/hub/redis/relay_link.h"
#include "common/hub/redis/replicas.h"
#include "common/hub/redis/sentinel.h"

namespace nightjar::hub {

class Server;

// Whom a server tells. Called from the server's functions; may not call back into it.
class ServerOwner {
 public:
  virtual ~ServerOwner() = default;
  virtual void OnUp(const ProbeResult& greeted) = 0;
  // Of every break, also of an attempt to connect.
  virtual void OnBreak(const std::string& why) = 0;
};

class Server {
 public:
  // All must outlive this. `relay` without a broker id: nothing is listened to.
  Server(const RedisOptions& options, Traffic& traffic, ServerOwner& owner, RelayHooks relay,
         uint64_t seed);
  Server(const Server&) = delete;

  void Add(Pending call) { waiting_.push_back(std::move(call)); }

  // How long calls still gather before the next write; 0: they need not.
  int64_t GatherLeft(int64_t now) const;
  // No call waits or is under way.
  bool idle() const { return flying_.empty() && waiting_.empty(); }

  // What is due: calls whose time is over, connecting, giving up, and (`write`) what waits.
  void Work(int64_t now, bool write);
  // When Work is due next, if nothing comes before.
  int64_t DueMs(int64_t now) const;

  // poll passes over a socket that is negative: a link that is closed.
  pollfd CallsSocket() const { return {link_.fd(), link_.events(), 0}; }
  pollfd RelaySocket() const { return {relay_.fd(), relay_.events(), 0}; }
  void OnCallsSocket(short revents, int64_t now);
  void OnRelaySocket(short revents, int64_t now) { relay_.OnEvents(revents, now); }

  // For good; every call is failed.
  void Stop(const std::string& why);

  RelayLink::Counts relay_counts() const { return relay_.counts(); }  // any thread

 private:
  void Expire();
  void CheckLink();
  void OpenIfDue();
  Status OpenMaster();
  void LinkUp();
  void Break(const std::string& why);
  void Pump();
  bool OnReply(const redisReply& raw);
  void OnCallReply(Pending pending, const redisReply& raw);
  bool OnWait(const redisReply& raw);
  bool BatchUnderWay() const { return replicas_ && !flying_.empty(); }
  // Takes everything that was written and is not answered, in its order.
  std::deque<Pending> TakeWritten();
  RelayHooks Hold(RelayHooks to);

  const RedisOptions& options_;
  Traffic& traffic_;
  ServerOwner& owner_;
  const RelayHooks hooks_;

  Link link_;
  size_t next_sentinel_ = 0;
  std::optional<AskSentinel> sentinel_;  // while the link is to one, which is asked
  RedisAddress master_;
  std::optional<Greeting> greeting_;  // of the link, from its opening on
  LastLink last_;
  std::optional<Encoder> encoder_;  // while the link is up
  Backoff backoff_;
  RelayLink relay_;
  std::deque<Pending> flying_;   // written, in the order of their replies
  std::deque<Pending> waiting_;  // to be written; what is to be repeated comes first
  size_t late_ = 0;  // of `flying_`, from the front: answered as late, the reply to come
  // With durability kReplica: answers of the batch that is under way and what was relayed, until
  // replicas have it.
  std::deque<std::pair<Pending, Reply>> held_;
  std::deque<Relayed> relayed_;
  size_t relayed_asked_ = 0;  // of `relayed_`, from the front: the batch under way answers for them
  std::optional<ReplicaWatch> replicas_;  // while the link is up
  std::string trouble_;                   // why a reply ends the connection, if it says less itself
  std::string out_;
  int64_t now_ = 0;
  int64_t next_open_ = 0;
  int64_t written_;    // when calls were last written
  int64_t asked_ = 0;  // when `flying_` last became non-empty
};

}  // namespace nightjar::hub
