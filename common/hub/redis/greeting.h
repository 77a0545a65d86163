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

#include <string>

#include "common/base/result.h"
#include "common/hub/redis/library.h"
#include "common/hub/redis/opening.h"
#include "common/hub/redis/options.h"
#include "common/hub/redis/redis_hub.h"

namespace nightjar::hub {

// What is remembered of the last connection that came up, for the greeting of the next one.
struct LastLink {
  std::string run_id;      // of the server; another after every restart
  uint64_t client_id = 0;  // the connection's, as that server numbers them; 0: not known
  uint64_t epoch = 0;      // of the hub; 0: not known
};

class Greeting final : public Opening {
 public:
  Greeting(const RedisOptions& options, LastLink last);

  bool done() const override { return step_ == Step::kDone; }
  std::string Next() const override;
  // Codes of errors as Probe()'s.
  Status Take(const redisReply& reply) override;

  const ProbeResult& result() const { return result_; }
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
    kVersion,
    kLoad,
    kSetup,
    kDone
  };

  void Skip();  // steps that the options leave out
  Status TakeServer(const redisReply& reply);
  void WarnOfLast(const redisReply& reply);
  void TakeConfig(const redisReply& reply);
  Status TakeVersion(const redisReply& reply);
  Status TakeSetup(const redisReply& reply);

  const RedisOptions& options_;
  const std::string library_;
  const LastLink last_;
  LastLink link_;
  Step step_ = Step::kAuth;
  ProbeResult result_;
};

}  // namespace nightjar::hub
