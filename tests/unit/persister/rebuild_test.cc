// A hub that has lost everything is filled from the store.
#include "persister/rebuild.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "tests/unit/persister/reader_world.h"

namespace nightjar::persist {
namespace {

using hub::SendReply;
using Sent = SendReply::Outcome;

const std::string kDirect = DirectChatId("alice", "bob");
const std::string kGroup = GroupChatId("alice", "phone", "group");

class RebuildTest : public testing::Test {
 protected:
  template <typename R>
  R Ask(const hub::Call& call) {
    hub::Reply reply = world.hub.Do(call);
    if (R* r = std::get_if<R>(&reply)) return std::move(*r);
    ADD_FAILURE() << "another kind of reply";
    return R{};
  }
  SendReply Say(const std::string& chat, const std::string& author, uint64_t client_msg_id,
                const std::string& device = "phone") {
    v1::Message message;
    message.set_chat_id(chat);
    message.set_author(author);
    message.set_device(device);
    message.set_client_msg_id(client_msg_id);
    message.set_text("text");
    hub::Send send;
    send.chat = chat;
    send.author = author;
    send.device = device;
    send.client_msg_id = client_msg_id;
    send.received_ms = ++world.hub.now_ms;
    send.own = send.shared = MessageTemplate(message);
    send.broker = "b1#1";
    send.by_task = true;
    const auto known = Ask<hub::GetChatReply>(hub::GetChat{chat, 0, false});
    send.version = known.record.version;
    return Ask<SendReply>(send);
  }
  Rebuilder::Options Options() {
    return {.partitions = kReaderPartitions, .now_ms = world.hub.now_ms, .page = 7, .stop = {}};
  }
  Status Rebuild() { return Rebuilder(Options(), world.hub, world.store).Run(); }
  bool Closed() { return !world.hub.fake().state().closed.empty(); }
  // All that people and brokers see of these chats and users.
  struct Seen {
    std::map<std::string, hub::GetChatReply> chats;
    std::map<std::string, hub::GetReceiptsReply> receipts;
    std::map<std::string, hub::UserChatsReply> lists;
    std::map<std::string, std::map<std::string, std::string>> push;
    std::map<std::string, std::map<std::pair<std::string, std::string>, int64_t>> mutes;
    std::map<std::string, std::string> names;
    bool operator==(const Seen&) const = default;
  };
  Seen See() {
    Seen seen;
    for (const auto& chat : {kDirect, kGroup}) {
      auto known = Ask<hub::GetChatReply>(hub::GetChat{chat, 0, true});
      known.record.version = 0;
      seen.chats[chat] = known;
    }
    for (const std::string uid : {"alice", "bob", "carol"}) {
      seen.receipts[uid] = Ask<hub::GetReceiptsReply>(hub::GetReceipts{uid, {kDirect, kGroup}});
      seen.lists[uid] = Ask<hub::UserChatsReply>(hub::UserChats{uid});
      const auto& users = world.hub.fake().state().users;
      if (const auto user = users.find(uid); user != users.end()) {
        seen.push[uid] = user->second.push;
        seen.mutes[uid] = user->second.mutes;
        seen.names[uid] = user->second.name;
      }
    }
    return seen;
  }
  // A chat of two, a group that somebody left, marks, registrations, mutes, names.
  void Live() {
    for (uint64_t c = 1; c <= 20; ++c) {
      said[{kDirect, c}] = Say(kDirect, c % 3 == 0 ? "bob" : "alice", c).msg_id;
    }
    world.Create(kGroup, {"alice", "bob", "carol"});
    for (uint64_t c = 1; c <= 30; ++c) said[{kGroup, c}] = Say(kGroup, "carol", c).msg_id;
    world.Remove(kGroup, "alice", "bob");
    hub::Login login;
    login.uid = "alice";
    login.device = "phone";
    login.session = 1;
    login.broker = "b1#1";
    login.name = "Alice";
    Ask<hub::LoginReply>(login);
    MoveMark(kDirect, "bob", said[{kDirect, 7}]);
    MoveMark(kGroup, "alice", said[{kGroup, 30}]);

    v1::JournalRecord push;
    push.mutable_push()->set_uid("alice");
    push.mutable_push()->set_device("phone");
    push.mutable_push()->set_at_ms(1);
    push.mutable_push()->mutable_registration()->mutable_fcm()->set_token("token");
    Ask<hub::Done>(hub::PutPush{"alice", "phone", push.push().registration().SerializeAsString(),
                                push.SerializeAsString()});
    v1::JournalRecord mute;
    mute.mutable_mute()->set_uid("alice");
    mute.mutable_mute()->set_chat_id(kGroup);
    mute.mutable_mute()->set_until_ms(-1);
    mute.mutable_mute()->set_at_ms(1);
    Ask<hub::Done>(hub::PutMute{"alice", "", kGroup, -1, mute.SerializeAsString()});
    // Everything is fanned out.
    for (uint32_t p = 0; p < kReaderPartitions; ++p) {
      const auto log =
          Ask<hub::ReadLogReply>(hub::ReadLog{hub::Log::kTasks, {p}, 0, 1000, 1 << 20});
      if (log.slices.empty()) continue;
      for (const std::string& bytes : log.slices[0].records) {
        v1::FanOutTask task;
        ASSERT_TRUE(task.ParseFromString(bytes));
        std::vector<std::string> uids;
        for (const auto& member :
             Ask<hub::GetChatReply>(hub::GetChat{task.chat_id(), 0, true}).members) {
          if (member.left == 0 || member.left >= task.msg_id()) uids.push_back(member.uid);
        }
        Ask<hub::AppendReply>(hub::Append{
            task.chat_id(),
            {{task.msg_id(), task.author(), task.author_device(), task.shared(), task.own()}},
            uids,
            "b1#1"});
      }
    }
  }
  void MoveMark(const std::string& chat, const std::string& uid, MsgId id) {
    hub::MoveMark mark;
    mark.chat = chat;
    mark.uid = uid;
    mark.msg_id = id;
    EXPECT_TRUE(Ask<hub::MoveMarkReply>(mark).moved);
  }

