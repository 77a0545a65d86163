#include "common/hub/redis/testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "common/hub/keys.h"
#include "common/hub/redis/library.h"
#include "common/hub/sync_call.h"

namespace nightjar::hub {
namespace {

// Replies as text: strings as they are, integers in decimal, arrays joined by '\n', nothing for nil.
std::string Flatten(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply.integer);
    case REDIS_REPLY_ERROR:
      return "ERR: " + std::string(reply.str, reply.len);
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return {reply.str, reply.len};
    case REDIS_REPLY_ARRAY: {
      std::string text;
      for (size_t i = 0; i < reply.elements; ++i) {
        if (i != 0) text += '\n';
        text += Flatten(*reply.element[i]);
      }
      return text;
    }
    default:
      return {};
  }
}

}  // namespace

TestRedis::TestRedis(std::vector<std::string> extra, std::string program)
    : extra_(std::move(extra)), program_(std::move(program)) {
  char name[] = "/tmp/nightjar-redis-XXXXXX";
  if (mkdtemp(name) == nullptr) {
    error_ = "no temporary directory";
    return;
  }
  dir_ = name;
  Start();
}

TestRedis::~TestRedis() {
  Kill();
  std::error_code ignored;
  if (!dir_.empty()) std::filesystem::remove_all(dir_, ignored);
}

bool TestRedis::Start() {
  std::vector<std::string> args = {
      program_,        "--port",     "0",   "--unixsocket", dir_ + "/redis.sock", "--dir", dir_,
      "--appendonly",  "yes",        "--appendfsync", "always", "--save",        "",
      "--maxmemory-policy", "noeviction", "--daemonize", "no"};
  args.insert(args.end(), extra_.begin(), extra_.end());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  const std::string log = dir_ + "/redis.log";
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // goes with a test program that is killed
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  // Ready when it answers; given up when the process is gone.
  for (int i = 0; i < 2000; ++i) {
    if (Command({"PING"}) == "PONG") return true;
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      error_ = program_ + " did not start";
      return false;
    }
    usleep(5000);
  }
  Kill();
  error_ = program_ + " does not answer";
  return false;
}

void TestRedis::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

RedisOptions TestRedis::options() const {
  RedisOptions options;
  options.unix_path = dir_ + "/redis.sock";
  return options;
}

std::string TestRedis::Command(const std::vector<std::string>& args) const {
  const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
      redisConnectUnix((dir_ + "/redis.sock").c_str()), redisFree);
  if (context == nullptr || context->err != 0) return "ERR: no connection";
  std::vector<const char*> argv;
  std::vector<size_t> lengths;
  for (const std::string& arg : args) {
    argv.push_back(arg.data());
    lengths.push_back(arg.size());
  }
  void* raw = redisCommandArgv(context.get(), static_cast<int>(args.size()), argv.data(),
                               lengths.data());
  if (raw == nullptr) return "ERR: " + std::string(context->errstr);
  const std::unique_ptr<redisReply, void (*)(void*)> reply(static_cast<redisReply*>(raw),
                                                           freeReplyObject);
  return Flatten(*reply);
}

void TestRedis::FlushAll(uint32_t partitions, int64_t clock) const {
  Command({"FLUSHALL"});
  SetClock(clock);
  std::vector<std::string> setup = {"FCALL", "nj_setup", "1", keys::Join(keys::kHub, "0}"),
                                    std::to_string(kLayoutVersion), std::to_string(partitions),
                                    "0", "", "", ""};
  for (uint32_t p = 0; p < partitions; ++p) setup.push_back(keys::PartitionTail(p));
  Command(setup);
}

void TestRedis::SetClock(int64_t unix_ms) const {
  if (unix_ms == 0) {
    Command({"DEL", "test:clock"});
  } else {
    Command({"SET", "test:clock", std::to_string(unix_ms)});
  }
}

std::string TestLibrary() { return LibraryText(kLibraryVersion, kTestClock); }

std::string Replaced(std::string library, const std::string& from, const std::string& to) {
  const size_t at = library.find(from);
  if (at == std::string::npos) throw std::runtime_error("the library lacks: " + from);
  return library.replace(at, from.size(), to);
}

std::string OnePartitionOnly(std::string library) {
  const std::string digest = StateOf(library).digest;
  library = Replaced(std::move(library), digest, "p" + digest.substr(1));
  library = Replaced(std::move(library), "local call, pack_bytes,",
                     kTestOnePartition + std::string("\nlocal call, pack_bytes,"));
  library = Replaced(std::move(library), "unpack_bytes = redis.call,",
                     "unpack_bytes = one_partition_call,");
  return Replaced(std::move(library), "      return callback(keys, argv)",
                  "      one_partition_begin(name, keys)\n      return callback(keys, argv)");
}

std::unique_ptr<RedisHub> MakeRedisHubForTest(RedisOptions options) {
  options.library = TestLibrary();
  return std::make_unique<RedisHub>(std::move(options));
}

bool Admit(Hub& hub, const std::vector<BrokerName>& brokers) {
  for (const BrokerName& broker : brokers) {
    Beat beat;
    beat.broker = broker;
    beat.first = true;
    const Reply reply = CallAndWait(hub, beat);
    const BeatReply* beaten = std::get_if<BeatReply>(&reply);
    if (beaten == nullptr || beaten->outcome != BeatReply::Outcome::kAlive) return false;
  }
  return true;
}

}  // namespace nightjar::hub
