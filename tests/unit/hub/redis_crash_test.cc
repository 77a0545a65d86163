// Redis killed, upgraded and full, under the hub's feet.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "common/hub/redis/library.h"
#include "common/hub/redis/testing.h"
#include "common/hub/sync_call.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

Send MakeSend(uint64_t client_msg_id) {
  Send send;
  send.chat = "d:alice:bob";
  send.author = "alice";
  send.device = "phone";
  send.client_msg_id = client_msg_id;
  send.shared = {"<", ">" + std::to_string(client_msg_id)};
  send.own = send.shared;
  send.broker = "b1#1";
  return send;
}

Login MakeLogin(const std::string& uid) {
  Login login;
  login.uid = uid;
  login.device = "phone";
  login.broker = "b1#1";
  login.session = 1;
  return login;
}

std::vector<std::string> Inbox(Hub& hub, const std::string& uid) {
  ReadInbox read;
  read.uid = uid;
  read.count = 100'000;
  read.bytes = 100'000'000;
  return std::get<ReadInboxReply>(CallAndWait(hub, read)).entries;
}

// The client id that an entry was made with.
uint64_t NumberOf(const std::string& entry) { return std::stoull(entry.substr(entry.rfind('>') + 1)); }

TEST(RedisCrash, NothingAcceptedIsLostAndEveryCallIsAnsweredOnce) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  RedisHub hub(redis.options());
  ASSERT_TRUE(Admit(hub, {"b1#1"}));
  CallAndWait(hub, MakeLogin("alice"));
  CallAndWait(hub, MakeLogin("bob"));

  std::mutex mutex;
  std::condition_variable changed;
  std::map<uint64_t, MsgId> accepted;
  std::map<uint64_t, int> answers;
  size_t total = 0;
  const auto answered = [&](uint64_t n) {
    return [&, n](Reply reply) {
      std::lock_guard lock(mutex);
      ++answers[n];
      ++total;
      if (const SendReply* send = std::get_if<SendReply>(&reply)) {
        if (send->outcome == SendReply::Outcome::kAccepted ||
            send->outcome == SendReply::Outcome::kRepeat) {
          accepted[n] = send->msg_id;
        }
      }
      changed.notify_all();
    };
  };
  const auto wait_for = [&](size_t count) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(
        changed.wait_for(lock, std::chrono::seconds(30), [&] { return total >= count; }));
  };
  // Sixteen are under way at once, as the protocol allows; Redis dies in the middle, twice.
  constexpr uint64_t kSends = 3000;
  for (uint64_t n = 1; n <= kSends; ++n) {
    hub.Submit(MakeSend(n), answered(n));
    if (n > 16) wait_for(n - 16);
    if (n == 1000 || n == 2000) {
      redis.Kill();
      ASSERT_TRUE(redis.Start()) << redis.error();
    }
  }
  wait_for(kSends);

  EXPECT_EQ(accepted.size(), kSends);
  for (const auto& [n, count] : answers) EXPECT_EQ(count, 1) << n;
  const std::vector<std::string> inbox = Inbox(hub, "bob");
  ASSERT_EQ(inbox.size(), kSends);
  MsgId last = 0;
  for (size_t i = 0; i < inbox.size(); ++i) {
    ASSERT_EQ(NumberOf(inbox[i]), i + 1);
    const MsgId id = MsgIdFromBytes(inbox[i].data() + 1);
    EXPECT_GT(id, last);
    EXPECT_EQ(id, accepted[i + 1]);
    last = id;
  }
  const Reply again = CallAndWait(hub, MakeSend(kSends));
  EXPECT_EQ(std::get<SendReply>(again).outcome, SendReply::Outcome::kRepeat);
  EXPECT_EQ(std::get<SendReply>(again).msg_id, last);
  EXPECT_GE(hub.stats().connects, 3u);
  hub.Stop();
  EXPECT_EQ(hub.stats().calls, 0u);
}

