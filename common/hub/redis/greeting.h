// What is said on a new connection before it carries calls: who we are, what the server is, whether
// Accepted would be durable there, the functions, the hub's own record.
//
// The connection before this one is ended by the server before any call is repeated: what lies
// unread in its socket (the server stood still, or the network held it up) would else run after the
// repeats, and an old Login could bring back a route.
//
// Threads: one owner.
#pragma once

#include <hiredis/hiredis.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/hub/redis/command.h"
#include "common/hub/redis/library.h"
#include "common/hub/redis/opening.h"
#include "common/hub/redis/options.h"
#include "common/hub/redis/redis_hub.h"
#include "common/hub/redis/replicas.h"

namespace nightjar::hub {

// What is remembered of the last connection that came up, for the greeting of the next one.
struct LastLink {
  std::string run_id;      // of the server; another after every restart
  uint64_t client_id = 0;  // the connection's, as that server numbers them; 0: not known
  uint64_t epoch = 0;      // the highest of its partitions; 0: not known
  LastMaster master;       // with durability kReplica only
};

// Sets partitions up: FCALL nj_setup. `verdict`: as the function takes it. One partition only in a
// Cluster.
struct SetupArgs {
  uint32_t partitions = 0;
  uint64_t known_epoch = 0;
  std::string_view verdict;
  const std::string& history;
  const std::string& address;
  bool rebuilding = false;
};
void WriteSetup(CommandWriter& c, const SetupArgs& args, const std::vector<uint32_t>& which);
// Its reply. kFailedPrecondition: another layout. kUnavailable, kInternal: as of any call.
struct SetupReply {
  uint32_t partitions = 0;
  int64_t ids_from_ms = 0;
  std::vector<uint64_t> epochs;  // in the order of `which`, none is 0
};
Result<SetupReply> ReadSetup(const redisReply& reply, const std::vector<uint32_t>& which);

class Greeting final : public Opening {
 public:
  // `address`: where this server was found. `served`: the partitions to be had there; empty: all,
  // as many as the hub says. In a Cluster those that turn out not to be there are left out, if
  // others are. `moved`: those of them that are known from another server, which is still there,
  // with the history they stood under. `options` must outlive this.
  Greeting(const RedisOptions& options, LastLink last, std::string address,
           const std::vector<uint32_t>& served = {}, std::map<uint32_t, std::string> moved = {});

  bool done() const override { return step_ == Step::kDone; }
  std::string Next() const override;
  // Codes of errors as Probe()'s.
  Status Take(const redisReply& reply) override;

  const ProbeResult& result() const { return result_; }
  // Of each partition; 0 of those that are not served there. REQUIRES: done().
  const std::vector<uint64_t>& epochs() const { return epochs_; }
  // How many replicas are in step; kReplica only. REQUIRES: done().
  uint32_t in_step() const { return in_step_; }
  // No message id from here on has an earlier time (ms): see nj_setup. REQUIRES: done().
  int64_t ids_from_ms() const { return ids_from_ms_; }
  // What nj_setup is told of this server for a partition that was here when it was greeted: empty
  // where no replicas are waited for.
  std::string VerdictFor(uint32_t partition) const;
  // Of this connection. REQUIRES: done().
  const LastLink& link() const { return link_; }

 private:
  enum class Step {
    kAuth,
    kServer,
    kKillLast,
    kClientId,
    kSelect,
    kConfig,
    kSettle,  // replicas are asked how far they are
    kReplicas,
    kVersion,
    kLoad,
    kSetup,
    kReplicated,
    kDone
  };

  void Skip();  // steps that the options leave out
  bool replicated() const { return options_.durability == Durability::kReplica; }
  Status TakeServer(const redisReply& reply);
  Status TakeReplicas(const redisReply& reply);
  Status TakeReplicated(const redisReply& reply);
  void WarnOfLast(const redisReply& reply);
  void TakeConfig(const redisReply& reply);
  Status TakeVersion(const redisReply& reply);
  Status TakeSetup(const redisReply& reply);
  void SetUpTheRest();

  const RedisOptions& options_;
  const std::string library_;
  const LastLink last_;
  const std::string address_;
  const std::map<uint32_t, std::string> moved_;
  LastLink link_;
  ServerHistory history_;
  uint64_t connected_ = 0;  // replicas
  uint32_t in_step_ = 0;
  bool file_complete_ = false;  // what the server answers is in its file first
  int64_t ids_from_ms_ = 0;
  bool all_;                                     // partitions are served here
  std::deque<std::vector<uint32_t>> to_set_up_;  // a call each
  std::vector<uint64_t> epochs_;
  Step step_ = Step::kAuth;
  ProbeResult result_;
};

}  // namespace nightjar::hub
