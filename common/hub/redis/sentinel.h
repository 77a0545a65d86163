// Asks a Sentinel where the master is. What it says is only where to look: whether a master is
// really there is for the greeting to find out, since a Sentinel may be behind.
#pragma once

#include <string>

#include "common/hub/redis/opening.h"
#include "common/hub/redis/options.h"

namespace nightjar::hub {

class AskSentinel final : public Opening {
 public:
  // `options` must outlive this.
  explicit AskSentinel(const RedisOptions& options);

  bool done() const override { return step_ == Step::kDone; }
  std::string Next() const override;
  // kUnavailable: this one knows of no such master, or cannot be asked; another one may.
  Status Take(const redisReply& reply) override;

  std::string_view with() const override { return "Sentinel"; }

  // REQUIRES: done().
  const RedisAddress& master() const { return master_; }

 private:
  enum class Step { kAuth, kAsk, kDone };

  const RedisOptions& options_;
  Step step_;
  RedisAddress master_;
};

}  // namespace nightjar::hub
