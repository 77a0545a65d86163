// The servers of a Redis Cluster: each call goes to the one that has its partition.
//
// Which server has what is asked of any node (CLUSTER SLOTS): at the start, when a call was turned
// away, when a connection breaks, and now and then. A server is a master with those that copy it:
// when one of these takes over, its calls go on there, and it is judged as what it is, the
// successor.
//
// Order. Calls of one partition are carried out in the order of submission. When one is turned
// away, those of its partition wait here, whatever comes and whatever comes back, until none is
// under way; then they go on together, where the partition is.
//
// Threads: the hub's.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/backoff.h"
#include "common/hub/redis/link.h"
#include "common/hub/redis/server.h"
#include "common/hub/redis/servers.h"
#include "common/hub/redis/slot_map.h"

namespace nightjar::hub {

class Cluster final : public Servers {
 public:
  // All must outlive this. The owner is told of the whole: up when all partitions are served, down
  // when one is not.
  Cluster(const RedisOptions& options, Traffic& traffic, ServerOwner& owner, RelayHooks relay,
          uint64_t seed);
  ~Cluster() override;

  void Add(Pending call) override;
  bool idle() const override;
  int64_t GatherLeft(int64_t now) const override;
  void Work(int64_t now, bool write) override;
  int64_t DueMs(int64_t now) const override;
  void AppendSockets(std::vector<pollfd>& sockets) const override;
  const pollfd* OnSockets(const pollfd* sockets, int64_t now) override;
  void Stop(const std::string& why) override;
  RelayLink::Counts relay_counts() const override;

 private:
  struct Member;
  struct Partition {
    Member* at = nullptr;       // by the map; nothing: nobody has it
    bool turned_away = false;   // something was, and waits here
    int64_t again = 0;          // when it is tried again
    std::deque<Pending> calls;  // that wait here, in their order
  };

  // The map.
  void AskIfDue();
  RedisAddress NextToAsk();
  void NotAsked(const std::string& why);
  void Doubt(const std::optional<RedisAddress>& ask = {});
  void Apply(SlotMap map);
  Member& MemberOf(const Shard& shard, const SlotMap& map, const std::vector<Member*>& taken);
  Member* Replaced(const Shard& shard, const SlotMap& map, const std::vector<Member*>& taken);
  void Assign();
  std::string KnownUnder(const Member& before, uint32_t partition) const;
  void GreetWithAll();
  bool Calm() const;

  // Calls.
  void Park(Pending call);
  void Expire();
  void Release();

  // What members tell.
  void OnUp(Member& member, const ProbeResult& greeted);
  void OnBreak(Member& member, const std::string& why);
  void TellIfServed();
  RelayHooks Part(Member& member) const;
  void OnRelay(Member& member, bool up);

  const RedisOptions& options_;
  Traffic& traffic_;
  ServerOwner& owner_;
  const RelayHooks hooks_;
  uint64_t seed_;

  mutable std::mutex members_mutex_;  // for counting from other threads
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<Partition> partitions_;  // only the first, until it is known how many there are
  bool counted_ = false;
  Member* greet_again_ = nullptr;
  std::deque<Pending> uncounted_;  // until then; their partitions are not known
  uint64_t submitted_ = 0;

  Link link_;  // to who is asked for the map
  std::optional<AskSlots> ask_;
  std::optional<SlotMap> map_;
  std::optional<RedisAddress> ask_first_;
  size_t next_to_ask_ = 0;
  int64_t next_ask_ = 0;
  Backoff ask_backoff_;

  std::optional<InfoReply> info_;
  bool up_told_ = false, relay_told_ = false;
  int64_t now_ = 0;
};

}  // namespace nightjar::hub