  ReaderWorld world;
  std::map<std::pair<std::string, uint64_t>, MsgId> said;
};

TEST_F(RebuildTest, EverythingIsBack) {
  Live();
  world.Persist();
  const Seen before = See();
  const uint64_t epoch = world.hub.fake().state().epoch;
  world.hub.fake().LoseEverything();
  std::vector<Rebuilder::Counts> told;
  Rebuilder rebuilder(Options(), world.hub, world.store,
                      [&](const Rebuilder::Counts& counts) { told.push_back(counts); });
  const Status status = rebuilder.Run();
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(rebuilder.counts().chats, 2u);
  EXPECT_EQ(rebuilder.counts().messages, 50u);
  EXPECT_EQ(rebuilder.counts().users, 3u);
  EXPECT_GE(told.size(), 5u);
  EXPECT_FALSE(Closed());
  EXPECT_GT(world.hub.fake().state().epoch, epoch + 1);
  EXPECT_TRUE(See() == before);
  // Sent again, each has its first id, or is below what a window remembers.
  for (uint64_t c = 30; c >= 15; --c) {
    const auto repeat = Say(kGroup, "carol", c);
    EXPECT_EQ(repeat.outcome, Sent::kRepeat);
    EXPECT_EQ(repeat.msg_id, (said[{kGroup, c}]));
  }
  EXPECT_EQ(Say(kGroup, "carol", 14).outcome, Sent::kBelowWindow);
  world.hub.now_ms -= 3'600'000;  // whatever the clock says
  EXPECT_GT(Say(kGroup, "carol", 31).msg_id, (said[{kGroup, 30}]));
}

TEST_F(RebuildTest, WhenAllMessagesHaveExpiredIdsStillGoOnFromTheLast) {
  Live();
  world.Persist();
  const Seen before = See();
  world.store.Keep({3'600'000, [this] { return world.hub.now_ms.load(); }});
  world.hub.now_ms += 7'200'000;
  ASSERT_TRUE(world.store.History({kDirect, 0, 0, 10})->messages.empty());
  world.hub.fake().LoseEverything();
  ASSERT_TRUE(Rebuild().ok());
  EXPECT_TRUE(See() == before) << "members, marks, titles, newest ids";
  world.hub.now_ms -= 7'200'000 + 60'000;  // a clock that was set back
  EXPECT_GT(Say(kDirect, "alice", 50).msg_id, (said[{kDirect, 20}]));
  EXPECT_GT(Say(kGroup, "carol", 50).msg_id, (said[{kGroup, 30}]));
}

TEST_F(RebuildTest, KilledAtAnyCallAndRunAgain) {
  Live();
  world.Persist();
  const Seen before = See();
  for (int last = 0;; ++last) {
    world.hub.fake().LoseEverything();
    int calls = 0;
    world.hub.after_call = [&](const hub::Call&) { world.hub.away = ++calls > last; };
    const Status status = Rebuild();
    world.hub.after_call = nullptr;
    world.hub.away = false;
    if (status.ok()) {
      EXPECT_GT(last, 10);
      break;
    }
    EXPECT_EQ(status.code(), Code::kUnavailable);
    ASSERT_TRUE(Closed());
    ASSERT_TRUE(Rebuild().ok());
    ASSERT_FALSE(Closed());
    ASSERT_TRUE(See() == before) << "after " << last << " calls";
  }
}

TEST_F(RebuildTest, WhatIsInTheJournalIsStoredFirst) {
  Live();
  const Seen before = See();
  hub::PutPush off{"alice", "tablet", "", ""};
  off.journal = "nonsense";
  Ask<hub::Done>(off);
  v1::JournalRecord bad;
  bad.mutable_message()->set_chat_id("no chat");
  off.journal = bad.SerializeAsString();
  Ask<hub::Done>(off);
  Rebuilder rebuilder(Options(), world.hub, world.store);
  ASSERT_TRUE(rebuilder.Run().ok());
  EXPECT_EQ(rebuilder.counts().bad, 2u);
  EXPECT_EQ(rebuilder.counts().messages, 50u);
  EXPECT_TRUE(See() == before);
  world.hub.fake().LoseEverything();
  ASSERT_TRUE(Rebuild().ok());
  EXPECT_TRUE(See() == before);
}

TEST_F(RebuildTest, PeopleWhoWentOnMeanwhileLoseNothing) {
  Live();
  world.Persist();
  world.hub.fake().LoseEverything();
  const auto anew = Say(kDirect, "alice", 100);
  EXPECT_EQ(anew.outcome, Sent::kAccepted);
  EXPECT_EQ(Say(kGroup, "carol", 31).outcome, Sent::kDenied);
  ASSERT_TRUE(Rebuild().ok());
  const auto chat = Ask<hub::GetChatReply>(hub::GetChat{kDirect, 0, true});
  EXPECT_EQ(chat.record.last_msg_id, anew.msg_id);
  EXPECT_EQ(chat.members.at(0).joined, (said[{kDirect, 1}]));
  EXPECT_EQ(Say(kDirect, "alice", 100).msg_id, anew.msg_id);
  EXPECT_EQ(Say(kDirect, "alice", 20).msg_id, (said[{kDirect, 20}]));
  EXPECT_EQ(Say(kGroup, "carol", 31).outcome, Sent::kAccepted);
}

TEST_F(RebuildTest, ItStopsWhenToldAndLeavesTheHubClosed) {
  Live();
  world.Persist();
  world.hub.fake().LoseEverything();
  auto options = Options();
  int asked = 0;
  options.stop = [&] { return ++asked == 3; };
  EXPECT_EQ(Rebuilder(options, world.hub, world.store).Run().code(), Code::kUnavailable);
  EXPECT_TRUE(Closed());
  world.store.away = true;
  EXPECT_EQ(Rebuild().code(), Code::kUnavailable);
  EXPECT_TRUE(Closed());
  EXPECT_TRUE(Rebuilder(Options(), world.hub, world.store).Open().ok());
  EXPECT_FALSE(Closed());
}

TEST_F(RebuildTest, WhoLeftLongAgoStaysAway) {
  Live();
  world.Persist();
  world.hub.now_ms += hub::kLeftKeptMs + 1000;
  world.hub.fake().LoseEverything();
  ASSERT_TRUE(Rebuild().ok());
  const auto chat = Ask<hub::GetChatReply>(hub::GetChat{kGroup, 0, true});
  ASSERT_EQ(chat.members.size(), 2u);
  EXPECT_EQ(chat.members[1].uid, "carol");
}

TEST_F(RebuildTest, NoRepeatIsTakenForNewWhateverTheDevices) {
  std::mt19937 random(3);
  for (int round = 0; round < 10; ++round) {
    struct One {
      std::string author, device;
      uint64_t client_msg_id;
      MsgId id;
    };
    std::vector<One> all;
    const std::string chat = DirectChatId("a" + std::to_string(round), "b");
    uint64_t next = 1;
    for (int i = 0; i < 300; ++i) {
      One one{"b", "d" + std::to_string(random() % 24), next++, 0};
      const auto sent = Say(chat, one.author, one.client_msg_id, one.device);
      ASSERT_EQ(sent.outcome, Sent::kAccepted);
      one.id = sent.msg_id;
      all.push_back(one);
    }
    world.Persist();
    std::vector<SendReply> before;
    for (const One& one : all) {
      before.push_back(Say(chat, one.author, one.client_msg_id, one.device));
      ASSERT_NE(before.back().outcome, Sent::kAccepted);
    }
    world.hub.fake().LoseEverything();
    ASSERT_TRUE(Rebuild().ok());
    for (size_t i = 0; i < all.size(); ++i) {
      const auto after = Say(chat, all[i].author, all[i].client_msg_id, all[i].device);
      ASSERT_NE(after.outcome, Sent::kAccepted);
      if (before[i].outcome == Sent::kRepeat) {
        ASSERT_EQ(after.outcome, Sent::kRepeat);
      }
      if (after.outcome == Sent::kRepeat) {
        ASSERT_EQ(after.msg_id, all[i].id);
      }
    }
  }
}

TEST_F(RebuildTest, AHubThatLostChatsIsNoticed) {
  EXPECT_EQ(*LostByHub(world.hub, world.store), "");
  Live();
  EXPECT_EQ(*LostByHub(world.hub, world.store), "");
  world.Persist();
  EXPECT_EQ(*LostByHub(world.hub, world.store), "");
  world.hub.fake().LoseEverything();
  EXPECT_NE(*LostByHub(world.hub, world.store), "");
  ASSERT_TRUE(Rebuild().ok());
  EXPECT_EQ(*LostByHub(world.hub, world.store), "");
}

}  // namespace
}  // namespace nightjar::persist
