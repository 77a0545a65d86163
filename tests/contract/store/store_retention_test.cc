// Messages expire: what that takes away, and what it must leave, asked of each store.
#include <gtest/gtest.h>

#include <random>

#include "persister/retention.h"
#include "persister/rocksdb_store.h"
#include "tests/contract/store/store_suite.h"

namespace nightjar {
namespace {

class StoreRetention : public StoreSuite {
 protected:
  // Nothing: as it is.
  void Reopen(std::optional<int64_t> keep_days) {
    Retention retention;
    if (keep_days) retention.keep_ms = *keep_days * kDayMs;
    retention.unix_ms = [this] { return now_ms_; };
    under_test().Reopen(retention);
  }
  void Compact() { under_test().Compact(); }
  // Of an entry that was so old when the test began. HBase goes by the time of the machine.
  MsgId Aged(double days) const {
    return MakeMsgId(begun_ms_ - static_cast<int64_t>(days * static_cast<double>(kDayMs)), 3);
  }
  void PassDays(double days) {
    now_ms_ += static_cast<int64_t>(days * static_cast<double>(kDayMs));
  }
  StoredChat Chat(const char* id) {
    const auto chat = store().ReadChat(id);
    EXPECT_TRUE(chat.ok() && chat.value());
    return chat.ok() && chat.value() ? **chat : StoredChat();
  }

