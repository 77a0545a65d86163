// A Redis that loses its data, or starts anew, under several processes; and a connection that
// stalls with calls unread in it.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "common/hub/redis/testing.h"
#include "common/hub/sync_call.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

const std::string kChat = DirectChatId("alice", "bob");

Login MakeLogin(const std::string& uid, uint64_t session) {
  Login login;
  login.uid = uid;
  login.device = "phone";
  login.broker = "b1#1";
  login.session = session;
  return login;
}

Send MakeSend(uint64_t client_msg_id) {
  Send send;
  send.chat = kChat;
  send.author = "alice";
  send.device = "phone";
  send.client_msg_id = client_msg_id;
  send.shared = send.own = {"<", ">"};
  send.broker = "b1#1";
  return send;
}

Lease MakeLease(const std::string& owner) {
  Lease lease;
  lease.role = Role::kPersist;
  lease.owner = owner;
  lease.partitions = {PartitionOf(kChat, 64)};
  return lease;
}

TrimLog MakeTrim(uint64_t token, uint64_t upto) {
  TrimLog trim;
  trim.partitions = {{PartitionOf(kChat, 64), token, upto}};
  return trim;
}

template <typename T>
T Ask(Hub& hub, Call call) {
  Reply reply = CallAndWait(hub, std::move(call));
  if (T* typed = std::get_if<T>(&reply)) return std::move(*typed);
  const Failure* failure = std::get_if<Failure>(&reply);
  ADD_FAILURE() << (failure ? failure->message : "another kind of reply");
  return T{};
}

// Epochs that a hub came up with, and how often it went down.
struct Ups {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<uint64_t> epochs;
  size_t downs = 0;

  RedisHub::StatusCallback Callback() {
    return [this](const RedisHub::Status& status) {
      std::lock_guard lock(mutex);
      if (status.up) {
        epochs.push_back(status.info.epoch);
      } else {
        ++downs;
      }
      changed.notify_all();
    };
  }
  std::vector<uint64_t> WaitFor(size_t count) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(20), [&] { return epochs.size() >= count; });
    return epochs;
  }
  bool WaitForDown() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return downs > 0; });
  }
};

// Whoever comes upon the loss first sets the hub up; the others learn it by what they ask all the
// time.
TEST(LostData, EveryProcessComesUpAgainWithTheNewEpoch) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  Ups a_ups, b_ups;
  RedisHub a(redis.options(), a_ups.Callback()), b(redis.options(), b_ups.Callback());
  ASSERT_TRUE(Admit(a, {"b1#1"}));
  const uint64_t epoch = Ask<LoginReply>(a, MakeLogin("alice", 1)).epoch;
  Ask<LoginReply>(b, MakeLogin("bob", 1));
  const uint64_t token = Ask<LeaseReply>(b, MakeLease("b")).tokens.at(0);
  for (uint64_t i = 1; i <= 3; ++i) Ask<SendReply>(a, MakeSend(i));
  redis.Command({"FLUSHALL"});

  // The brokers are gone too: who was among them is let in again by its next beat.
  const Beat beat{.broker = "b1#1", .epoch = epoch, .known = 1, .clearing = {}};
  EXPECT_EQ(Ask<BeatReply>(a, beat).brokers, std::vector<BrokerName>{"b1#1"});
  EXPECT_GT(Ask<LoginReply>(a, MakeLogin("alice", 1)).epoch, epoch);
  for (uint64_t i = 1; i <= 5; ++i) {
    EXPECT_EQ(Ask<SendReply>(a, MakeSend(i)).outcome, SendReply::Outcome::kAccepted);
  }
  // b has read three records, of a journal that is no more.
  EXPECT_EQ(Ask<TrimLogReply>(b, MakeTrim(token, 3)).held, std::vector<bool>{false});
  const uint64_t next = Ask<LeaseReply>(b, MakeLease("b")).tokens.at(0);
  EXPECT_GT(next, token);
  const auto log = Ask<ReadLogReply>(b, ReadLog{.partitions = {PartitionOf(kChat, 64)}});
  ASSERT_EQ(log.slices.size(), 1u);
  EXPECT_EQ(log.slices[0].first, 0u);
  EXPECT_EQ(log.slices[0].records.size(), 5u);
  const auto ups_a = a_ups.WaitFor(2), ups_b = b_ups.WaitFor(2);
  ASSERT_EQ(ups_a.size(), 2u);
  EXPECT_EQ(ups_a, ups_b);
  EXPECT_GT(ups_a[1], ups_a[0]);
}