// Answers of a server that stands still come too late for the caller, and are matched all the same.
TEST(RedisCrash, APauseBeyondTheCallsTimeFailsThemOnce) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  RedisOptions options = redis.options();
  options.call_timeout_ms = 300;
  RedisHub hub(options);
  ASSERT_TRUE(std::holds_alternative<LoginReply>(CallAndWait(hub, MakeLogin("alice"))));
  kill(redis.pid(), SIGSTOP);
  const Reply late = CallAndWait(hub, MakeSend(1));
  kill(redis.pid(), SIGCONT);
  ASSERT_TRUE(std::holds_alternative<Failure>(late));
  EXPECT_EQ(std::get<Failure>(late).kind, Failure::Kind::kUnavailable);
  // The reply to the late one is not taken for the next one's.
  EXPECT_TRUE(std::holds_alternative<InfoReply>(CallAndWait(hub, Info{})));
  EXPECT_EQ(std::get<SendReply>(CallAndWait(hub, MakeSend(1))).outcome,
            SendReply::Outcome::kRepeat);
}

TEST(RedisCrash, SilenceMeansReconnecting) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  RedisOptions options = redis.options();
  options.silence_ms = 200;
  options.connect_timeout_ms = 200;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<bool> states;
  RedisHub hub(options, [&](const RedisHub::Status& status) {
    std::lock_guard lock(mutex);
    states.push_back(status.up);
    changed.notify_all();
  });
  const auto wait_for = [&](size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20),
                            [&] { return states.size() >= count; });
  };
  ASSERT_TRUE(wait_for(1));
  kill(redis.pid(), SIGSTOP);
  std::atomic<int> answers = 0;
  Reply reply;
  hub.Submit(MakeLogin("alice"), [&](Reply r) {
    std::lock_guard lock(mutex);
    reply = std::move(r);
    ++answers;
    changed.notify_all();
  });
  EXPECT_TRUE(wait_for(2));
  kill(redis.pid(), SIGCONT);
  EXPECT_TRUE(wait_for(3));
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return answers == 1; }));
    EXPECT_EQ(std::vector<bool>(states.begin(), states.begin() + 3),
              (std::vector<bool>{true, false, true}));
    EXPECT_TRUE(std::holds_alternative<LoginReply>(reply));
  }
}

TEST(RedisStart, AnOlderLibraryIsReplacedANewerKept) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  const auto version = [&] {
    const std::string reply = redis.Command({"FCALL_RO", "nj_version", "0"});
    return reply.substr(0, reply.rfind('\n'));
  };
  const std::string layout = std::to_string(kLayoutVersion) + "\n";
  const std::string ours = layout + std::to_string(kLibraryVersion);
  redis.Command({"FUNCTION", "LOAD", LibraryText(0)});
  EXPECT_EQ(version(), layout + "0");
  ASSERT_TRUE(Probe(redis.options()).ok());
  EXPECT_EQ(version(), ours);
  redis.Command({"FUNCTION", "LOAD", "REPLACE", LibraryText(kLibraryVersion + 1)});
  ASSERT_TRUE(Probe(redis.options()).ok());
  EXPECT_EQ(version(), layout + std::to_string(kLibraryVersion + 1));
}

TEST(RedisStart, AnotherLayoutIsRefused) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  redis.Command({"HSET", "hub:{0}", "layout", "1", "partitions", "64", "epoch", "1"});
  const auto probe = Probe(redis.options());
  ASSERT_FALSE(probe.ok());
  EXPECT_EQ(probe.status().code(), Code::kFailedPrecondition);
}

TEST(RedisStart, KeepsTheHubsOwnPartitionsAndReloadsLostFunctions) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  RedisOptions options = redis.options();
  options.partitions = 16;
  ASSERT_TRUE(Probe(options).ok());
  options.partitions = 64;
  RedisHub hub(options);
  EXPECT_EQ(std::get<InfoReply>(CallAndWait(hub, Info{})).partitions, 16u);
  redis.Command({"FUNCTION", "FLUSH"});
  EXPECT_EQ(std::get<InfoReply>(CallAndWait(hub, Info{})).partitions, 16u);
}

