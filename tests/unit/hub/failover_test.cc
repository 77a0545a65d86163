// Masters that go, replicas that hang or take over: real servers, and a Sentinel that says what the
// test wants.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "common/hub/redis/testing.h"
#include "common/hub/sync_call.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

const std::string kChat = DirectChatId("alice", "bob");

int Listen(int* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 8) != 0)
    std::abort();
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  *port = ntohs(address.sin_port);
  return fd;
}
int FreePort() {
  int port = 0;
  close(Listen(&port));
  return port;
}

class FakeSentinel {
 public:
  FakeSentinel() : listener_(Listen(&port_)) {
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeSentinel() {
    stop_ = true;
    thread_.join();
    close(listener_);
  }
  int port() const { return port_; }
  std::atomic<int> master = 0;  // its port

 private:
  void Run() {
    while (!stop_) {
      pollfd ready{listener_, POLLIN, 0};
      if (poll(&ready, 1, 5) != 1) continue;
      const int fd = accept(listener_, nullptr, nullptr);
      char buffer[512];
      if (recv(fd, buffer, sizeof buffer, 0) > 0) {
        const std::string port = std::to_string(master);
        const std::string answer =
            "*2\r\n$9\r\n127.0.0.1\r\n$" + std::to_string(port.size()) + "\r\n" + port + "\r\n";
        send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
        recv(fd, buffer, sizeof buffer, 0);  // until it has read it and closes
      }
      close(fd);
    }
  }
  int port_ = 0;
  const int listener_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

template <typename T>
bool Poll(T condition) {
  for (int i = 0; i < 4000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

struct Server {
  explicit Server(int at, std::vector<std::string> more = {})
      : port(at), redis(With(at, std::move(more))) {}
  static std::vector<std::string> With(int at, std::vector<std::string> more) {
    more.insert(more.end(), {"--port", std::to_string(at), "--bind", "127.0.0.1",
                             "--repl-diskless-sync-delay", "0"});
    return more;
  }
  // Its part of the history, and whether it is in contact with its master.
  bool InSync(const Server& master) const {
    const std::string role = redis.Command({"ROLE"}), there = master.redis.Command({"ROLE"});
    return role.find("connected") != std::string::npos &&
           there.find("\n" + std::to_string(port) + "\n") != std::string::npos;
  }
  const int port;
  TestRedis redis;
};

class Failover : public testing::Test {
 protected:
  Failover() : master(FreePort()), first(FreePort(), Of(master)), second(FreePort(), Of(master)) {
    sentinel.master = master.port;
  }
  static std::vector<std::string> Of(const Server& server) {
    return {"--replicaof", "127.0.0.1 " + std::to_string(server.port)};
  }
  void SetUp() override {
    ASSERT_TRUE(Poll([&] { return first.InSync(master) && second.InSync(master); }));
    ASSERT_EQ(master.redis.Command({"WAIT", "2", "5000"}), "2");
  }
  void TearDown() override {
    for (Server* server : {&master, &first, &second}) {
      if (server->redis.pid() > 0) kill(server->redis.pid(), SIGCONT);
    }
  }
  RedisOptions Options() const {
    RedisOptions options;
    options.sentinels = {{"127.0.0.1", sentinel.port()}};
    options.durability = Durability::kReplica;
    options.wait_ms = 300;
    options.call_timeout_ms = 8000;
    return options;
  }
  void Promote(const Server& server, const Server& other) {
    EXPECT_EQ(server.redis.Command({"REPLICAOF", "NO", "ONE"}), "OK");
    other.redis.Command({"REPLICAOF", "127.0.0.1", std::to_string(server.port)});
    sentinel.master = server.port;
  }

  FakeSentinel sentinel;
  Server master, first, second;
};

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

SendReply MustSend(Hub& hub, uint64_t client_msg_id) {
  Reply reply = CallAndWait(hub, MakeSend(client_msg_id));
  if (auto* sent = std::get_if<SendReply>(&reply)) return *sent;
  const Failure* failure = std::get_if<Failure>(&reply);
  ADD_FAILURE() << (failure ? failure->message : "another kind of reply");
  return {};
}
uint64_t Epoch(Hub& hub) {
  Reply reply = CallAndWait(hub, Info{});
  const auto* info = std::get_if<InfoReply>(&reply);
  return info != nullptr ? info->epoch : 0;
}

LoginReply LogIn(Hub& hub) {
  Login login;
  login.uid = "bob";
  login.device = "phone";
  login.broker = "b1#1";
  login.session = 1;
  Reply reply = CallAndWait(hub, login);
  const auto* in = std::get_if<LoginReply>(&reply);
  EXPECT_TRUE(in != nullptr && !in->cleared);
  return in != nullptr ? *in : LoginReply{};
}

TEST_F(Failover, FsyncAloneIsRefused) {
  RedisOptions options = Options();
  options.durability = Durability::kFsync;
  const auto probe = Probe(options);
  ASSERT_FALSE(probe.ok());
  EXPECT_EQ(probe.status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(Poll([&] { return Probe(Options()).ok(); }));  // replicas may be slow once
}

TEST_F(Failover, NothingIsToldThatNoReplicaHas) {
  RedisOptions options = Options();
  options.call_timeout_ms = 1500;
  RedisHub hub(options);
  ASSERT_EQ(MustSend(hub, 1).outcome, SendReply::Outcome::kAccepted);
  kill(first.redis.pid(), SIGSTOP);
  kill(second.redis.pid(), SIGSTOP);
  const Reply reply = CallAndWait(hub, MakeSend(2));
  ASSERT_TRUE(std::holds_alternative<Failure>(reply));
  EXPECT_EQ(std::get<Failure>(reply).kind, Failure::Kind::kUnavailable);
  kill(first.redis.pid(), SIGCONT);
  kill(second.redis.pid(), SIGCONT);
  // It was stored, and is now told; repeated it is the same.
  const SendReply sent = MustSend(hub, 2);
  EXPECT_EQ(sent.outcome, SendReply::Outcome::kRepeat);
  EXPECT_NE(sent.msg_id, 0u);
}

// What another connection wrote and no replica has is not told to a reader either.
TEST_F(Failover, NothingIsReadThatNoReplicaHas) {
  RedisOptions options = Options();
  options.call_timeout_ms = 1500;
  RedisHub reader(options);
  const uint64_t head = std::get<ReadInboxReply>(CallAndWait(reader, ReadInbox{"bob"})).head;
  EXPECT_EQ(head, 0u);
  kill(first.redis.pid(), SIGSTOP);
  kill(second.redis.pid(), SIGSTOP);
  RedisHub writer(master.redis.options());  // durability fsync: does not wait
  MustSend(writer, 1);
  EXPECT_TRUE(std::holds_alternative<Failure>(CallAndWait(reader, ReadInbox{"bob"})));
  kill(first.redis.pid(), SIGCONT);
  kill(second.redis.pid(), SIGCONT);
  EXPECT_EQ(std::get<ReadInboxReply>(CallAndWait(reader, ReadInbox{"bob"})).head, 1u);
}

TEST_F(Failover, OneReplicaThatHangsCostsOneWait) {
  RedisHub hub(Options());
  MustSend(hub, 1);
  kill(second.redis.pid(), SIGSTOP);
  EXPECT_EQ(MustSend(hub, 2).outcome, SendReply::Outcome::kRepeat);  // the first try was given up
  const uint64_t connects = hub.stats().connects;
  for (uint64_t i = 3; i < 50; ++i) {
    EXPECT_EQ(MustSend(hub, i).outcome, SendReply::Outcome::kAccepted);
  }
  EXPECT_EQ(hub.stats().connects, connects);
  kill(second.redis.pid(), SIGCONT);
  MustSend(hub, 50);
  EXPECT_EQ(hub.stats().connects, connects);
}

TEST_F(Failover, APromotedReplicaThatHasEverythingGoesOn) {
  RedisHub hub(Options());
  MsgId last = 0;
  for (uint64_t i = 1; i <= 20; ++i) last = MustSend(hub, i).msg_id;
  const uint64_t epoch = Epoch(hub);
  master.redis.Kill();
  Promote(first, second);
  EXPECT_EQ(Epoch(hub), epoch);
  for (uint64_t i = 10; i <= 20; ++i) {
    EXPECT_EQ(MustSend(hub, i).outcome, SendReply::Outcome::kRepeat) << i;
  }
  EXPECT_GT(MustSend(hub, 21).msg_id, last);
}

TEST_F(Failover, AMasterThatStandsStillIsLeft) {
  RedisHub hub(Options());
  MustSend(hub, 1);
  const uint64_t epoch = Epoch(hub);
  kill(master.redis.pid(), SIGSTOP);
  Promote(first, second);
  EXPECT_EQ(MustSend(hub, 2).outcome, SendReply::Outcome::kAccepted);  // within its 8 s
  EXPECT_EQ(Epoch(hub), epoch);
}

// The replica that is promoted lacks what was told: a hole in everybody's inbox, and numbers that
// will be given again. Nobody may go on as if nothing had been.
TEST_F(Failover, APromotedReplicaThatLacksSomethingRaisesTheEpoch) {
  RedisHub hub(Options());
  MustSend(hub, 1);
  ASSERT_TRUE(Admit(hub, {"b1#1"}));
  EXPECT_FALSE(LogIn(hub).resync);
  const uint64_t epoch = Epoch(hub);
  // Cut off, as by a network: it keeps what it has.
  second.redis.Command({"REPLICAOF", "127.0.0.1", std::to_string(FreePort())});
  MsgId last = 0;
  for (uint64_t i = 2; i <= 20; ++i) last = MustSend(hub, i).msg_id;
  master.redis.Kill();
  Promote(second, first);
  EXPECT_GT(Epoch(hub), epoch);
  EXPECT_GT(MustSend(hub, 21).msg_id, last);
  EXPECT_TRUE(LogIn(hub).resync);
  EXPECT_EQ(LogIn(hub).epoch, Epoch(hub));
  RedisHub other(Options());  // one raise, not one by everybody
  EXPECT_EQ(Epoch(other), Epoch(hub));
}

TEST_F(Failover, ARestartOfTheMasterIsNoPromotion) {
  RedisHub hub(Options());
  MustSend(hub, 1);
  const uint64_t epoch = Epoch(hub);
  master.redis.Kill();
  ASSERT_TRUE(master.redis.Start());
  EXPECT_EQ(MustSend(hub, 1).outcome, SendReply::Outcome::kRepeat);
  EXPECT_EQ(Epoch(hub), epoch);
  ASSERT_TRUE(Probe(Options()).ok());  // who remembers nothing does not raise it either
  EXPECT_EQ(Epoch(hub), epoch);
}

}  // namespace
}  // namespace nightjar::hub