// What was lost with the end of the file (fsync was not "always") may have been read before.
TEST(LostData, ARestartEndsAllLeases) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  RedisHub hub(redis.options());
  ASSERT_TRUE(Admit(hub, {"b1#1"}));
  const uint64_t epoch = Ask<LoginReply>(hub, MakeLogin("alice", 1)).epoch;
  for (uint64_t i = 1; i <= 3; ++i) Ask<SendReply>(hub, MakeSend(i));
  Lease lease = MakeLease("p");
  lease.ttl_ms = 600'000;
  const uint64_t token = Ask<LeaseReply>(hub, lease).tokens.at(0);
  EXPECT_EQ(Ask<TrimLogReply>(hub, MakeTrim(token, 1)).held, std::vector<bool>{true});
  redis.Kill();
  ASSERT_TRUE(redis.Start()) << redis.error();
  EXPECT_EQ(Ask<TrimLogReply>(hub, MakeTrim(token, 2)).held, std::vector<bool>{false});
  const uint64_t next = Ask<LeaseReply>(hub, lease).tokens.at(0);
  EXPECT_GT(next, token);
  EXPECT_EQ(Ask<TrimLogReply>(hub, MakeTrim(next, 2)).held, std::vector<bool>{true});
  EXPECT_EQ(Ask<HeadsReply>(hub, Heads{{{"bob", "phone", 1}}, "b1#1"}),
            (HeadsReply{{{epoch, 3, HeadsReply::Route::kNone}}}));
}

// While it is filled from the store, nobody else finds a hub there: what is not yet back cannot be
// taken for what never was.
TEST(LostData, AClosedHubIsThereOnlyForWhoFillsIt) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  Ups ups;
  RedisOptions options = redis.options();
  options.call_timeout_ms = 300;
  RedisHub people(options, ups.Callback());
  ASSERT_TRUE(Admit(people, {"b1#1"}));
  const uint64_t epoch = Ask<InfoReply>(people, Info{}).epoch;
  const MsgId first = Ask<SendReply>(people, MakeSend(1)).msg_id;
  redis.Command({"FLUSHALL"});

  RedisOptions filling = redis.options();
  filling.rebuilding = true;
  RedisHub filler(filling);
  // It comes first: the empty hub never was open.
  ASSERT_EQ(Ask<ReadLogReply>(filler, ReadLog{.partitions = {0}}), ReadLogReply{});
  const auto fails = [&](Call call) {
    const Reply reply = CallAndWait(people, std::move(call));
    const Failure* failure = std::get_if<Failure>(&reply);
    return failure != nullptr && failure->kind == Failure::Kind::kUnavailable;
  };
  RestoreChat chat;
  chat.record.chat = kChat;
  chat.windows = {{"alice", "phone", {{1, first}}}};
  Ask<Done>(filler, chat);
  const std::string group = GroupChatId("alice", "phone", "group");
  EXPECT_TRUE(fails(MakeSend(2)));
  EXPECT_TRUE(ups.WaitForDown());
  CreateChat create;
  create.chat = group;
  create.creator = "alice";
  create.members = {"alice"};
  create.change = {"<", ">"};
  create.broker = "b1#1";
  EXPECT_TRUE(fails(create));
  EXPECT_TRUE(fails(GetChat{kChat, 0, true}));
  EXPECT_TRUE(fails(UserChats{"alice"}));
  const auto probe = Probe(options);
  EXPECT_EQ(probe.status().code(), Code::kUnavailable);
  EXPECT_NE(probe.status().message().find("filled from the store"), std::string::npos);

  chat.record.last_msg_id = first + 5;
  Ask<Done>(filler, chat);
  std::vector<uint32_t> all;
  for (uint32_t p = 0; p < 64; ++p) all.push_back(p);
  Ask<Done>(filler, Rebuild{all, true});  // it is
  Ask<Done>(filler, Rebuild{all, false});
  const auto epochs = ups.WaitFor(2);
  ASSERT_EQ(epochs.size(), 2u);
  EXPECT_GT(epochs[1], epoch);
  EXPECT_EQ(Ask<SendReply>(people, MakeSend(1)).msg_id, first);
  EXPECT_GT(Ask<SendReply>(people, MakeSend(2)).msg_id, first + 5);
}

