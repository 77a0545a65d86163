// Connections to HBase's Thrift2 servers: a small pool, failover between servers, time limits.
//
// Threads: Call from any thread; one connection serves one call at a time.
// Errors: kUnavailable for whatever may pass (a server or HBase away, a table missing or disabled),
// kInternal where tables are not what this program writes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace nightjar::hbase {

class THBaseServiceClient;

struct LinkOptions {
  struct Server {
    std::string host;
    uint16_t port = 0;
  };
  std::vector<Server> servers;  // at least one
  bool framed = false;          // as the servers were started: -f
  bool compact = false;         // and -c
  size_t connections = 6;       // at most, over all servers
  int64_t timeout_ms = 10'000;  // of one call; also how long one waits for a free connection
  int64_t connect_timeout_ms = 2'000;
};

class Link {
 public:
  explicit Link(LinkOptions options);
  ~Link();

  // Runs `call` on a connection. Should that break, again on another one, until every server has
  // been tried once or the time is up: so `call` must bear being run twice. `doing` is for errors.
  Status Call(const char* doing, const std::function<void(THBaseServiceClient&)>& call);

  std::string Where() const;  // HOST:PORT,HOST:PORT

 private:
  struct Connection;
  struct Health {
    int64_t down_until_ms = 0;  // mono; not tried before, unless no other is left
    uint32_t breaks = 0;        // in a row
  };
  enum class Ran { kDone, kBroke };

  std::unique_ptr<Connection> TakeIdle();
  void GiveBack(std::unique_ptr<Connection> connection);
  std::vector<size_t> ServersInTurn();
  void Broke(size_t server);
  Ran Run(Connection& connection, const char* doing,
          const std::function<void(THBaseServiceClient&)>& call, Status& status);
  Status CallAny(const char* doing, const std::function<void(THBaseServiceClient&)>& call);

  const LinkOptions options_;
  std::mutex mutex_;
  std::condition_variable freed_;
  size_t in_use_ = 0;
  size_t turn_ = 0;  // the server that the next new connection begins with
  uint64_t dice_;
  std::vector<Health> health_;  // by server
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace nightjar::hbase
