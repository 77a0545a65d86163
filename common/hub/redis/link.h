// One connection to Redis (or a Sentinel): connecting, what is said at its opening, then commands out and replies in. It
// knows nothing of calls. Threads: one owner, who polls fd() for events().
#pragma once

#include <hiredis/hiredis.h>

#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/hub/redis/opening.h"
#include "common/hub/redis/options.h"

namespace nightjar::hub {

class Link {
 public:
  enum class State { kClosed, kConnecting, kGreeting, kUp };

  // Begins to connect. `opening` must live until the link is up or closed, and has `timeout_ms` from now
  // on to get there. An error: not even the beginning was possible.
  Status Open(int64_t now_ms, const RedisAddress& to, int64_t timeout_ms, Opening& opening);
  void Close();

  State state() const { return state_; }
  int fd() const;
  short events() const;  // what to poll for
  // Until when the link has to be up, and what is told if it is not. REQUIRES: not kClosed.
  int64_t deadline_ms() const { return deadline_ms_; }
  Status TooLate() const;
  int64_t heard_ms() const { return heard_ms_; }  // when bytes last came

  // Adds to what is to be written. REQUIRES: kUp.
  void Queue(std::string_view commands);
  // Writes what the socket takes now.
  Status Flush();

  // After poll. Each reply to a queued command goes to `on_reply`, in order; it returns false to stop
  // (the link is then to be closed). An error: the connection is over; its message says why.
  Status OnEvents(short revents, int64_t now_ms,
                  const std::function<bool(const redisReply&)>& on_reply);

 private:
  struct FreeContext {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  Status Connected();
  Status Greet(const redisReply& reply);
  Status Read(int64_t now_ms, const std::function<bool(const redisReply&)>& on_reply);
  Status Broken() const;
  Status NotThere(const std::string& why) const;

  RedisAddress to_;
  State state_ = State::kClosed;
  std::unique_ptr<redisContext, FreeContext> context_;
  Opening* opening_ = nullptr;
  bool unwritten_ = false;
  int64_t deadline_ms_ = 0, heard_ms_ = 0;
};

}  // namespace nightjar::hub
