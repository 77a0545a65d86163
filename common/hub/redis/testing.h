// For tests against a real Redis: a server of one's own and a clock that can be set.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/hub/redis/options.h"
#include "common/hub/redis/redis_hub.h"

namespace nightjar::hub {

// A redis-server process on a Unix socket in a temporary directory, with the durability that Nightjar
// wants. Killed, and the directory removed, by the destructor.
class TestRedis {
 public:
  // `extra`: further server arguments, such as {"--maxmemory", "20mb"}. `program`: another server of
  // the kind (valkey-server). Check ok().
  explicit TestRedis(std::vector<std::string> extra = {}, std::string program = "redis-server");
  ~TestRedis();
  TestRedis(const TestRedis&) = delete;
  TestRedis& operator=(const TestRedis&) = delete;

  bool ok() const { return pid_ > 0; }
  const std::string& error() const { return error_; }  // why it is not ok()
  RedisOptions options() const;         // reaches this server
  const std::string& dir() const { return dir_; }
  pid_t pid() const { return pid_; }
  void Kill();                          // kill -9, waited for
  bool Start();                         // again, on the same directory

  // One command over a connection of its own; strings as they are, integers in decimal, arrays joined
  // by '\n'. Errors come as "ERR: ...".
  std::string Command(const std::vector<std::string>& args) const;
  // Takes every key away, and sets the hub up anew if functions are loaded. `clock`: as SetClock, first.
  void FlushAll(uint32_t partitions = 64, int64_t clock = 0) const;
  // What the hub takes for its clock from now on; 0: Redis's own again. Only with TestLibrary().
  void SetClock(int64_t unix_ms) const;

 private:
  std::vector<std::string> extra_;
  std::string program_, dir_, error_;
  pid_t pid_ = -1;
};

// The functions with a clock that SetClock sets (common/hub/functions/testing/clock.lua).
std::string TestLibrary();
// `library`, such as TestLibrary(), with functions that fail when they touch more than one partition
// (common/hub/functions/testing/one_partition.lua), and with a digest of its own.
std::string OnePartitionOnly(std::string library);
// `library` with one text in another's place, which must be there.
std::string Replaced(std::string library, const std::string& from, const std::string& to);

// `options` with TestLibrary(). REQUIRES: the server is there.
std::unique_ptr<RedisHub> MakeRedisHubForTest(RedisOptions options);

// Takes brokers in among the living, for tests of calls by brokers that do not beat themselves. False:
// the hub did not do it.
bool Admit(Hub& hub, const std::vector<BrokerName>& brokers);

}  // namespace nightjar::hub
