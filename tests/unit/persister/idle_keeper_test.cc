// What is idle leaves the hub, bit by bit, and comes back by being used.
#include "persister/idle_keeper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "common/wire/limits.h"
#include "common/wire/names.h"
#include "tests/unit/persister/reader_world.h"

namespace nightjar::persist {
namespace {

constexpr int64_t kDay = int64_t{24} * 3600 * 1000;
constexpr int64_t kHour = 3600 * 1000;
const std::string kGroup = GroupChatId("alice", "phone", "group");

class IdleKeeperTest : public testing::Test {
 protected:
  IdleKeeperTest() : all(kReaderPartitions) { std::iota(all.begin(), all.end(), 0U); }
  // Steps through virtual time until a walk has ended, or for so long.
  void Walk(IdleKeeper& keeper, int64_t most_ms = 10 * 60'000) {
    const uint64_t walks = keeper.counters().walks;
    for (int64_t end = mono + most_ms; keeper.counters().walks == walks && mono < end;) {
      const int64_t wait = keeper.Step({mono, world.hub.now_ms}, held.empty() ? all : held);
      if (keeper.counters().walks != walks) return;
      mono += wait;
    }
  }
  IdleKeeper Keeper() {
    return IdleKeeper({.partitions = kReaderPartitions}, world.hub, world.store);
  }
  bool Retired(const std::string& chat) {
    return std::get<hub::GetChatReply>(world.hub.Do(hub::GetChat{chat, 0, false})).record.retired;
  }

