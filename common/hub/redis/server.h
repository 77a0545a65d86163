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

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/backoff.h"
#include "common/hub/redis/encode.h"
#include "common/hub/redis/greeting.h"
#include "common/hub/redis/link.h"
#include "common/hub/redis/options.h"
#include "common/hub/redis/pending.h"
#include "common/hub/redis/relay_link.h"
#include "common/hub/redis/replicas.h"
#include "common/hub/redis/sentinel.h"
#include "common/hub/redis/servers.h"

namespace nightjar::hub {

class Server final : public Servers {
 public:
  // All must outlive this. `relay` without a broker id: nothing is listened to.
  Server(const RedisOptions& options, Traffic& traffic, ServerOwner& owner, RelayHooks relay,
         uint64_t seed);
  Server(const Server&) = delete;

  void Add(Pending call) override { waiting_.push_back(std::move(call)); }
  bool idle() const override { return flying_.empty() && waiting_.empty(); }
  int64_t GatherLeft(int64_t now) const override;
  void Work(int64_t now, bool write) override;
  int64_t DueMs(int64_t now) const override;
  void AppendSockets(std::vector<pollfd>& sockets) const override;
  const pollfd* OnSockets(const pollfd* sockets, int64_t now) override;
  void Stop(const std::string& why) override;
  RelayLink::Counts relay_counts() const override { return relay_.counts(); }

  // In a Cluster: where it is now, and the partitions that it has (in ascending order). Not
  // connected to before both are known, and while it has none.
  void Place(const RedisAddress& at, std::vector<uint32_t> partitions, int64_t now);
  // A partition that is about to be placed here was known at another server, which is still there,
  // under this history; empty: nothing is known of it.
  void Comes(uint32_t partition, std::string history);
  // The history of the server if it serves the partition and replicas are waited for; else empty.
  std::string HistoryOf(uint32_t partition) const;
  // Connects anew, to be greeted with all that is placed here by then.
  void Reopen(int64_t now);
  // Takes the calls of a partition that wait to be written, in their order.
  std::deque<Pending> Withdraw(uint32_t partition);
  // Is a call of the partition under way?
  bool HasWritten(uint32_t partition) const;
  // Is the link up?
  bool up() const { return encoder_.has_value(); }
  // Is the link up, and the partition set up there?
  bool Serves(uint32_t partition) const { return encoder_ && encoder_->Serves(partition); }

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
  bool OnSetup(uint32_t partition, const redisReply& raw);
  void AskForPartitions();
  bool AllServed() const;
  void OnLinkEvents(short revents);
  void FollowRelay();
  bool in_cluster() const { return !options_.cluster.empty(); }
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
  std::optional<RedisAddress> placed_;         // in a Cluster
  std::vector<uint32_t> placed_here_;          // partitions
  std::vector<uint32_t> greeted_with_;         // of them, since the link was opened
  std::map<uint32_t, std::string> came_from_;  // of them, see Comes()
  int64_t next_setup_ = 0;                     // of those that have come since
  std::optional<Greeting> greeting_;           // of the link, from its opening on
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
