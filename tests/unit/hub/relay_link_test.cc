// The connection that listens to a broker's relay, on a real Redis that is killed, stands still or
// ends it; and what is told over it by calls of another broker.
#include <gtest/gtest.h>
#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "common/hub/keys.h"
#include "common/hub/redis/relay_link.h"
#include "common/hub/redis/testing.h"
#include "common/hub/sync_call.h"
#include "common/wire/names.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar::hub {
namespace {

constexpr auto kLong = std::chrono::seconds(20);

// What a hub's relay told, in order.
class Heard {
 public:
  RelayHooks Hooks(const std::string& broker_id) {
    return {broker_id, [this](Relayed what) { OnMessage(std::move(what)); },
            [this](bool up) { OnState(up); }, [this](const std::string& line) { OnTrouble(line); }};
  }
  bool WaitForStates(const std::vector<bool>& states) {
    return Wait([&] { return states_ == states; });
  }
  bool WaitForStates(size_t count) {
    return Wait([&] { return states_.size() >= count; });
  }
  std::vector<Relayed> WaitForMessages(size_t count) {
    Wait([&] { return messages_.size() >= count; });
    std::lock_guard lock(mutex_);
    return messages_;
  }
  std::vector<bool> states() {
    std::lock_guard lock(mutex_);
    return states_;
  }
  std::vector<std::string> troubles() {
    std::lock_guard lock(mutex_);
    return troubles_;
  }
  // The hub's thread stays in the next message until Release().
  void Hold() {
    std::lock_guard lock(mutex_);
    held_ = true;
  }
  void Release() {
    std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }

 private:
  template <typename Predicate>
  bool Wait(Predicate predicate) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLong, predicate);
  }
  void OnMessage(Relayed what) {
    std::unique_lock lock(mutex_);
    messages_.push_back(std::move(what));
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
  }
  void OnState(bool up) {
    std::lock_guard lock(mutex_);
    states_.push_back(up);
    changed_.notify_all();
  }
  void OnTrouble(const std::string& line) {
    std::lock_guard lock(mutex_);
    troubles_.push_back(line);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  std::vector<bool> states_;
  std::vector<Relayed> messages_;
  std::vector<std::string> troubles_;
};

std::string TaskMessage(uint32_t partition) {
  v1::Relayed message;
  message.set_task_partition_plus_1(partition + 1);
  return message.SerializeAsString();
}

class RelayLinkTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(redis_.ok()) << redis_.error(); }
  // How many listen.
  std::string Publish(const std::string& message, const std::string& id = "b2") {
    return redis_.Command({"SPUBLISH", keys::Join(keys::kRelay, keys::BrokerTail(7, id)), message});
  }
  template <typename T>
  T Ask(Hub& hub, Call call) {
    Reply reply = CallAndWait(hub, std::move(call));
    if (T* typed = std::get_if<T>(&reply)) return std::move(*typed);
    const Failure* failure = std::get_if<Failure>(&reply);
    ADD_FAILURE() << (failure ? failure->message : "another kind of reply");
    return T{};
  }
  RedisOptions Quick() const {
    RedisOptions options = redis_.options();
    options.ping_ms = 50;
    options.silence_ms = 100;
    options.connect_timeout_ms = 200;
    return options;
  }

  TestRedis redis_;
  Heard heard_;
};