  ReaderWorld world;
  std::vector<uint32_t> all, held;
  int64_t mono = 1000;
};

TEST_F(IdleKeeperTest, OnlyWhatIsIdleGoes) {
  const std::string busy = GroupChatId("alice", "phone", "busy");
  world.Create(kGroup, {"alice", "bob"});
  world.Create(busy, {"alice", "bob"});
  world.hub.now_ms += 29 * kDay;
  world.Say("bob", busy);
  world.Persist();
  IdleKeeper keeper = Keeper();
  Walk(keeper);
  EXPECT_FALSE(Retired(kGroup));
  world.hub.now_ms += 2 * kDay;
  Walk(keeper, kDay);
  EXPECT_TRUE(Retired(kGroup));
  EXPECT_FALSE(Retired(busy));
  EXPECT_EQ(keeper.counters().chats, 1U);
  EXPECT_EQ(keeper.counters().walks, 2U);
  EXPECT_EQ(keeper.counters().names, 2U * 4U);
}

TEST_F(IdleKeeperTest, NothingThatAJournalMayStillHave) {
  world.Create(kGroup, {"alice", "bob"});
  world.Persist(1'000'000, false);  // stored, as far as anybody knows not
  world.hub.now_ms += 31 * kDay;
  IdleKeeper keeper = Keeper();
  Walk(keeper);
  EXPECT_EQ(keeper.counters().walks, 1U);
  EXPECT_FALSE(Retired(kGroup));
  // What comes while it waits does not matter.
  mono += 6 * kHour;
  for (int i = 0; i < 5; ++i) mono += keeper.Step({mono, world.hub.now_ms}, all);
  world.Persist();
  world.Say("alice", kGroup, "again");
  world.Say("alice", GroupChatId("bob", "phone", "none"));
  Walk(keeper);
  EXPECT_EQ(keeper.counters().walks, 2U);
  EXPECT_FALSE(Retired(kGroup));  // used again
  EXPECT_EQ(keeper.failed().code(), Code::kOk);
}

TEST_F(IdleKeeperTest, ABusyJournalHoldsNothingUp) {
  world.Create(kGroup, {"alice", "bob"});
  world.Persist();
  world.hub.now_ms += 31 * kDay;
  IdleKeeper keeper = Keeper();
  for (int i = 0; i < 200 && keeper.counters().walks == 0; ++i) {
    world.Persist();
    for (int k = 0; k < 20; ++k) world.Say("alice", DirectChatId("alice", "u" + std::to_string(k)));
    mono += keeper.Step({mono, world.hub.now_ms}, all);
  }
  EXPECT_EQ(keeper.counters().walks, 1U);
  EXPECT_TRUE(Retired(kGroup));
}

TEST_F(IdleKeeperTest, OthersPartitionsAreTheirs) {
  world.Create(kGroup, {"alice", "bob"});
  world.Persist();
  world.hub.now_ms += 31 * kDay;
  const uint32_t its = PartitionOf(kGroup, kReaderPartitions);
  held = {(its + 1) % kReaderPartitions};
  IdleKeeper keeper = Keeper();
  Walk(keeper);
  EXPECT_FALSE(Retired(kGroup));
  held = {its};
  Walk(keeper, kDay);
  EXPECT_TRUE(Retired(kGroup));
}

TEST_F(IdleKeeperTest, ManyEntriesInManySteps) {
  const std::string chat = DirectChatId("alice", "bob");
  const uint32_t sent = 2 * hub::kRetireEntries + 5;
  for (uint32_t i = 0; i < sent; ++i) ASSERT_NE(world.Say("alice", chat), 0U);
  world.Persist();
  world.hub.now_ms += 31 * kDay;
  IdleKeeper keeper = Keeper();
  Walk(keeper);
  EXPECT_GE(keeper.counters().entries, sent);
  EXPECT_TRUE(world.hub.fake().state().users.at("bob").inbox.empty());
}

TEST_F(IdleKeeperTest, SoManyNamesASecond) {
  for (int i = 0; i < 1000; ++i) world.Say("alice", DirectChatId("alice", "u" + std::to_string(i)));
  world.Persist();
  IdleKeeper keeper = Keeper();
  const int64_t begin = mono;
  Walk(keeper);
  EXPECT_EQ(keeper.counters().names, 1000U + 1001U);
  EXPECT_GE(mono - begin, 1900 - 256);
  EXPECT_LE(mono - begin, 4000);
  // And then it rests.
  EXPECT_GT(keeper.Step({mono, world.hub.now_ms}, all), 5 * kHour);
}

TEST_F(IdleKeeperTest, WhatIsAwayIsWaitedFor) {
  world.Create(kGroup, {"alice", "bob"});
  world.Persist();
  world.hub.now_ms += 31 * kDay;
  world.hub.away = true;
  IdleKeeper keeper = Keeper();
  Walk(keeper, kHour);
  EXPECT_EQ(keeper.counters().walks, 0U);
  EXPECT_EQ(keeper.failed().code(), Code::kUnavailable);
  world.hub.away = false;
  Walk(keeper);
  EXPECT_TRUE(Retired(kGroup));
  EXPECT_TRUE(keeper.failed().ok());
}

TEST_F(IdleKeeperTest, FirstUseBringsItBack) {
  world.Create(kGroup, {"alice", "bob"});
  const MsgId said = world.Say("bob", kGroup, "hello");
  world.Persist();
  world.hub.now_ms += 31 * kDay;
  IdleKeeper keeper = Keeper();
  Walk(keeper);
  ASSERT_TRUE(Retired(kGroup));
  EXPECT_TRUE(world.Ask("mallory", "open_chat { chat_id: '" + kGroup + "' }").has_error());
  EXPECT_TRUE(Retired(kGroup)) << "not for those who may not see it";

  const auto list = world.Ask("bob", "list_chats {}").chats();
  ASSERT_EQ(list.chats_size(), 1);
  EXPECT_EQ(list.chats(0).chat().title(), "title");
  EXPECT_EQ(list.chats(0).last_message().msg_id(), said);
  EXPECT_FALSE(Retired(kGroup));

  Walk(keeper, kDay);
  ASSERT_TRUE(Retired(kGroup));
  const auto view = world.Ask("alice", "open_chat { chat_id: '" + kGroup + "' }").chat_view();
  EXPECT_EQ(view.chat().title(), "title");
  EXPECT_EQ(view.chat().member_count(), 2U);
  EXPECT_EQ(view.chat().created_by(), "alice");
  EXPECT_EQ(Ids(view.messages()), std::vector<MsgId>{said});
  EXPECT_FALSE(Retired(kGroup));
}

}  // namespace
}  // namespace nightjar::persist
