// What the directed cases share: one hub, short ways to call it, and a few names.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/codec.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"
#include "nightjar/v1/hub.pb.h"
#include "tests/contract/hub/print.h"
#include "tests/contract/hub/world.h"

namespace nightjar::hub {

// So that failed expectations can be read.
inline void PrintTo(const SendReply& r, std::ostream* os) { *os << contract::Print(Reply{r}); }
inline void PrintTo(const ChangeReply& r, std::ostream* os) { *os << contract::Print(Reply{r}); }
inline void PrintTo(const LoginReply& r, std::ostream* os) { *os << contract::Print(Reply{r}); }
inline void PrintTo(const HeadsReply& r, std::ostream* os) { *os << contract::Print(Reply{r}); }
inline void PrintTo(const BeatReply& r, std::ostream* os) { *os << contract::Print(Reply{r}); }
inline void PrintTo(const RelayedEntry& r, std::ostream* os) { *os << contract::Print(Relayed{r}); }
inline void PrintTo(const RelayedMark& r, std::ostream* os) { *os << contract::Print(Relayed{r}); }
inline void PrintTo(const RelayedKick& r, std::ostream* os) { *os << contract::Print(Relayed{r}); }
inline void PrintTo(const RelayedTask& r, std::ostream* os) { *os << contract::Print(Relayed{r}); }
inline void PrintTo(const PresenceState& r, std::ostream* os) {
  *os << contract::Print(Relayed{r});
}
inline void PrintTo(const Delivery& d, std::ostream* os) { *os << d.uid << '@' << d.seq; }

namespace contract {

using Sent = SendReply::Outcome;
using Changed = ChangeReply::Outcome;
using Acked = AckReply::Outcome;
using Standing = HeadsReply::Route;
using Lived = BeatReply::Outcome;

inline const std::string kGroup = GroupChatId("alice", "phone", "group");
inline const std::string kOther = GroupChatId("alice", "phone", "other");
inline const std::string kDirect = DirectChatId("alice", "bob");
inline const BrokerName kB1 = "b1#1", kB2 = "b2#1", kB3 = "b3#1";

class HubTest : public testing::TestWithParam<std::string> {
 protected:
  // Three brokers live, and nobody listens to any relay.
  void SetUp() override { Start({}); }
  void Start(const Bounds& bounds) {
    world_.reset();
    world_ = MakeWorld(GetParam(), bounds);
    names_.partitions = bounds.partitions;
    for (const auto& broker : {kB1, kB2, kB3}) First(broker);
  }

  World& world() { return *world_; }
  Reply Do(const Call& call) { return world_->Do(call); }
  template <typename R>
  R Ask(const Call& call) {
    Reply reply = world_->Do(call);
    if (R* r = std::get_if<R>(&reply)) return std::move(*r);
    ADD_FAILURE() << Print(call) << " was answered by " << Print(reply);
    return R{};
  }

  // ---- brokers and relay
  hub::Beat MakeBeat(const BrokerName& broker, bool may_clear = false) {
    hub::Beat beat;
    beat.broker = broker;
    beat.may_clear = may_clear;
    beat.epoch = Epoch();
    return beat;
  }
  BeatReply Beat(const BrokerName& broker, bool may_clear = false) {
    return Ask<BeatReply>(MakeBeat(broker, may_clear));
  }
  // It begins: among the living after this, and its id's incarnations before are not.
  BeatReply First(const BrokerName& broker) {
    hub::Beat beat = MakeBeat(broker);
    beat.first = true;
    return Ask<BeatReply>(beat);
  }
  void Listen(const std::vector<std::string>& broker_ids) {
    for (const auto& id : broker_ids) world_->Listen(id, 1);
  }
  using Relays = std::map<std::string, std::vector<Relayed>>;
  Relays Told() { return world_->TakeRelayed(); }
  static Relayed Entry(const std::string& entry, std::vector<Delivery> deliveries) {
    return RelayedEntry{entry, std::move(deliveries)};
  }