int Connect(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

// Stands between a hub and its server, and can keep what one connection sends: a network that
// stalls.
class Relay {
 public:
  Relay(const std::string& path, std::string server) : server_(std::move(server)) {
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
    listen(listener_, 8);
    thread_ = std::thread([this] { Run(); });
  }
  ~Relay() {
    stop_ = true;
    thread_.join();
    for (const Pair& pair : pairs_) Close(pair);
    close(listener_);
  }

  // From now on what the connections of now send is kept.
  void Hold() {
    std::lock_guard lock(mutex_);
    for (Pair& pair : pairs_) pair.held = true;
  }
  // Lets it through. True: the server answered it; false: the server had ended the connection.
  bool Release() {
    std::lock_guard lock(mutex_);
    for (Pair& pair : pairs_) {
      if (!pair.held) continue;
      EXPECT_FALSE(pair.kept.empty());
      if (send(pair.server, pair.kept.data(), pair.kept.size(), MSG_NOSIGNAL) < 0) return false;
      pollfd ready{pair.server, POLLIN, 0};
      EXPECT_EQ(poll(&ready, 1, 10'000), 1);
      char byte;
      return recv(pair.server, &byte, 1, 0) == 1;
    }
    return false;
  }

 private:
  struct Pair {
    int client = -1, server = -1;
    bool held = false;
    std::string kept;
  };
  static void Close(const Pair& pair) {
    if (pair.client >= 0) close(pair.client);
    close(pair.server);
  }
  // Moves what is there from one to the other. False: `from` has ended.
  static bool Move(int from, int to, std::string* kept) {
    char buffer[65536];
    const ssize_t got = recv(from, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    if (kept != nullptr) {
      kept->append(buffer, static_cast<size_t>(got));
      return true;
    }
    return send(to, buffer, static_cast<size_t>(got), MSG_NOSIGNAL) == got;
  }
  void Step(Pair& pair) {
    if (pair.held) {
      if (pair.client < 0 || Move(pair.client, -1, &pair.kept)) return;
      close(pair.client);  // given up by the hub; the server does not hear of it
      pair.client = -1;
    } else if (!Move(pair.client, pair.server, nullptr) ||
               !Move(pair.server, pair.client, nullptr)) {
      Close(pair);
      pair.server = -1;
    }
  }
  void Run() {
    while (!stop_) {
      pollfd incoming{listener_, POLLIN, 0};
      poll(&incoming, 1, 2);
      std::lock_guard lock(mutex_);
      if ((incoming.revents & POLLIN) != 0) {
        pairs_.push_back({accept(listener_, nullptr, nullptr), Connect(server_), false, {}});
      }
      for (Pair& pair : pairs_) Step(pair);
      std::erase_if(pairs_, [](const Pair& pair) { return pair.server < 0; });
    }
  }

  const std::string server_;
  int listener_ = -1;
  std::mutex mutex_;
  std::vector<Pair> pairs_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST(StalledLink, WhatItStillHoldsNeverRunsAfterTheRepeats) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  Relay relay(redis.dir() + "/relay.sock", redis.dir() + "/redis.sock");
  RedisOptions options = redis.options();
  options.unix_path = redis.dir() + "/relay.sock";
  options.silence_ms = 200;
  RedisHub hub(options);
  ASSERT_TRUE(Admit(hub, {"b1#1"}));
  relay.Hold();
  // Goes into the connection that stalls; after the silence it is repeated over another one.
  EXPECT_EQ(Ask<LoginReply>(hub, MakeLogin("alice", 7)).previous_session, 0u);
  EXPECT_EQ(hub.stats().connects, 2u);
  const Logout logout{"alice", "phone", "b1#1", 7, 0};
  EXPECT_EQ(Ask<LogoutReply>(hub, logout), (LogoutReply{true, 0, false}));
  EXPECT_FALSE(relay.Release());
  EXPECT_EQ(Ask<LogoutReply>(hub, logout), (LogoutReply{false, 0, false}));
  const ListSessions list{"b1#1", PartitionOf("alice", options.partitions), "", 9};
  EXPECT_TRUE(Ask<ListSessionsReply>(hub, list).sessions.empty());
}

// The server itself stands still: its unread bytes belong to a connection that the next greeting
// ends.
TEST(StalledLink, AStoppedServerLosesTheOldConnection) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  RedisOptions options = redis.options();
  options.silence_ms = 200;
  Ups ups;
  RedisHub hub(options, ups.Callback());
  ASSERT_EQ(ups.WaitFor(1).size(), 1u);
  kill(redis.pid(), SIGSTOP);
  std::vector<std::thread> callers;
  std::atomic<int> accepted = 0;
  for (uint64_t i = 1; i <= 8; ++i) {
    callers.emplace_back([&, i] {
      Send send = MakeSend(i);
      send.shared[0] = send.own[0] = std::string(10'000, 'x');
      accepted += Ask<SendReply>(hub, send).msg_id != 0;
    });
  }
  // The silence: then a new connection, which the server takes only when it goes on.
  EXPECT_TRUE(ups.WaitForDown());
  kill(redis.pid(), SIGCONT);
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(accepted, 8);
  EXPECT_EQ(ups.WaitFor(2).size(), 2u);
  const std::string clients = redis.Command({"CLIENT", "LIST"});
  size_t idle = 0;
  for (size_t at = 0; (at = clients.find("cmd=fcall", at)) != std::string::npos; ++at) ++idle;
  EXPECT_LE(idle, 1u) << clients;
  const Heads heads{{{"bob", "phone", 1}}, "b1#1"};
  EXPECT_EQ(Ask<HeadsReply>(hub, heads).sessions.at(0).head, 8u);
}

}  // namespace
}  // namespace nightjar::hub
