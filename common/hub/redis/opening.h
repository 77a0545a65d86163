// What is said on a new connection before it is up.
//
// A state machine without I/O: the link sends Next() and hands the reply to Take(). Threads: one
// owner.
#pragma once

#include <hiredis/hiredis.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace nightjar::hub {

class Opening {
 public:
  virtual ~Opening() = default;
  virtual bool done() const = 0;
  // The next command, complete. REQUIRES: !done().
  virtual std::string Next() const = 0;
  // Its reply. An error ends the connection.
  virtual Status Take(const redisReply& reply) = 0;
  // Who is spoken with, for messages.
  virtual std::string_view with() const { return "Redis"; }
};

inline std::string_view Text(const redisReply& reply) {
  return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, reply.len);
}
inline bool IsError(const redisReply& reply) { return reply.type == REDIS_REPLY_ERROR; }

}  // namespace nightjar::hub