 private:
  const int64_t begun_ms_ = SystemNow().unix_ms;
  int64_t now_ms_ = begun_ms_;
};

TEST_P(StoreRetention, WhatHasExpiredIsNotShownNorCounted) {
  std::vector<v1::JournalRecord> records;
  for (const double age : {9.0, 5.0, 4.0, 2.0, 1.0}) {
    records.push_back(MessageRecord(kDirect, Aged(age), "alice"));
  }
  Put(records);
  EXPECT_EQ(store().OldestKept(), 0u);
  EXPECT_EQ(Ids(0, 0, 10).size(), 5u);
  Reopen(3);
  EXPECT_GT(store().OldestKept(), Aged(4));
  EXPECT_LT(store().OldestKept(), Aged(2));
  const std::vector<MsgId> kept = {Aged(2), Aged(1)};
  for (int i = 0; i < 2; ++i) {
    bool more = true;
    EXPECT_EQ(Ids(0, 0, 2, &more), kept);
    EXPECT_FALSE(more) << "nothing is left to page back to";
    EXPECT_EQ(Ids(0, 1, 2, &more), kept);
    EXPECT_FALSE(more);
    EXPECT_EQ(Ids(0, Aged(9), 1, &more), std::vector<MsgId>{Aged(2)});
    EXPECT_TRUE(more);
    EXPECT_EQ(Ids(0, 0, 1, &more), std::vector<MsgId>{Aged(1)});
    EXPECT_TRUE(more);
    EXPECT_EQ(Ids(Aged(1), 0, 10, &more), std::vector<MsgId>{Aged(2)});
    EXPECT_FALSE(more);
    EXPECT_EQ(Ids(Aged(2), 0, 10, &more), std::vector<MsgId>{});
    EXPECT_FALSE(more);
    EXPECT_EQ(Ids(Aged(4), Aged(9), 10, &more), std::vector<MsgId>{});
    EXPECT_FALSE(more);
    Compact();
  }
  // Time passes under an open store, and the store knows by itself what it was told.
  PassDays(1.5);
  EXPECT_EQ(Ids(0, 0, 10), std::vector<MsgId>{Aged(1)});
  Reopen({});
  EXPECT_EQ(Ids(0, 0, 10), std::vector<MsgId>{Aged(1)});
  // What comes late, and too late.
  Put({MessageRecord(kDirect, Aged(0.5), "bob"), MessageRecord(kDirect, Aged(8), "bob")});
  EXPECT_EQ(Ids(0, 0, 10), (std::vector<MsgId>{Aged(1), Aged(0.5)}));
  EXPECT_EQ((*store().Newest({{kDirect, Aged(4)}}))[0]->msg_id(), Aged(0.5)) << "a stale guess";
}

TEST_P(StoreRetention, ItCanBeTakenBack) {
  Put({MessageRecord(kDirect, Aged(2), "alice"), MessageRecord(kDirect, Aged(0.1), "alice")});
  Reopen(1);
  EXPECT_EQ(Ids(0, 0, 10).size(), 1u);
  Reopen(0);
  EXPECT_EQ(store().OldestKept(), 0u);
  PassDays(10'000);
  Put({MessageRecord(kDirect, Aged(0.05), "alice")});
  EXPECT_EQ(Ids(0, Aged(1), 10), (std::vector<MsgId>{Aged(0.1), Aged(0.05)}));
}

// What a rebuild goes by: ids must not go back, nobody may drop out, no mark may fall.
TEST_P(StoreRetention, AChatOutlivesItsMessages) {
  Put({MessageRecord(kDirect, Aged(9), "alice"), MessageRecord(kDirect, Aged(8), "bob"),
       MarkRecord(kDirect, "alice", Aged(8)),
       ChangeRecord(kGroup, Aged(7), v1::ChatChange::CREATED, {"alice", "carol"}, {}),
       MessageRecord(kGroup, Aged(6), "alice"), MessageRecord(kGroup, Aged(5.5), "carol"),
       ChangeRecord(kGroup, Aged(5), v1::ChatChange::MEMBERS_CHANGED, {}, {"carol"})});
  const StoredChat direct = Chat(kDirect);
  const StoredChat group = Chat(kGroup);
  const auto check = [&] {
    EXPECT_TRUE(Ids(0, 0, 10).empty());
    EXPECT_TRUE(store().History({kGroup, 0, 0, 10})->messages.empty());
    const auto newest = store().Newest({{kDirect, Aged(8)}, {kDirect, Aged(9)}, {kGroup, 0}});
    ASSERT_TRUE(newest.ok());
    for (const auto& message : *newest) EXPECT_FALSE(message);
    EXPECT_EQ(Chat(kDirect).last_msg_id, Aged(8));
    EXPECT_EQ(Chat(kDirect).members, direct.members);
    EXPECT_EQ(Chat(kDirect).delivered, direct.delivered);
    EXPECT_EQ(Chat(kDirect).created_by, "alice");
    EXPECT_EQ(Chat(kDirect).created_ms, direct.created_ms);
    EXPECT_EQ(Chat(kGroup).last_msg_id, Aged(5));
    EXPECT_EQ(Chat(kGroup).members, group.members);
    using Chats = std::vector<std::pair<std::string, MsgId>>;
    EXPECT_EQ(*store().ChatsOf("alice"), (Chats{{kDirect, Aged(8)}, {kGroup, Aged(5)}}));
    EXPECT_EQ(*store().ChatsOf("carol"), (Chats{{kGroup, Aged(5)}}));
    EXPECT_EQ(store().Names(Store::Named::kChats, "", 10)->names.size(), 2u);
  };
  Reopen(3);
  check();
  Compact();
  check();
  // Stored once more by a persister that died before it had trimmed.
  Put({MessageRecord(kDirect, Aged(9), "alice"), MarkRecord(kDirect, "alice", Aged(9))});
  Compact();
  Reopen({});
  check();
  Put({MessageRecord(kDirect, Aged(1), "alice")});
  EXPECT_EQ(Ids(0, 0, 10), std::vector<MsgId>{Aged(1)});
  EXPECT_EQ(Chat(kDirect).last_msg_id, Aged(1));
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreRetention, AllStores(), NameOfStore);

// ---- RocksDB: what is left in the files --------------------------------------------------------

class Expiring : public testing::Test {
 protected:
  static constexpr int64_t kBegin = 1'800'000'000'000;

  void Open(int64_t keep_ms) {
    store_.reset();
    RocksDbStore::Options options;
    options.dir = dir_.path() + "/store";
    options.write_buffer_bytes = 256 << 10;  // several files
    options.retention = {keep_ms, [this] { return now_ms_; }};
    auto opened = RocksDbStore::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(opened).value();
  }
  size_t Count(const std::string& chat) {
    return store_->History({chat, 0, 0, 100'000})->messages.size();
  }

  TempDir dir_;
  int64_t now_ms_ = kBegin;
  std::unique_ptr<RocksDbStore> store_;
};

TEST_F(Expiring, CompactionTakesThemOffTheDiskForGood) {
  Open(kDayMs);
  // Chats that end at different times, written in no order, with compactions in between.
  std::map<std::string, std::vector<MsgId>> written;
  std::vector<v1::JournalRecord> all;
  for (int c = 0; c < 20; ++c) {
    const std::string chat = "d:a:u" + std::to_string(c);
    for (int i = 0; i < 200; ++i) {
      const MsgId id = MakeMsgId(kBegin + c * kDayMs / 2 + i * 60'000, 1);
      written[chat].push_back(id);
      all.push_back(MessageRecord(chat, id, "a", std::string(200, 'x')));
    }
  }
  std::shuffle(all.begin(), all.end(), std::mt19937(7));
  for (size_t i = 0; i < all.size(); i += 500) {
    ASSERT_TRUE(
        store_
            ->Put({all.begin() + static_cast<std::ptrdiff_t>(i),
                   all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), i + 500))})
            .ok());
    now_ms_ = kBegin + static_cast<int64_t>(i) * kDayMs / 1000;
    if (i % 1500 == 0) {
      ASSERT_TRUE(store_->Compact().ok());
    }
  }
  now_ms_ = kBegin + 6 * kDayMs;
  ASSERT_TRUE(store_->Compact().ok());
  const MsgId oldest = MakeMsgId(now_ms_ - kDayMs, 0);
  Open(0);  // hides nothing
  for (const auto& [chat, ids] : written) {
    const size_t kept = static_cast<size_t>(
        std::count_if(ids.begin(), ids.end(), [&](MsgId id) { return id >= oldest; }));
    EXPECT_EQ(Count(chat), kept) << chat;
    EXPECT_EQ((*store_->ReadChat(chat))->last_msg_id, ids.back()) << chat;
  }
  EXPECT_EQ(Count("d:a:u0"), 0u);
  EXPECT_EQ(Count("d:a:u19"), 200u);
}

TEST_F(Expiring, NothingGoesWhereNothingExpires) {
  Open(0);
  ASSERT_TRUE(store_->Put({MessageRecord(kDirect, MakeMsgId(1'000, 0), "alice")}).ok());
  ASSERT_TRUE(store_->Compact().ok());
  EXPECT_EQ(Count(kDirect), 1u);
}

}  // namespace
}  // namespace nightjar