TEST_F(RelayLinkTest, MessagesArriveInOrder) {
  RedisHub hub(redis_.options(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  for (uint32_t p = 0; p < 100; ++p) EXPECT_EQ(Publish(TaskMessage(p)), "1");
  Publish(TaskMessage(7), "b1");  // to another
  EXPECT_EQ(Publish(TaskMessage(100)), "1");
  const auto messages = heard_.WaitForMessages(101);
  ASSERT_EQ(messages.size(), 101u);
  for (uint32_t p = 0; p <= 100; ++p) EXPECT_EQ(messages[p], Relayed(RelayedTask{p}));
  EXPECT_EQ(hub.stats().relay_ups, 1u);
  EXPECT_EQ(hub.stats().relayed, 101u);
}

TEST_F(RelayLinkTest, WhatCannotBeReadIsCountedAndNothingElse) {
  RedisHub hub(redis_.options(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  v1::Relayed uneven;
  uneven.add_uid("alice");
  v1::Relayed nothing_known;
  nothing_known.set_entry("an entry for nobody");
  for (const std::string& bad : {std::string("\xff\xff"), uneven.SerializeAsString(),
                                 nothing_known.SerializeAsString(), std::string("text")}) {
    EXPECT_EQ(Publish(bad), "1");
  }
  EXPECT_EQ(Publish(""), "1");  // whether anybody listens
  EXPECT_EQ(Publish(TaskMessage(3)), "1");
  EXPECT_EQ(heard_.WaitForMessages(1), std::vector<Relayed>{RelayedTask{3}});
  EXPECT_EQ(hub.stats().relay_bad, 4u);
  EXPECT_EQ(heard_.troubles().size(), 1u);
  EXPECT_EQ(heard_.states(), std::vector<bool>{true});
}

TEST_F(RelayLinkTest, AKilledServerIsListenedToAgain) {
  RedisHub hub(redis_.options(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  redis_.Kill();
  ASSERT_TRUE(heard_.WaitForStates({true, false}));
  ASSERT_TRUE(redis_.Start()) << redis_.error();
  ASSERT_TRUE(heard_.WaitForStates({true, false, true}));
  EXPECT_EQ(Publish(TaskMessage(3)), "1");
  EXPECT_EQ(heard_.WaitForMessages(1), std::vector<Relayed>{RelayedTask{3}});
  EXPECT_EQ(heard_.troubles().size(), 1u);
}

TEST_F(RelayLinkTest, AnEndedConnectionIsNoneOfTheCallsBusiness) {
  RedisHub hub(redis_.options(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  Ask<InfoReply>(hub, Info{});
  EXPECT_EQ(redis_.Command({"CLIENT", "KILL", "TYPE", "pubsub"}), "1");
  ASSERT_TRUE(heard_.WaitForStates({true, false, true}));
  Ask<InfoReply>(hub, Info{});
  EXPECT_EQ(hub.stats().connects, 1u);
  EXPECT_EQ(hub.stats().relay_ups, 2u);
}

// Nothing comes, and nothing says that the connection is over.
TEST_F(RelayLinkTest, SilenceIsAskedAndThenGivenUp) {
  RedisHub hub(Quick(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  kill(redis_.pid(), SIGSTOP);
  EXPECT_TRUE(heard_.WaitForStates({true, false}));
  kill(redis_.pid(), SIGCONT);
  EXPECT_TRUE(heard_.WaitForStates({true, false, true}));
}

TEST_F(RelayLinkTest, AnIdleOneStaysUp) {
  RedisHub hub(Quick(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  // Several times ping and silence: the calls' connection, which has the same times, counts them.
  const std::string pings = "cmdstat_ping:calls=";
  for (int count = 0; count < 20;) {
    const std::string stats = redis_.Command({"INFO", "commandstats"});
    const size_t at = stats.find(pings);
    count = at == std::string::npos ? 0 : std::stoi(stats.substr(at + pings.size()));
    usleep(1000);  // as a poll of the server's own count, not to wait for time
  }
  EXPECT_EQ(heard_.states(), std::vector<bool>{true});
}

// Redis ends a subscriber that does not read: that is told like any other end.
TEST_F(RelayLinkTest, AnOverflowOfTheOutputBufferIsADisconnect) {
  redis_.Command({"CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 0 0"});
  RedisHub hub(redis_.options(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  heard_.Hold();
  v1::Relayed big;
  big.set_entry(std::string(100'000, 'x'));
  big.add_uid("alice");
  big.add_seq(1);
  const std::string message = big.SerializeAsString();
  std::string listeners = "1";
  // More than the kernel keeps for a connection that nobody reads (10 MB and more).
  for (int i = 0; i < 1000 && listeners == "1"; ++i) listeners = Publish(message);
  EXPECT_EQ(listeners, "0");
  heard_.Release();
  ASSERT_TRUE(heard_.WaitForStates({true, false, true}));
  EXPECT_EQ(Publish(TaskMessage(3)), "1");
}

TEST_F(RelayLinkTest, ARefusedSubscriptionIsSaidOnceAndTriedAgain) {
  redis_.Command({"ACL", "SETUSER", "broker", "on", ">secret", "~*", "+@all", "resetchannels"});
  RedisOptions options = redis_.options();
  options.user = "broker";
  options.password = "secret";
  options.backoff_first_ms = 1;
  RedisHub hub(options, {}, heard_.Hooks("b2"));
  Ask<InfoReply>(hub, Info{});
  redis_.Command({"ACL", "SETUSER", "broker", "allchannels"});
  ASSERT_TRUE(heard_.WaitForStates({true}));
  ASSERT_LE(heard_.troubles().size(), 1u);
  for (const std::string& line : heard_.troubles()) {
    EXPECT_NE(line.find("NOPERM"), std::string::npos) << line;
  }
}

// The whole way: a message sent at one broker reaches the other's.
TEST_F(RelayLinkTest, ASendAtOneBrokerIsToldToTheOther) {
  RedisHub b1(redis_.options());
  RedisHub b2(redis_.options(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  ASSERT_TRUE(Admit(b1, {"b1#1"}));
  ASSERT_TRUE(Admit(b2, {"b2#1"}));
  Login login;
  login.uid = "bob";
  login.device = "phone";
  login.broker = "b2#1";
  login.session = 5;
  const uint64_t epoch = Ask<LoginReply>(b2, login).epoch;

  Send send;
  send.chat = DirectChatId("alice", "bob");
  send.author = "alice";
  send.device = "phone";
  send.client_msg_id = 1;
  send.shared = send.own = {"<", ">"};
  send.broker = "b1#1";
  const SendReply sent = Ask<SendReply>(b1, send);
  EXPECT_TRUE(sent.deliveries.empty());
  const std::string entry = "<" + MsgIdBytes(sent.msg_id) + ">";
  EXPECT_EQ(heard_.WaitForMessages(1).at(0), Relayed(RelayedEntry{entry, {{"bob", 1}}}));

  // The mark goes the other way round: its author is at b1 by now.
  login = {
      .uid = "alice", .device = "phone", .broker = "b1#1", .session = 1, .name = {}, .email = {}};
  Ask<LoginReply>(b1, login);
  Heard at_b1;
  RedisHub listener(redis_.options(), {}, at_b1.Hooks("b1"));
  ASSERT_TRUE(at_b1.WaitForStates({true}));
  Ack ack;
  ack.uid = "bob";
  ack.device = "phone";
  ack.epoch = epoch;
  ack.seq = 1;
  ack.broker = "b2#1";
  ack.marks = {{send.chat, sent.msg_id, {"alice"}}};
  Ask<AckReply>(b2, ack);
  EXPECT_EQ(at_b1.WaitForMessages(1).at(0),
            Relayed(RelayedMark{"alice", send.chat, "bob", sent.msg_id}));

  // The phone turns up at b1.
  login = {
      .uid = "bob", .device = "phone", .broker = "b1#1", .session = 9, .name = {}, .email = {}};
  EXPECT_EQ(Ask<LoginReply>(b1, login).previous_broker, "b2#1");
  EXPECT_EQ(heard_.WaitForMessages(2).at(1), Relayed(RelayedKick{"bob", "phone", 5, "b2#1"}));
}

// Two processes by one id: the one that lives and listens keeps it; one that has gone does not.
TEST_F(RelayLinkTest, AnIdIsTakenWhileItsOwnerListens) {
  Heard old_heard;
  auto old = std::make_unique<RedisHub>(redis_.options(), RedisHub::StatusCallback{},
                                        old_heard.Hooks("b2"));
  ASSERT_TRUE(old_heard.WaitForStates({true}));
  ASSERT_TRUE(Admit(*old, {"b2#1"}));
  RedisHub next(redis_.options(), {}, heard_.Hooks("b2"));
  ASSERT_TRUE(heard_.WaitForStates({true}));
  const Beat first{.broker = "b2#2", .first = true, .clearing = {}};
  EXPECT_EQ(Ask<BeatReply>(next, first).outcome, BeatReply::Outcome::kTaken);
  old.reset();
  while (redis_.Command({"PUBSUB", "SHARDNUMSUB", "relay:{63}:b2"}) != "relay:{63}:b2\n1") {
  }
  const BeatReply beaten = Ask<BeatReply>(next, first);
  EXPECT_EQ(beaten.outcome, BeatReply::Outcome::kAlive);
  EXPECT_EQ(beaten.brokers, std::vector<BrokerName>{"b2#2"});
  EXPECT_EQ(beaten.clear, std::vector<BrokerName>{"b2#1"});
  // Once more, as after a lost reply.
  EXPECT_EQ(Ask<BeatReply>(next, first).clear, std::vector<BrokerName>{"b2#1"});
  Ask<Done>(next, Gone{"b2#1"});
  EXPECT_TRUE(Ask<BeatReply>(next, first).clear.empty());
}

TEST(RelayedMessages, EveryKindIsRead) {
  v1::Relayed message;
  message.set_entry("e");
  message.add_uid("alice");
  message.add_uid("bob");
  message.add_seq(3);
  message.add_seq(uint64_t{1} << 40);
  EXPECT_EQ(DecodeRelayed(message.SerializeAsString()),
            Relayed(RelayedEntry{"e", {{"alice", 3}, {"bob", uint64_t{1} << 40}}}));
  message.Clear();
  message.set_presence_uid("alice");
  message.set_presence_active_ms(5);
  EXPECT_EQ(DecodeRelayed(message.SerializeAsString()), Relayed(PresenceState{"alice", false, 5}));
  message.Clear();
  message.set_kick_uid("alice");
  EXPECT_FALSE(DecodeRelayed(message.SerializeAsString()));
  message.Clear();
  message.set_mark_author("alice");
  message.set_mark_uid("bob");
  message.set_mark_chat("no chat");
  EXPECT_FALSE(DecodeRelayed(message.SerializeAsString()));
}

}  // namespace
}  // namespace nightjar::hub
