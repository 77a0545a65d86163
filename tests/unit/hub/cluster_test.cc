// The hub on a Cluster: real servers, whose slots move and whose masters go.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "common/hub/redis/slot_map.h"
#include "common/hub/redis/testing.h"
#include "common/hub/sync_call.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

constexpr uint32_t kPartitions = 64;
constexpr int kMasters = 3;

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

template <typename T>
bool Poll(T condition) {
  for (int i = 0; i < 4000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

struct Node {
  Node()
      : port(FreePort()),
        bus(FreePort()),
        redis({"--port", std::to_string(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes",
               "--cluster-port", std::to_string(bus), "--cluster-node-timeout", "1000",
               "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"}),
        id(redis.Command({"CLUSTER", "MYID"})) {}
  std::string Say(const std::vector<std::string>& args) const { return redis.Command(args); }
  bool Sees(const std::string& what) const {
    return Say({"CLUSTER", "INFO"}).find(what) != std::string::npos;
  }
  const int port, bus;
  TestRedis redis;
  const std::string id;
};

// Masters, and behind them one replica each if `replicas`.
class TestCluster {
 public:
  explicit TestCluster(bool replicas) : nodes(replicas ? 2 * kMasters : kMasters) {
    for (int i = 0; i < kMasters; ++i) {
      const uint32_t first = kSlots * i / kMasters, end = kSlots * (i + 1) / kMasters;
      nodes[i].Say({"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(end - 1)});
      nodes[i].Say({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
    }
    for (const Node& node : nodes) {
      nodes[0].Say(
          {"CLUSTER", "MEET", "127.0.0.1", std::to_string(node.port), std::to_string(node.bus)});
    }
    const std::string all = "cluster_known_nodes:" + std::to_string(nodes.size());
    ok = Poll([&] {
      return std::all_of(nodes.begin(), nodes.end(),
                         [&](const Node& node) { return node.Sees(all); });
    });
    for (size_t i = kMasters; i < nodes.size(); ++i) {
      ok = ok && Poll([&] {
             return nodes[i].Say({"CLUSTER", "REPLICATE", nodes[i - kMasters].id}) == "OK";
           });
    }
    ok = ok && Poll([&] {
           return std::all_of(nodes.begin(), nodes.end(),
                              [](const Node& node) { return node.Sees("cluster_state:ok"); });
         });
    for (size_t i = kMasters; i < nodes.size(); ++i) {
      const Node& master = nodes[i - kMasters];
      ok = ok && Poll([&] {
             return nodes[i].Say({"ROLE"}).find("connected") != std::string::npos &&
                    master.Say({"WAIT", "1", "1000"}) == "1";
           });
    }
  }
  ~TestCluster() {
    for (Node& node : nodes) {
      if (node.redis.pid() > 0) kill(node.redis.pid(), SIGCONT);
    }
  }

  RedisOptions Options() const {
    RedisOptions options;
    options.cluster = {{"127.0.0.1", nodes[1].port}, {"127.0.0.1", nodes[2].port}};
    if (nodes.size() > kMasters) options.durability = Durability::kReplica;
    options.partitions = kPartitions;
    options.wait_ms = 500;
    options.call_timeout_ms = 20'000;
    return options;
  }
  const Node& MasterOf(uint32_t partition) const {
    const uint32_t slot = SlotOfPartition(partition);
    int i = 0;
    while (slot >= kSlots * (i + 1) / kMasters) ++i;
    return nodes[i];
  }
  const Node& Another(const Node& than) const {
    return nodes[0].id == than.id ? nodes[1] : nodes[0];
  }

  std::vector<std::string> Keys(const Node& from, uint32_t slot) const {
    std::string text = from.Say({"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), "1000"});
    std::vector<std::string> keys;
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      keys.push_back(text.substr(0, end));
      text.erase(0, end + 1);
    }
    return keys;
  }
  void Begin(const Node& from, const Node& to, uint32_t slot) const {
    EXPECT_EQ(to.Say({"CLUSTER", "SETSLOT", std::to_string(slot), "IMPORTING", from.id}), "OK");
    EXPECT_EQ(from.Say({"CLUSTER", "SETSLOT", std::to_string(slot), "MIGRATING", to.id}), "OK");
  }
  void MoveKey(const Node& from, const Node& to, const std::string& key) const {
    EXPECT_EQ(from.Say({"MIGRATE", "127.0.0.1", std::to_string(to.port), key, "0", "5000"}), "OK");
  }
  void End(const Node& from, const Node& to, uint32_t slot) const {
    for (const Node* node : {&to, &from}) {
      EXPECT_EQ(node->Say({"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", to.id}), "OK");
    }
  }

  void Move(const Node& from, const Node& to, uint32_t slot) const {
    Begin(from, to, slot);
    for (const std::string& key : Keys(from, slot)) MoveKey(from, to, key);
    End(from, to, slot);
  }
  // A master with a replica, and no slots.
  const Node& AddMaster() {
    for (int i = 0; i < 2; ++i) nodes.emplace_back();
    const Node &replica = nodes.back(), &master = nodes[nodes.size() - 2];
    const std::string all = "cluster_known_nodes:" + std::to_string(nodes.size());
    for (const Node* node : {&master, &replica}) {
      nodes[0].Say(
          {"CLUSTER", "MEET", "127.0.0.1", std::to_string(node->port), std::to_string(node->bus)});
    }
    ok = Poll([&] {
      return std::all_of(nodes.begin(), nodes.end(),
                         [&](const Node& node) { return node.Sees(all); });
    });
    ok = ok && Poll([&] { return replica.Say({"CLUSTER", "REPLICATE", master.id}) == "OK"; });
    ok = ok && Poll([&] { return master.Sees("cluster_state:ok"); });
    ok = ok && Poll([&] { return master.Say({"WAIT", "1", "1000"}) == "1"; });
    return master;
  }

  std::deque<Node> nodes;  // masters, then their replicas in the same order; added ones in pairs
  bool ok = false;
};

// A user of the partition.
std::string UserOf(uint32_t partition, int which = 0) {
  for (int i = 0;; ++i) {
    const std::string uid = "u" + std::to_string(i);
    if (PartitionOf(uid, kPartitions) == partition && which-- == 0) return uid;
  }
}

Login MakeLogin(const std::string& uid, uint64_t session) {
  Login login;
  login.uid = uid;
  login.device = "phone";
  login.broker = "b1#1";
  login.session = session;
  return login;
}

// Replies in the order in which they come.
class Replies {
 public:
  Callback Next() {
    ++asked_;
    return [this](Reply reply) {
      std::lock_guard lock(mutex_);
      replies_.push_back(std::move(reply));
      changed_.notify_all();
    };
  }
  size_t count() {
    std::lock_guard lock(mutex_);
    return replies_.size();
  }
  std::vector<Reply> All() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [this] { return replies_.size() == asked_; });
    return replies_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t asked_ = 0;
  std::vector<Reply> replies_;
};

// Every login found the one before.
void ExpectInOrder(const std::vector<Reply>& replies) {
  uint64_t before = 0;
  for (const Reply& reply : replies) {
    const auto* in = std::get_if<LoginReply>(&reply);
    const auto* failure = std::get_if<Failure>(&reply);
    ASSERT_NE(in, nullptr) << (failure != nullptr ? failure->message : "");
    EXPECT_EQ(in->previous_session, before);
    ++before;
  }
}

struct Told {
  std::mutex mutex;
  std::vector<bool> states;
  bool partly = false;  // down, but not all of it
  RedisHub::StatusCallback Callback() {
    return [this](const RedisHub::Status& status) {
      std::lock_guard lock(mutex);
      partly = !status.up && status.partly;
      if (states.empty() || states.back() != status.up) states.push_back(status.up);
    };
  }
  std::vector<bool> All() {
    std::lock_guard lock(mutex);
    return states;
  }
  bool Partly() {
    std::lock_guard lock(mutex);
    return partly;
  }
};

TEST(Cluster, EveryPartitionIsServedWhereItsSlotIs) {
  const TestCluster cluster(false);
  ASSERT_TRUE(cluster.ok);
  Told told;
  RedisHub hub(cluster.Options(), told.Callback());
  for (uint32_t p = 0; p < kPartitions; ++p) {
    const Reply reply = CallAndWait(hub, MakeLogin(UserOf(p), 1));
    const auto* in = std::get_if<LoginReply>(&reply);
    ASSERT_NE(in, nullptr) << p
                           << (std::get_if<Failure>(&reply) ? std::get<Failure>(reply).message
                                                            : "");
    EXPECT_NE(in->epoch, 0u);
    const std::string key = "user:{" + std::to_string(p) + "}:" + UserOf(p);
    EXPECT_EQ(cluster.MasterOf(p).Say({"EXISTS", key}), "1") << key;
  }
  ASSERT_TRUE(Poll([&] { return told.All() == std::vector<bool>{true}; }));
  hub.Stop();
  EXPECT_EQ(told.All().size(), 1u);
}

TEST(Cluster, AProbeSaysWhatItIsLike) {
  const TestCluster cluster(false);
  ASSERT_TRUE(cluster.ok);
  const auto probed = Probe(cluster.Options());
  ASSERT_TRUE(probed.ok()) << probed.status().message();
  EXPECT_EQ(probed.value().info.partitions, kPartitions);
  EXPECT_TRUE(probed.value().warnings.empty());

  RedisOptions as_one;
  as_one.port = cluster.nodes[0].port;
  EXPECT_EQ(Probe(as_one).status().code(), Code::kFailedPrecondition);

  const TestRedis alone({"--port", std::to_string(FreePort())});
  RedisOptions as_cluster = cluster.Options();
  as_cluster.cluster = {
      {"127.0.0.1", std::stoi(alone.Command({"CONFIG", "GET", "port"}).substr(5))}};
  EXPECT_EQ(Probe(as_cluster).status().code(), Code::kFailedPrecondition);
}

TEST(Cluster, CallsGoOnInOrderWhereTheirSlotHasGone) {
  const TestCluster cluster(false);
  ASSERT_TRUE(cluster.ok);
  RedisHub hub(cluster.Options());
  const std::string uid = UserOf(5);
  const uint32_t slot = SlotOfPartition(5);
  const Node& from = cluster.MasterOf(5);
  const Node& to = cluster.Another(from);
  Replies replies;
  uint64_t session = 0;
  const auto submit = [&](int count) {
    for (int i = 0; i < count; ++i) hub.Submit(MakeLogin(uid, ++session), replies.Next());
  };
  submit(10);
  ASSERT_TRUE(Poll([&] { return replies.count() == 10; }));
  cluster.Begin(from, to, slot);
  submit(10);  // keys are there and on their way
  for (const std::string& key : cluster.Keys(from, slot)) {
    cluster.MoveKey(from, to, key);
    submit(10);
  }
  // Others are not held up, nor is what comes first of all.
  const Reply other = CallAndWait(hub, MakeLogin(UserOf(6), 1));
  EXPECT_NE(std::get_if<LoginReply>(&other), nullptr);
  EXPECT_EQ(replies.count(), 10u);  // of the one on its way
  cluster.End(from, to, slot);
  submit(10);
  ExpectInOrder(replies.All());
  EXPECT_EQ(to.Say({"EXISTS", "user:{5}:" + uid}), "1");
}

TEST(Cluster, ASlotThatStaysAfterAllIsServedAgain) {
  const TestCluster cluster(false);
  ASSERT_TRUE(cluster.ok);
  RedisHub hub(cluster.Options());
  const std::string uid = UserOf(5);
  const Node& from = cluster.MasterOf(5);
  const Node& to = cluster.Another(from);
  Replies replies;
  hub.Submit(MakeLogin(uid, 1), replies.Next());
  ASSERT_TRUE(Poll([&] { return replies.count() == 1; }));
  cluster.Begin(from, to, SlotOfPartition(5));
  for (uint64_t session = 2; session < 10; ++session) {
    hub.Submit(MakeLogin(uid, session), replies.Next());
  }
  for (const Node* node : {&from, &to}) {
    node->Say({"CLUSTER", "SETSLOT", std::to_string(SlotOfPartition(5)), "STABLE"});
  }
  ExpectInOrder(replies.All());
}

TEST(Cluster, AMasterThatIsAwayHoldsUpItsOwnPartitionsOnly) {
  TestCluster cluster(false);
  ASSERT_TRUE(cluster.ok);
  Told told;
  RedisHub hub(cluster.Options(), told.Callback());
  ASSERT_TRUE(Poll([&] { return !told.All().empty(); }));
  for (const Node& node : cluster.nodes) {
    ASSERT_EQ(node.Say({"CONFIG", "SET", "cluster-require-full-coverage", "no"}), "OK");
  }
  uint32_t away = 0, there = 0;
  while (cluster.MasterOf(away).id != cluster.nodes[1].id) ++away;
  while (cluster.MasterOf(there).id == cluster.nodes[1].id) ++there;
  cluster.nodes[1].redis.Kill();
  Replies late;
  hub.Submit(MakeLogin(UserOf(away), 1), late.Next());
  ASSERT_TRUE(Poll([&] { return told.All() == std::vector<bool>{true, false}; }));
  for (uint64_t session = 1; session < 50; ++session) {
    const Reply reply = CallAndWait(hub, MakeLogin(UserOf(there), session));
    ASSERT_NE(std::get_if<LoginReply>(&reply), nullptr);
  }
  EXPECT_EQ(late.count(), 0u);
  EXPECT_TRUE(told.Partly());
  for (Node& node : cluster.nodes) node.redis.Kill();
  EXPECT_TRUE(Poll([&] { return !told.Partly(); }));
  for (Node& node : cluster.nodes) ASSERT_TRUE(node.redis.Start());
  ExpectInOrder(late.All());
  ASSERT_TRUE(Poll([&] { return told.All() == (std::vector<bool>{true, false, true}); }));
}

TEST(Cluster, ReplicasAreToBeWaitedFor) {
  const TestCluster cluster(true);
  ASSERT_TRUE(cluster.ok);
  RedisOptions options = cluster.Options();
  options.durability = Durability::kFsync;
  const Status refused = Probe(options).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.message().find("durability replica"), std::string::npos) << refused.message();
  EXPECT_TRUE(Probe(cluster.Options()).ok());
}

uint64_t EpochOf(Hub& hub, const std::string& uid, uint64_t session) {
  const Reply reply = CallAndWait(hub, MakeLogin(uid, session));
  const auto* in = std::get_if<LoginReply>(&reply);
  const auto* failure = std::get_if<Failure>(&reply);
  EXPECT_NE(in, nullptr) << (failure != nullptr ? failure->message : "");
  return in != nullptr ? in->epoch : 0;
}

TEST(Cluster, WhatMovesThereAndBackKeepsItsEpoch) {
  const TestCluster cluster(true);
  ASSERT_TRUE(cluster.ok);
  RedisHub hub(cluster.Options());
  const std::string uid = UserOf(5);
  const Node& from = cluster.MasterOf(5);
  const Node& to = cluster.Another(from);
  const uint64_t before = EpochOf(hub, uid, 1);
  cluster.Move(from, to, SlotOfPartition(5));
  EXPECT_EQ(EpochOf(hub, uid, 2), before);
  cluster.Move(to, from, SlotOfPartition(5));
  EXPECT_EQ(EpochOf(hub, uid, 3), before);
}

TEST(Cluster, WhatMovesToAServerThatHadNothingKeepsItsEpoch) {
  TestCluster cluster(true);
  ASSERT_TRUE(cluster.ok);
  RedisHub first(cluster.Options()), second(cluster.Options());
  const std::string uid = UserOf(5), other = UserOf(6);
  const uint64_t before = EpochOf(first, uid, 1), of_other = EpochOf(second, other, 1);
  const Node& fresh = cluster.AddMaster();
  ASSERT_TRUE(cluster.ok);
  cluster.Move(cluster.MasterOf(5), fresh, SlotOfPartition(5));
  EXPECT_EQ(EpochOf(first, uid, 2), before);
  EXPECT_EQ(EpochOf(second, uid, 3), before);
  cluster.Move(cluster.MasterOf(6), fresh, SlotOfPartition(6));
  EXPECT_EQ(EpochOf(second, other, 2), of_other);
  RedisHub late(cluster.Options());  // remembers nothing, and finds the record in order
  EXPECT_EQ(EpochOf(late, uid, 4), before);
  EXPECT_EQ(EpochOf(late, other, 3), of_other);
}

TEST(Cluster, AReplicaThatTakesOverIsTheSameServer) {
  TestCluster cluster(true);
  ASSERT_TRUE(cluster.ok);
  Told told;
  RedisHub hub(cluster.Options(), told.Callback());
  ASSERT_TRUE(Poll([&] { return told.All() == std::vector<bool>{true}; }));
  uint32_t p = 0;
  while (cluster.MasterOf(p).id != cluster.nodes[1].id) ++p;
  const std::string uid = UserOf(p);
  const auto session = [&](uint64_t number) {
    const Reply reply = CallAndWait(hub, MakeLogin(uid, number));
    const auto* in = std::get_if<LoginReply>(&reply);
    const auto* failure = std::get_if<Failure>(&reply);
    EXPECT_NE(in, nullptr) << (failure != nullptr ? failure->message : "");
    return in != nullptr ? *in : LoginReply{};
  };
  const LoginReply before = session(1);
  cluster.nodes[1].redis.Kill();
  ASSERT_TRUE(Poll([&] {
    return cluster.nodes[1 + kMasters].Say({"ROLE"}).find("master") != std::string::npos;
  }));
  cluster.nodes[1].redis.Start();  // as a replica: alone, the new master would take nothing
  const LoginReply after = session(2);
  EXPECT_EQ(after.previous_session, 1u);
  EXPECT_EQ(after.epoch, before.epoch);  // nothing that was told is lost
  ASSERT_TRUE(Poll([&] { return told.All() == (std::vector<bool>{true, false, true}); }));
}

}  // namespace
}  // namespace nightjar::hub