TEST(RedisStart, TellsWhatIsLessThanDurable) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  EXPECT_TRUE(Probe(redis.options()).value().warnings.empty());
  redis.Command({"CONFIG", "SET", "appendfsync", "everysec"});
  redis.Command({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  const auto warnings = Probe(redis.options()).value().warnings;
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_NE(warnings[0].find("appendfsync everysec"), std::string::npos);
}

TEST(RedisStart, AWrongPasswordIsSaid) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  redis.Command({"CONFIG", "SET", "requirepass", "secret"});
  RedisOptions options = redis.options();
  EXPECT_EQ(Probe(options).status().code(), Code::kUnauthenticated);
  options.password = "wrong";
  EXPECT_EQ(Probe(options).status().code(), Code::kUnauthenticated);
  options.password = "secret";
  EXPECT_TRUE(Probe(options).ok());
}

TEST(RedisFull, SendsAreRefusedWhileAcksAndTrimsWork) {
  TestRedis redis;
  ASSERT_TRUE(redis.ok()) << redis.error();
  RedisHub hub(redis.options());
  ASSERT_TRUE(Admit(hub, {"b1#1"}));
  CallAndWait(hub, MakeLogin("alice"));
  CallAndWait(hub, MakeLogin("bob"));
  const MsgId id = std::get<SendReply>(CallAndWait(hub, MakeSend(1))).msg_id;
  Lease lease;
  lease.role = Role::kPersist;
  lease.owner = "p";
  lease.partitions = {PartitionOf("d:alice:bob", 64)};
  const uint64_t token = std::get<LeaseReply>(CallAndWait(hub, lease)).tokens.at(0);

  redis.Command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(std::get<SendReply>(CallAndWait(hub, MakeSend(2))).outcome, SendReply::Outcome::kFull);
  CreateChat create;
  create.chat = GroupChatId("alice", "phone", "r1");
  create.creator = "alice";
  create.members = {"alice", "bob"};
  create.change = {"c"};
  create.broker = "b1#1";
  EXPECT_EQ(std::get<ChangeReply>(CallAndWait(hub, create)).outcome, ChangeReply::Outcome::kFull);
  EXPECT_EQ(std::get<Failure>(CallAndWait(hub, MakeLogin("carol"))).kind, Failure::Kind::kFull);
  // A full hub does not make the brokers look dead.
  EXPECT_TRUE(Admit(hub, {"b1#1", "b2#1"}));
  EXPECT_TRUE(std::holds_alternative<Done>(CallAndWait(hub, Gone{"b2#1"})));

  Ack ack;
  ack.uid = "bob";
  ack.device = "phone";
  ack.epoch = std::get<InfoReply>(CallAndWait(hub, Info{})).epoch;
  ack.seq = 1;
  ack.broker = "b1#1";
  ack.marks = {{"d:alice:bob", id, {"alice"}}};
  const AckReply acked = std::get<AckReply>(CallAndWait(hub, ack));
  EXPECT_EQ(acked.acked, 1u);
  EXPECT_EQ(acked.moved.size(), 1u);
  EXPECT_TRUE(Inbox(hub, "bob").empty());
  TrimLog trim;
  trim.partitions = {{lease.partitions[0], token, 2}};
  EXPECT_EQ(std::get<TrimLogReply>(CallAndWait(hub, trim)).held, std::vector<bool>{true});
  EXPECT_TRUE(std::get<ReadLogReply>(CallAndWait(hub, ReadLog{.partitions = lease.partitions}))
                  .slices.empty());
  Logout logout;
  logout.uid = "bob";
  logout.device = "phone";
  logout.broker = "b1#1";
  logout.session = 1;
  EXPECT_TRUE(std::get<LogoutReply>(CallAndWait(hub, logout)).removed);

  redis.Command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(std::get<SendReply>(CallAndWait(hub, MakeSend(2))).outcome,
            SendReply::Outcome::kAccepted);
}

}  // namespace
}  // namespace nightjar::hub
