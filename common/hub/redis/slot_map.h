// Which server of a Redis Cluster has which slots, as one of its nodes sees it.
//
// A node may be behind; a server that is asked for what it does not have says so (Redirect). Values
// and pure functions; any thread.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/hub/redis/opening.h"
#include "common/hub/redis/options.h"

namespace nightjar::hub {

inline constexpr uint32_t kSlots = 16384;

// The slot of a key with this hash tag (what stands in braces). REQUIRES: not empty.
uint32_t SlotOfTag(std::string_view tag);
// Of all keys of a partition.
uint32_t SlotOfPartition(uint32_t partition);

struct ClusterNode {
  std::string id;
  RedisAddress address;
  friend bool operator==(const ClusterNode&, const ClusterNode&) = default;
};

// A master, with those that copy it.
struct Shard {
  ClusterNode master;
  std::vector<ClusterNode> replicas;
  friend bool operator==(const Shard&, const Shard&) = default;
};

class SlotMap {
 public:
  // Of a reply to CLUSTER SLOTS. `asked`: whose reply it is; a node that does not know its own
  // address leaves that out. kInternal: not such a reply, or one beyond reason (more than kSlots
  // ranges, or 16 replicas a range). Nodes without an address are left out, a range without a
  // master is unserved.
  static Result<SlotMap> Read(const redisReply& reply, const RedisAddress& asked);

  // In the order of their first slots.
  const std::vector<Shard>& shards() const { return shards_; }
  // Index of the shard that has the slot; nothing: no one has. REQUIRES: slot < kSlots.
  std::optional<size_t> ShardOf(uint32_t slot) const;
  // Has the node with this id any of the slots?
  bool IsMaster(const std::string& id) const;

 private:
  size_t Add(Shard shard);

  std::vector<Shard> shards_;
  std::vector<uint16_t> of_slot_ = std::vector<uint16_t>(kSlots, kNobody);
  static constexpr uint16_t kNobody = 0xffff;
};

// An error by which a call was turned away, without effect, because of where its slot is.
struct Redirect {
  // For kMoved: where the slot is, if that is an address.
  std::optional<RedisAddress> to;
  enum class Kind {
    kMoved,    // another server has the slot
    kOnItsWay  // keys of the slot are being moved (ASK, TRYAGAIN)
  } kind = Kind::kMoved;
};
std::optional<Redirect> ReadRedirect(const redisReply& reply, const RedisAddress& asked);

// Asks a node for its map: AUTH, CLUSTER SLOTS.
class AskSlots final : public Opening {
 public:
  // `options` must outlive this.
  AskSlots(const RedisOptions& options, RedisAddress asked);
  bool done() const override { return step_ == Step::kDone; }
  std::string Next() const override;
  // kFailedPrecondition: it is no Cluster. kUnauthenticated.
  Status Take(const redisReply& reply) override;

  // REQUIRES: done().
  const SlotMap& map() const { return map_; }

 private:
  enum class Step { kAuth, kAsk, kDone };
  const RedisOptions& options_;
  const RedisAddress asked_;
  Step step_;
  SlotMap map_;
};

}  // namespace nightjar::hub
