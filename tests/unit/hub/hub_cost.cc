// What each call costs Redis: CPU of the server process (user + system) per call, AOF fsynced always,
// pipelined in batches, an empty function call in the same run for comparison. Not a test.
//   nightjar_hub_cost [calls, thousands] [batch, a divisor of 1000]
#include <hiredis/hiredis.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "common/hub/redis/decode.h"
#include "common/hub/redis/encode.h"
#include "common/hub/redis/testing.h"
#include "common/wire/codec.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

constexpr int kPairs = 500;
const BrokerName kBroker = "b1#1732291602123";
constexpr int kRound = 1000;  // calls measured at once; a multiple of the batch

// Seconds on a CPU, of the process's main thread (all of Redis's work on commands and its file).
double CpuOf(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/schedstat");
  double ns = 0;
  stat >> ns;
  return ns / 1e9;
}

std::string User(int pair, bool second) {
  return "user" + std::to_string(pair) + (second ? "b" : "a");
}

class Bench {
 public:
  Bench(const TestRedis& redis, int calls, int batch)
      : redis_(redis), calls_(calls), batch_(batch) {
    context_ = redisConnectUnix(redis.options().unix_path.c_str());
  }
  ~Bench() { redisFree(context_); }

  // Runs `make(i)` as commands in rounds; returns CPU microseconds per call: the median round, and
  // prints the best beside it (a busy machine makes rounds dearer, never cheaper).
  template <typename Make, typename Check>
  double Run(const char* name, Make make, Check check, int calls = 0) {
    if (calls == 0) calls = calls_;
    std::vector<double> rounds;
    for (int from = 0; from < calls; from += kRound) {
      const double before = CpuOf(redis_.pid());
      for (int i = from; i < from + kRound; i += batch_) Batch(i, name, make, check);
      rounds.push_back((CpuOf(redis_.pid()) - before) / kRound * 1e6);
    }
    std::sort(rounds.begin(), rounds.end());
    std::printf("%-28s best %6.2f us, median %6.2f us\n", name, rounds[0],
                rounds[rounds.size() / 2]);
    return rounds[0];
  }

 private:
  template <typename Make, typename Check>
  void Batch(int i, const char* name, Make make, Check check) {
    std::string out;
    for (int k = 0; k < batch_; ++k) make(i + k, out);
    redisAppendFormattedCommand(context_, out.data(), out.size());
    for (int k = 0; k < batch_; ++k) {
      void* raw = nullptr;
      if (redisGetReply(context_, &raw) != REDIS_OK) std::abort();
      redisReply* reply = static_cast<redisReply*>(raw);
      if (reply->type == REDIS_REPLY_ERROR) {
        std::cerr << name << ": " << reply->str << "\n";
        std::abort();
      }
      check(i + k, *reply);
      freeReplyObject(raw);
    }
  }

  const TestRedis& redis_;
  const int calls_, batch_;
  redisContext* context_;
};

// The commands of a send and nothing else: what Redis itself charges for them inside a function.
const char* const kBareLibrary = R"lua(#!lua name=nightjar_bare
redis.register_function('bare_send', function(keys, argv)
  local call, u = redis.call, argv[1]
  call('TIME')
  call('HMGET', 'chat:{1}:' .. u, 'last', 'te', 'w:a:phone', 'f:a')
  call('RPUSH', 'journal:{1}', argv[3])
  call('HSET', 'chat:{1}:' .. u, 'last', '12345678', 'w:a:phone', argv[2])
  call('HMGET', 'user:{1}:a' .. u, 'dv', 'tl')
  call('HSET', 'chats:{1}:a' .. u, 'd:a:b', '12345678')
  call('HMGET', 'user:{1}:b' .. u, 'base', 'br')
  call('HSET', 'chats:{1}:b' .. u, 'd:a:b', '12345678')
  call('RPUSH', 'inbox:{1}:b' .. u, argv[3])
  return 1
end)
)lua";

struct World {
  Encoder encoder{64, 1, 100'000'000, 1'000'000};
  uint64_t epoch = 0;
  std::vector<MsgId> ids;
  MsgId appended = 0;

