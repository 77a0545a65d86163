// People who chat for a while and are silent for a month, on a real Redis with a RocksDB store:
// what Redis keeps of them then does not depend on how much they have said, and comes back to
// what it was by being used.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <future>
#include <map>
#include <numeric>

#include "common/hub/redis/testing.h"
#include "common/hub/sync_call.h"
#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "persister/chat_reader.h"
#include "persister/idle_keeper.h"
#include "persister/rocksdb_store.h"
#include "tests/contract/store/store_under_test.h"

namespace nightjar::persist {
namespace {

constexpr int64_t kStartMs = 1'790'000'000'000;
constexpr int64_t kDay = int64_t{24} * 3600 * 1000;
constexpr uint32_t kPartitions = 8;
constexpr int kUsers = 100;  // each in 2 direct chats and in 2 groups
constexpr int kGroups = 25;  // of 8
constexpr int kSilent = 31;  // days
const std::string kBroker = "b1#1";
const std::string kTitle = "The people who came together in the spring of that year";

// Bytes, by MEMORY USAGE, under the keys that match one of these patterns.
constexpr char kUsage[] = R"lua(
local sum = 0
for i = 1, #ARGV do
  for _, key in ipairs(redis.call('KEYS', ARGV[i])) do
    sum = sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  end
end
return sum)lua";

struct Bytes {
  double user = 0, direct = 0, group = 0;  // one of them, with all of its keys
  double inbox = 0;                        // of `user`
};

class IdleTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(redis_.ok()) << redis_.error();
    redis_.FlushAll(kPartitions, kStartMs);
    hub::RedisOptions options = redis_.options();
    options.partitions = kPartitions;
    hub_ = hub::MakeRedisHubForTest(options);
    ASSERT_TRUE(hub::Admit(*hub_, {kBroker}));
    RocksDbStore::Options where;
    where.dir = temp_.path() + "/store";
    auto store = RocksDbStore::Open(where);
    ASSERT_TRUE(store.ok()) << store.status().message();
    store_ = std::move(store).value();
    partitions_.resize(kPartitions);
    std::iota(partitions_.begin(), partitions_.end(), 0U);
  }

  template <typename R>
  R Ask(hub::Call call) {
    hub::Reply reply = hub::CallAndWait(*hub_, std::move(call));
    if (R* r = std::get_if<R>(&reply)) return std::move(*r);
    const auto* failure = std::get_if<hub::Failure>(&reply);
    ADD_FAILURE() << "another kind of reply " << (failure ? failure->message : "");
    return R{};
  }
  void Pass(int64_t ms) { redis_.SetClock(now_ms_ += ms); }

  static std::string Uid(int i) { return fmt::format("user{:04}", i % kUsers); }
  static std::string Direct(int i, int with) { return DirectChatId(Uid(i), Uid(i + with)); }
  static std::string Group(int g) { return GroupChatId(Uid(g), "phone", fmt::format("g{}", g)); }
  static std::vector<std::string> Members(int g) {
    std::vector<std::string> uids;
    for (int i = 0; i < 8; ++i) uids.push_back(Uid(4 * g + i));
    std::sort(uids.begin(), uids.end());
    return uids;
  }

  void LoginAll() {
    for (int i = 0; i < kUsers; ++i) {
      const hub::Login login{Uid(i),
                             "phone",
                             kBroker,
                             ++session_,
                             now_ms_,
                             "Somebody with a Name",
                             Uid(i) + "@mail.example.org"};
      Ask<hub::LoginReply>(login);
      sessions_[Uid(i)] = session_;
    }
  }
  void LogoutAll() {
    for (int i = 0; i < kUsers; ++i) {
      Ask<hub::LogoutReply>(hub::Logout{Uid(i), "phone", kBroker, sessions_.at(Uid(i)), now_ms_});
    }
  }
  void CreateGroups() {
    for (int g = 0; g < kGroups; ++g) {
      hub::CreateChat create;
      create.chat = Group(g);
      create.members = Members(g);
      create.creator = create.members.front();
      create.device = "phone";
      create.title = kTitle;
      create.received_ms = now_ms_;
      create.broker = kBroker;
      v1::ChatChange change;
      change.set_kind(v1::ChatChange::CREATED);
      change.set_by(create.creator);
      change.mutable_chat()->set_chat_id(create.chat);
      change.mutable_chat()->set_title(kTitle);
      for (const auto& uid : create.members) change.add_added(uid);
      create.change = ChangeTemplate(change);
      EXPECT_EQ(Ask<hub::ChangeReply>(create).outcome, hub::ChangeReply::Outcome::kDone);
    }
  }
  hub::Send MakeSend(const std::string& chat, const std::vector<std::string>& members,
                     const std::string& author, uint64_t client_msg_id) {
    v1::Message message;
    message.set_chat_id(chat);
    message.set_author(author);
    message.set_text(fmt::format("{:0100}", client_msg_id));
    hub::Send send;
    send.shared = MessageTemplate(message);
    message.set_device("phone");
    message.set_client_msg_id(client_msg_id);
    send.own = MessageTemplate(message);
    send.chat = chat;
    send.author = author;
    send.device = "phone";
    send.client_msg_id = client_msg_id;
    send.received_ms = now_ms_;
    send.version = chat[0] == 'g' ? 1 : 0;
    send.members = members;
    send.broker = kBroker;
    return send;
  }
  // `count` messages by everybody in every chat of theirs; nobody acknowledges any.
  void Talk(int count) {
    std::deque<std::future<hub::Reply>> under_way;
    const auto take = [&] {
      const hub::Reply reply = under_way.front().get();
      under_way.pop_front();
      const auto* sent = std::get_if<hub::SendReply>(&reply);
      ASSERT_NE(sent, nullptr);
      ASSERT_EQ(sent->outcome, hub::SendReply::Outcome::kAccepted);
    };
    const auto say = [&](const std::string& chat, std::vector<std::string> members,
                         const std::string& author) {
      auto done = std::make_shared<std::promise<hub::Reply>>();
      under_way.push_back(done->get_future());
      hub_->Submit(MakeSend(chat, members, author, client_msg_id_),
                   [done](hub::Reply reply) { done->set_value(std::move(reply)); });
      ++said_[chat];
      if (under_way.size() > 200) take();
    };
    for (int n = 0; n < count; ++n) {
      ++client_msg_id_;
      Pass(1000);
      for (int i = 0; i < kUsers; ++i) {
        const std::string chat = Direct(i, 1);
        const auto both = ParseChatId(chat)->Members();
        for (const auto& author : both) say(chat, both, author);
      }
      for (int g = 0; g < kGroups; ++g) {
        for (const auto& author : Members(g)) say(Group(g), Members(g), author);
      }
      if (n % 8 == 7) Store();
    }
    while (!under_way.empty()) take();
    Store();
  }
  // What the persister does.
  void Store() {
    const auto lease =
        Ask<hub::LeaseReply>(hub::Lease{hub::Role::kPersist, "test", partitions_, 5000});
    for (;;) {
      hub::ReadLog read;
      read.partitions = partitions_;
      read.count = 1000;
      read.bytes = 8 << 20;
      const auto log = Ask<hub::ReadLogReply>(read);
      if (log.slices.empty()) return;
      hub::TrimLog trim;
      std::vector<v1::JournalRecord> records;
      for (const hub::LogSlice& slice : log.slices) {
        for (const std::string& bytes : slice.records) {
          ASSERT_TRUE(records.emplace_back().ParseFromString(bytes));
        }
        trim.partitions.push_back({slice.partition, lease.tokens.at(slice.partition),
                                   slice.first + slice.records.size()});
      }
      ASSERT_TRUE(store_->Put(records).ok());
      for (const bool held : Ask<hub::TrimLogReply>(trim).held) ASSERT_TRUE(held);
    }
  }
  IdleKeeper::Counters Retire() {
    IdleKeeper keeper({.partitions = kPartitions}, *hub_, *store_);
    for (int64_t mono = 1; keeper.counters().walks == 0 && mono < 3600 * 1000;) {
      mono += keeper.Step({mono, now_ms_}, partitions_);
      EXPECT_TRUE(keeper.failed().ok()) << keeper.failed().message();
    }
    EXPECT_EQ(keeper.counters().walks, 1U);
    return keeper.counters();
  }
  double Usage(const std::vector<std::string>& patterns) {
    std::vector<std::string> command{"EVAL", kUsage, "0"};
    command.insert(command.end(), patterns.begin(), patterns.end());
    return std::stod(redis_.Command(command));
  }
  Bytes Measure(const char* when) {
    Bytes bytes;
    bytes.user = Usage({"user:*", "inbox:*", "chats:*", "push:*", "due:*"}) / kUsers;
    bytes.inbox = Usage({"inbox:*"}) / kUsers;
    bytes.direct = Usage({"chat:*}:d:*"}) / kUsers;
    bytes.group = Usage({"chat:*}:g:*", "members:*", "delivered:*"}) / kGroups;
    const std::string info = redis_.Command({"INFO", "memory"});
    const size_t at = info.find("used_memory:") + 12;
    fmt::print(
        "[ MEASURED ] {}: {:.0f} bytes a user ({:.0f} inbox), {:.0f} a direct chat, {:.0f} a "
        "group; used_memory {}\n",
        when, bytes.user, bytes.inbox, bytes.direct, bytes.group,
        info.substr(at, info.find_first_of("\r\n", at) - at));
    return bytes;
  }

  hub::TestRedis redis_;
  TempDir temp_;
  std::unique_ptr<hub::RedisHub> hub_;
  std::unique_ptr<nightjar::Store> store_;
  std::vector<uint32_t> partitions_;
  std::map<std::string, uint64_t> sessions_;
  std::map<std::string, size_t> said_;
  int64_t now_ms_ = kStartMs;
  uint64_t session_ = 0, client_msg_id_ = 0;
};

