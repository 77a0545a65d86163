// The calls over a real Redis, as far as the contract suite does not compare them with the fake.
#include <gtest/gtest.h>

#include "common/hub/redis/testing.h"
#include "common/hub/sync_call.h"
#include "common/wire/codec.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

constexpr int64_t kClock = 1'700'000'000'000;

class RedisCalls : public testing::Test {
 protected:
  static void SetUpTestSuite() { redis_ = new TestRedis(); }
  static void TearDownTestSuite() { delete redis_; }
  void SetUp() override {
    ASSERT_TRUE(redis_->ok()) << redis_->error();
    redis_->FlushAll(64, kClock);
    hub_ = MakeRedisHubForTest(redis_->options());
    ASSERT_TRUE(Admit(*hub_, {"b1#1"}));
  }

  template <typename T>
  T Ask(Call call) {
    Reply reply = CallAndWait(*hub_, std::move(call));
    if (const Failure* failure = std::get_if<Failure>(&reply)) {
      ADD_FAILURE() << failure->message;
      return T{};
    }
    return std::get<T>(reply);
  }
  Send MakeSend(const std::string& from, const std::string& to, uint64_t client_msg_id) {
    Send send;
    send.chat = DirectChatId(from, to);
    send.author = from;
    send.device = "phone";
    send.client_msg_id = client_msg_id;
    send.received_ms = kClock;
    send.shared = {"shared<", ">" + std::to_string(client_msg_id)};
    send.own = {"own<", ">" + std::to_string(client_msg_id)};
    send.broker = "b1#1";
    return send;
  }
  LoginReply LogIn(const std::string& uid, const std::string& device, uint64_t session) {
    Login login;
    login.uid = uid;
    login.device = device;
    login.broker = "b1#1";
    login.session = session;
    return Ask<LoginReply>(login);
  }

  static TestRedis* redis_;
  std::unique_ptr<RedisHub> hub_;
};
TestRedis* RedisCalls::redis_ = nullptr;

TEST_F(RedisCalls, AMessageTravels) {
  LogIn("alice", "phone", 1);
  LogIn("bob", "phone", 2);
  const SendReply sent = Ask<SendReply>(MakeSend("alice", "bob", 7));
  EXPECT_EQ(sent.outcome, SendReply::Outcome::kAccepted);
  EXPECT_EQ(sent.msg_id, MakeMsgId(kClock, 0));
  EXPECT_EQ(sent.deliveries, (std::vector<Delivery>{{"bob", 1}}));

  const SendReply again = Ask<SendReply>(MakeSend("alice", "bob", 7));
  EXPECT_EQ(again.outcome, SendReply::Outcome::kRepeat);
  EXPECT_EQ(again.msg_id, sent.msg_id);

  const ReadInboxReply inbox = Ask<ReadInboxReply>(ReadInbox{.uid = "bob"});
  EXPECT_EQ(inbox.first, 1u);
  EXPECT_EQ(inbox.head, 1u);
  EXPECT_EQ(inbox.entries, (std::vector<std::string>{"shared<" + MsgIdBytes(sent.msg_id) + ">7"}));

  Ack ack;
  ack.uid = "bob";
  ack.device = "phone";
  ack.epoch = Ask<InfoReply>(Info{}).epoch;
  ack.seq = 1;
  ack.broker = "b1#1";
  ack.marks = {{DirectChatId("alice", "bob"), sent.msg_id, {"alice"}}};
  const AckReply acked = Ask<AckReply>(ack);
  EXPECT_EQ(acked.outcome, AckReply::Outcome::kDone);
  EXPECT_EQ(acked.acked, 1u);
  EXPECT_EQ(acked.moved, (std::vector<AckReply::Moved>{{0, true}}));
  EXPECT_EQ(Ask<AckReply>(ack).moved.size(), 0u);
  EXPECT_TRUE(Ask<ReadInboxReply>(ReadInbox{.uid = "bob"}).entries.empty());

  Lease lease;
  lease.role = Role::kPersist;
  lease.owner = "p1";
  const uint32_t p = PartitionOf(DirectChatId("alice", "bob"), 64);
  lease.partitions = {p};
  const uint64_t token = Ask<LeaseReply>(lease).tokens.at(0);
  EXPECT_EQ(token, static_cast<uint64_t>(kClock));
  const ReadLogReply log = Ask<ReadLogReply>(ReadLog{.partitions = {0, p}});
  ASSERT_EQ(log.slices.size(), p == 0 ? 2u : 1u);
  ASSERT_EQ(log.slices[0].records.size(), 2u);
  EXPECT_EQ(log.slices[0].records[0], "own<" + MsgIdBytes(sent.msg_id) + ">7");
  TrimLog trim;
  trim.partitions = {{p, token, 1}};
  EXPECT_EQ(Ask<TrimLogReply>(trim).held, std::vector<bool>{true});
  const ReadLogReply rest = Ask<ReadLogReply>(ReadLog{.partitions = {p}});
  EXPECT_EQ(rest.slices[0].first, 1u);
  EXPECT_EQ(rest.slices[0].end, 2u);

  Logout logout;
  logout.uid = "bob";
  logout.device = "phone";
  logout.broker = "b1#1";
  logout.session = 2;
  EXPECT_EQ(Ask<LogoutReply>(logout), (LogoutReply{true, 0, false}));
}

// What the contract of a SplitHub rests on: a call of several partitions is caught, by key and by
// what it reads alone.
TEST_F(RedisCalls, CallsOfSeveralPartitionsCanBeMadeToFail) {
  RedisOptions options = redis_->options();
  options.library = OnePartitionOnly(TestLibrary());
  RedisHub hub(options);
  const auto caught = [&](const Call& call) {
    const Reply reply = CallAndWait(hub, call);
    const Failure* failure = std::get_if<Failure>(&reply);
    return failure != nullptr && failure->message.find("touches") != std::string::npos;
  };
  ASSERT_NE(PartitionOf("alice", 64), PartitionOf("bob", 64));
  EXPECT_FALSE(caught(GetPresence{{"alice", "alice"}}));
  EXPECT_TRUE(caught(GetPresence{{"alice", "bob"}}));
  EXPECT_FALSE(caught(Lease{Role::kPersist, "one", {3}, 1000}));
  EXPECT_TRUE(caught(Lease{Role::kPersist, "one", {3, 4}, 1000}));
  Send send = MakeSend("alice", "bob", 1);
  EXPECT_TRUE(caught(send));
  send.client_msg_id = 2;
  send.by_task = true;
  EXPECT_FALSE(caught(send));
}

}  // namespace
}  // namespace nightjar::hub
