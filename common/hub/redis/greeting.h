// What is said on a new connection before it carries calls: who we are, what the server is, whether
// Accepted would be durable there, the functions, the hub's own record.
//
// A state machine without I/O: the caller sends Next() and hands the reply to Take(). Threads: one owner.
#pragma once

#include <hiredis/hiredis.h>

#include <string>

#include "common/base/result.h"
#include "common/hub/redis/library.h"
#include "common/hub/redis/options.h"
#include "common/hub/redis/redis_hub.h"

namespace nightjar::hub {

class Greeting {
 public:
  explicit Greeting(const RedisOptions& options);

  bool done() const { return step_ == Step::kDone; }
  // The next command, complete. REQUIRES: !done().
  std::string Next() const;
  // Its reply. An error ends the connection; codes as Probe()'s.
  Status Take(const redisReply& reply);

  const ProbeResult& result() const { return result_; }

 private:
  enum class Step { kAuth, kSelect, kServer, kConfig, kVersion, kLoad, kSetup, kDone };

  void Skip();  // steps that the options leave out
  Status TakeServer(const redisReply& reply);
  void TakeConfig(const redisReply& reply);
  Status TakeVersion(const redisReply& reply);
  Status TakeSetup(const redisReply& reply);

  const RedisOptions& options_;
  const std::string library_;
  Step step_ = Step::kAuth;
  ProbeResult result_;
};

}  // namespace nightjar::hub