TEST_F(IdleTest, RedisKeepsAsMuchOfTheIdleHoweverMuchTheyHaveSaid) {
  CreateGroups();
  LoginAll();
  LogoutAll();
  Talk(20);  // the windows are full
  const Bytes busy = Measure("20 messages each, used");
  Pass(kSilent * kDay);
  const auto went = Retire();
  EXPECT_EQ(went.chats, static_cast<uint64_t>(kGroups));
  EXPECT_GE(went.users, static_cast<uint64_t>(kUsers));  // some more than once
  const Bytes idle = Measure("20 messages each, idle");

  LoginAll();  // every name is back
  LogoutAll();
  Talk(60);
  const Bytes busier = Measure("80 messages each, used");
  Pass(kSilent * kDay);
  Retire();
  const Bytes idler = Measure("80 messages each, idle");

  EXPECT_GT(busy.inbox, 5000);
  EXPECT_GT(busier.inbox, 2 * busy.inbox);
  EXPECT_EQ(idle.inbox, 0);
  EXPECT_EQ(idler.inbox, 0);
  // Numbers get longer, not more.
  EXPECT_LE(idler.user, idle.user * 1.05);
  EXPECT_LE(idler.direct, idle.direct * 1.05);
  EXPECT_LE(idler.group, idle.group * 1.05);
  EXPECT_LE(idler.user, 500);
  EXPECT_LE(idler.direct, 1500);
  EXPECT_LE(idler.group, 5000);

  // First use: title and history are as they were, repeats are known, and everybody is told to
  // read anew.
  ChatReader reader({.partitions = kPartitions}, *hub_, *store_);
  for (const std::string& chat : {Group(3), Direct(3, 1)}) {
    const std::string uid = chat[0] == 'g' ? Members(3)[0] : Uid(3);
    v1::Request open;
    open.mutable_open_chat()->set_chat_id(chat);
    open.mutable_open_chat()->set_limit(1);
    for (int times = 0; times < 2; ++times) {
      const auto view = reader.Answer(uid, open).chat_view();
      EXPECT_EQ(view.chat().title(), chat[0] == 'g' ? kTitle : "");
      EXPECT_EQ(view.chat().member_count(), chat[0] == 'g' ? 8U : 2U);
      EXPECT_EQ(view.messages_size(), 1);
      EXPECT_TRUE(view.more());
      const auto record = Ask<hub::GetChatReply>(hub::GetChat{chat, 0, false}).record;
      EXPECT_FALSE(record.retired);
      EXPECT_EQ(record.title, view.chat().title());
    }
    const auto page = store_->History({chat, 0, 0, 1'000'000});
    ASSERT_TRUE(page.ok());
    EXPECT_EQ(page->messages.size(), said_.at(chat));
    const auto members = chat[0] == 'g' ? Members(3) : ParseChatId(chat)->Members();
    const auto repeat = Ask<hub::SendReply>(MakeSend(chat, members, uid, client_msg_id_));
    EXPECT_EQ(repeat.outcome, hub::SendReply::Outcome::kRepeat);
    EXPECT_EQ(Ask<hub::SendReply>(MakeSend(chat, members, uid, client_msg_id_ + 1)).outcome,
              hub::SendReply::Outcome::kAccepted);
  }
  v1::Request list;
  list.mutable_list_chats();
  const auto chats = reader.Answer(Uid(30), list).chats();
  EXPECT_EQ(chats.chats_size(), 4);
  for (const auto& summary : chats.chats()) {
    EXPECT_EQ(summary.chat().title(), summary.chat().chat_id()[0] == 'g' ? kTitle : "");
    EXPECT_TRUE(summary.has_last_message());
  }
  LoginAll();
  EXPECT_TRUE(
      Ask<hub::LoginReply>(hub::Login{Uid(5), "tablet", kBroker, ++session_, now_ms_, "", ""})
          .resync);
  EXPECT_NE(
      redis_.Command({"EVAL", "return redis.call('HGET', ARGV[1], 'name')", "0",
                      fmt::format("user:{{{}}}:{}", PartitionOf(Uid(5), kPartitions), Uid(5))}),
      "");
}

}  // namespace
}  // namespace nightjar::persist