  void Beat(const BrokerName& broker, std::string& out) {
    nightjar::hub::Beat beat;
    beat.broker = broker;
    beat.first = true;
    encoder.Encode(beat, out);
  }
  void Login(int i, std::string& out) {
    nightjar::hub::Login login;
    login.uid = User(i / 2 % kPairs, i % 2 == 1);
    login.device = "phone";
    login.broker = kBroker;
    login.session = static_cast<uint64_t>(i + 1);
    encoder.Encode(login, out);
  }
  void Logout(int i, std::string& out) {
    nightjar::hub::Logout logout;
    logout.uid = User(i / 2 % kPairs, i % 2 == 1);
    logout.device = "phone";
    logout.broker = kBroker;
    logout.session = static_cast<uint64_t>(i + 1);
    encoder.Encode(logout, out);
  }
  void Send(int i, std::string& out) {
    nightjar::hub::Send send;
    send.author = User(i % kPairs, false);
    send.chat = DirectChatId(send.author, User(i % kPairs, true));
    send.device = "phone";
    send.client_msg_id = static_cast<uint64_t>(1'732'291'602'123 + i);
    send.received_ms = 1'732'291'602'123;
    send.broker = kBroker;
    v1::Message message;
    message.set_chat_id(send.chat);
    message.set_author(send.author);
    message.set_text(std::string(100, 'x'));
    send.shared = MessageTemplate(message);
    message.set_client_msg_id(send.client_msg_id);
    message.set_device(send.device);
    send.own = MessageTemplate(message);
    encoder.Encode(send, out);
  }
  void Ack(int i, std::string& out) {
    nightjar::hub::Ack ack;
    const std::string author = User(i % kPairs, false);
    ack.uid = User(i % kPairs, true);
    ack.device = "phone";
    ack.epoch = epoch;
    ack.seq = static_cast<uint64_t>(i / kPairs + 1);
    ack.broker = kBroker;
    ack.marks = {{DirectChatId(author, ack.uid), ids[static_cast<size_t>(i)], {author}}};
    encoder.Encode(ack, out);
  }
  void Append(int i, std::string& out, size_t messages) {
    nightjar::hub::Append append;
    append.chat = "g:1";
    append.broker = kBroker;
    for (size_t m = 0; m < messages; ++m) {
      append.messages.push_back({.msg_id = ++appended,
                                 .author = {},
                                 .author_device = {},
                                 .shared = std::string(150, 'x'),
                                 .own = {}});
    }
    for (int k = 0; k < 64; ++k) append.uids.push_back(User((i * 64 + k) % kPairs, true));
    encoder.Encode(append, out);
  }
  void Read(int i, std::string& out) {
    ReadInbox read;
    read.uid = User(i % kPairs, true);
    read.from = static_cast<uint64_t>(i / kPairs + 1);
    read.count = 1;
    encoder.Encode(read, out);
  }
};

int Main(int calls, int batch) {
  TestRedis redis({"--auto-aof-rewrite-percentage", "0"});  // no rewrite in the middle
  if (!redis.ok()) {
    std::cerr << redis.error() << "\n";
    return 1;
  }
  RedisOptions options = redis.options();
  const auto probe = Probe(options);
  if (!probe.ok()) return 1;
  Bench bench(redis, calls, batch);
  World w;
  w.epoch = probe.value().info.epoch;
  const auto any = [](int, const redisReply&) {};
  bench.Run("beat (first)", [&](int, std::string& out) { w.Beat(kBroker, out); }, any, kRound);
  bench.Run("login (new)", [&](int i, std::string& out) { w.Login(i, out); }, any,
            2 * kPairs);
  const double empty = bench.Run(
      "empty call",
      [](int, std::string& out) {
        CommandWriter c;
        c.Function("nj_noop", "hub").AppendTo(out);
      },
      any);
  redis.Command({"FUNCTION", "LOAD", kBareLibrary});
  const double bare = bench.Run(
      "a send's bare commands",
      [](int i, std::string& out) {
        CommandWriter c;
        c.Function("bare_send", "hub").Arg(uint64_t(i % kPairs)).Arg(std::string(256, 'w'));
        c.Arg(std::string(150, 'm')).AppendTo(out);
      },
      any);
  const double send = bench.Run(
      "send, 2 members online", [&](int i, std::string& out) { w.Send(i, out); },
      [&](int, const redisReply& reply) {
        if (reply.elements != 5) std::abort();
        w.ids.push_back(MsgIdFromBytes(reply.element[1]->str));
      });
  bench.Run("read_inbox, 1 entry", [&](int i, std::string& out) { w.Read(i, out); }, any);
  const double ack = bench.Run(
      "ack, 1 mark", [&](int i, std::string& out) { w.Ack(i, out); },
      [](int, const redisReply& reply) {
        if (reply.elements != 4) std::abort();
      });
  bench.Run("append, 64 users", [&](int i, std::string& out) { w.Append(i, out, 1); }, any, kRound);
  bench.Run("append, 64 users x 8", [&](int i, std::string& out) { w.Append(i, out, 8); }, any,
            kRound);
  bench.Run("logout", [&](int i, std::string& out) { w.Logout(i, out); }, any, 2 * kPairs);
  std::printf("less the empty call: send %.2f us (its bare commands %.2f), ack %.2f us; batch %d\n",
              send - empty, bare - empty, ack - empty, batch);
  return 0;
}

}  // namespace
}  // namespace nightjar::hub

int main(int argc, char** argv) {
  const int calls = argc > 1 ? std::atoi(argv[1]) : 50'000;
  const int batch = argc > 2 ? std::atoi(argv[2]) : 50;
  return nightjar::hub::Main(calls, batch);
}