  // What is recorded of a broker, of all partitions; by element.
  std::vector<SessionRecord> SessionsOf(const BrokerName& broker) {
    std::vector<SessionRecord> all;
    for (const uint32_t p : AllPartitions()) {
      for (auto& s : Ask<ListSessionsReply>(ListSessions{broker, p, "", 1000}).sessions) {
        EXPECT_EQ(P(s.uid), p);
        all.push_back(std::move(s));
      }
    }
    std::sort(all.begin(), all.end(),
              [](auto& a, auto& b) { return SessionElement(a) < SessionElement(b); });
    return all;
  }
  std::vector<uint32_t> AllPartitions() const {
    std::vector<uint32_t> all(names_.partitions);
    std::iota(all.begin(), all.end(), 0U);
    return all;
  }

  static std::vector<std::string> Numbered(const std::string& prefix, int count) {
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i)
      names.push_back(prefix + (i < 10 ? "0" : "") + std::to_string(i));
    return names;
  }

  // A send whose entries name it: shared "<text>|id|", own "own <text>|id|".
  hub::Send MakeSend(const std::string& chat, const std::string& author, uint64_t client_msg_id,
                     const std::string& text = "hello") {
    hub::Send s;
    s.chat = chat;
    s.author = author;
    s.device = "phone";
    s.client_msg_id = client_msg_id;
    s.received_ms = world_->clock();
    s.shared = {text + "|", "|"};
    s.own = {"own " + text + "|", "|"};
    s.broker = kB1;
    if (const auto name = ParseChatId(chat); name && name->direct) {
      s.members = {name->low};
      if (name->high != name->low) s.members.push_back(name->high);
    }
    return s;
  }
  SendReply Send(const std::string& chat, const std::string& author, uint64_t client_msg_id,
                 const std::string& text = "hello") {
    return Ask<SendReply>(MakeSend(chat, author, client_msg_id, text));
  }
  // A group send that knows version and members.
  SendReply SendGroup(const std::string& chat, const std::string& author, uint64_t client_msg_id,
                      const std::string& text = "hello") {
    const auto known = Ask<GetChatReply>(GetChat{chat, 0, true});
    hub::Send s = MakeSend(chat, author, client_msg_id, text);
    s.version = known.record.version;
    if (known.record.member_count <= limits::kInlineMembers) {
      for (const auto& member : known.members) {
        if (member.left == 0) s.members.push_back(member.uid);
      }
    }
    return Ask<SendReply>(s);
  }
  ChangeReply Create(const std::string& chat, const std::vector<std::string>& members) {
    return Ask<ChangeReply>(CreateChat{chat,
                                       members.empty() ? "alice" : members[0],
                                       "phone",
                                       "title",
                                       members,
                                       world_->clock(),
                                       {"created|", "|", "|"},
                                       kB1});
  }
  UpdateChat MakeUpdate(const std::string& chat, const std::string& by, uint64_t version,
                        std::vector<std::string> add = {}, std::vector<std::string> remove = {}) {
    return UpdateChat{chat,
                      by,
                      "phone",
                      version,
                      std::nullopt,
                      std::move(add),
                      std::move(remove),
                      world_->clock(),
                      {"changed|", "|", "|"},
                      kB1};
  }
  LoginReply Login(const std::string& uid, const std::string& device = "phone",
                   const BrokerName& broker = kB1, uint64_t session = 1) {
    return Ask<LoginReply>(hub::Login{uid, device, broker, session, world_->clock(), "", ""});
  }
  LogoutReply Logout(const std::string& uid, const std::string& device = "phone",
                     const BrokerName& broker = kB1, uint64_t session = 1) {
    return Ask<LogoutReply>(hub::Logout{uid, device, broker, session, world_->clock()});
  }
  struct Seen {  // an ack's mark
    std::string chat;
    MsgId id = 0;
    std::vector<std::string> authors = {};
  };
  AckReply Ack(const std::string& uid, uint64_t seq, const std::vector<Seen>& seen = {},
               const std::string& device = "phone", std::optional<uint64_t> epoch = {}) {
    hub::Ack ack{uid, device, epoch.value_or(Epoch()), seq, {}, world_->clock(), kB1};
    for (const Seen& one : seen) ack.marks.push_back({one.chat, one.id, one.authors});
    return Ask<AckReply>(ack);
  }
  ReadInboxReply Inbox(const std::string& uid, uint64_t from = 1) {
    return Ask<ReadInboxReply>(ReadInbox{uid, from, 1000, 1 << 20});
  }
  uint64_t Epoch() { return Ask<InfoReply>(Info{}).epoch; }
  HeadsReply HeadsOf(std::vector<Heads::Of> sessions, const BrokerName& broker = kB1) {
    return Ask<HeadsReply>(Heads{std::move(sessions), broker});
  }
  uint64_t Head(const std::string& uid) { return HeadsOf({{uid, "", 0}}).sessions.at(0).head; }
  uint64_t TakeLease(Role role, const std::string& owner, uint32_t partition, int64_t ttl = 5000) {
    return Ask<LeaseReply>(Lease{role, owner, {partition}, ttl}).tokens.at(0);
  }
  LogSlice ReadAllOf(Log log, uint32_t partition) {
    const auto reply = Ask<ReadLogReply>(ReadLog{log, {partition}, 0, 1000, 1 << 20});
    return reply.slices.empty() ? LogSlice{partition, 0, 0, {}} : reply.slices[0];
  }
  uint32_t P(const std::string& id) { return PartitionOf(id, names_.partitions); }
  v1::FanOutTask TaskAt(const std::string& chat, size_t i) {
    v1::FanOutTask task;
    const auto slice = ReadAllOf(Log::kTasks, P(chat));
    EXPECT_LT(i, slice.records.size());
    if (i < slice.records.size()) {
      EXPECT_TRUE(task.ParseFromString(slice.records[i]));
    }
    return task;
  }
  static hub::Append::Message MessageOf(const v1::FanOutTask& task) {
    return {task.msg_id(), task.author(), task.author_device(), task.shared(), task.own()};
  }
  hub::Append AppendOf(const v1::FanOutTask& task, std::vector<std::string> uids) {
    return {task.chat_id(), {MessageOf(task)}, std::move(uids), kB1};
  }
  // Of one message: who has it now, of the calling broker's.
  std::vector<Delivery> Appended(const hub::Append& append) {
    const auto reply = Ask<AppendReply>(append);
    EXPECT_EQ(reply.deliveries.size(), 1u);
    return reply.deliveries.empty() ? std::vector<Delivery>{} : reply.deliveries[0];
  }
  Hidden::User HiddenUser(const std::string& uid) { return world_->ReadHidden().users[uid]; }
  bool IsDue(const std::string& uid) {
    return world_->ReadHidden().partitions[P(uid)].due.count(uid) > 0;
  }
  std::string DumpAll() { return Dump(*world_, names_); }

  Names names_{{"alice", "bob", "carol", "dave"},
               {"phone", "tablet"},
               {kGroup, kOther, kDirect},
               {kB1, kB2, kB3},
               2};

 private:
  std::unique_ptr<World> world_;
};

// The entry that MakeSend's parts become.
inline std::string Shared(MsgId id, const std::string& text = "hello") {
  return text + "|" + MsgIdBytes(id) + "|";
}
inline std::string Own(MsgId id, const std::string& text = "hello") {
  return "own " + Shared(id, text);
}

}  // namespace contract
}  // namespace nightjar::hub

#define NIGHTJAR_HUB_SUITE(Suite)                                                               \
  INSTANTIATE_TEST_SUITE_P(, Suite, testing::ValuesIn(::nightjar::hub::contract::WorldKinds()), \
                           [](const auto& kind) { return kind.param; })
