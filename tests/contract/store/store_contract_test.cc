// What every store must do, asked of each.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/contract/store/store_suite.h"

namespace nightjar {
namespace {

class StoreContract : public StoreSuite {
 protected:
  void Reopen() { under_test().Reopen(); }
  void PutTen() {
    std::vector<v1::JournalRecord> records;
    for (MsgId id = 10; id <= 100; id += 10) records.push_back(MessageRecord(kDirect, id, "alice"));
    Put(records);
  }
};

TEST_P(StoreContract, NothingIsThereAtFirst) {
  EXPECT_FALSE(store().ReadChat(kDirect)->has_value());
  EXPECT_TRUE(store().History({kDirect, 0, 0, 10})->messages.empty());
  EXPECT_TRUE(store().ChatsOf("alice")->empty());
  EXPECT_TRUE(store().ReadUser("alice")->name.empty());
  Put({});
}

TEST_P(StoreContract, AMessageComesBackWhole) {
  v1::JournalRecord record = MessageRecord(kDirect, MakeMsgId(1'700'000'000'000, 3), "alice");
  record.mutable_message()->set_text(std::string(16 * 1024, 'x') + "\xc3\xa4");
  record.mutable_message()->set_content_url("https://example.org/a");
  record.mutable_message()->set_content_type("image/png");
  Put({record});
  const auto page = store().History({kDirect, 0, 0, 10});
  ASSERT_EQ(page->messages.size(), 1u);
  EXPECT_EQ(page->messages[0].SerializeAsString(), record.message().SerializeAsString());
  EXPECT_FALSE(page->more);
}

TEST_P(StoreContract, NewestBeforeAnId) {
  PutTen();
  bool more = false;
  EXPECT_EQ(Ids(0, 0, 3, &more), (std::vector<MsgId>{80, 90, 100}));
  EXPECT_TRUE(more);
  EXPECT_EQ(Ids(80, 0, 3, &more), (std::vector<MsgId>{50, 60, 70}));
  EXPECT_TRUE(more);
  EXPECT_EQ(Ids(85, 0, 8, &more), (std::vector<MsgId>{10, 20, 30, 40, 50, 60, 70, 80}));
  EXPECT_FALSE(more);
  EXPECT_EQ(Ids(10, 0, 3, &more), std::vector<MsgId>{});
  EXPECT_FALSE(more);
  EXPECT_EQ(Ids(1, 0, 3), std::vector<MsgId>{});
}

TEST_P(StoreContract, OldestAfterAnId) {
  PutTen();
  bool more = false;
  EXPECT_EQ(Ids(0, 20, 3, &more), (std::vector<MsgId>{30, 40, 50}));
  EXPECT_TRUE(more);
  EXPECT_EQ(Ids(0, 25, 100, &more), (std::vector<MsgId>{30, 40, 50, 60, 70, 80, 90, 100}));
  EXPECT_FALSE(more);
  EXPECT_EQ(Ids(0, 1, 2, &more), (std::vector<MsgId>{10, 20}));
  EXPECT_EQ(Ids(0, 100, 2, &more), std::vector<MsgId>{});
  EXPECT_FALSE(more);
  EXPECT_EQ(Ids(0, 1'000'000, 2), std::vector<MsgId>{});
}

TEST_P(StoreContract, BetweenTwoIdsTheNewest) {
  PutTen();
  bool more = false;
  EXPECT_EQ(Ids(90, 20, 3, &more), (std::vector<MsgId>{60, 70, 80}));
  EXPECT_TRUE(more);
  EXPECT_EQ(Ids(50, 20, 3, &more), (std::vector<MsgId>{30, 40}));
  EXPECT_FALSE(more);
  EXPECT_EQ(Ids(20, 50, 3), std::vector<MsgId>{});
}

TEST_P(StoreContract, TheNewestOfManyChatsAtOnce) {
  PutTen();
  Put({MessageRecord("d:a:b", 5, "a", "five"), MessageRecord("d:a:c", 7, "a", "seven"),
       ChangeRecord(kGroup, 3, v1::ChatChange::CREATED, {"a", "b"}, {})});
  // Guessed right, too old but there, not there, none; a chat of changes only, and one of nothing.
  const std::vector<Store::NewestOf> asked = {{kDirect, 100}, {kDirect, 90}, {"d:a:b", 6},
                                              {"d:a:c", 0},   {kGroup, 3},   {"d:a:d", 0}};
  const auto newest = store().Newest(asked);
  ASSERT_TRUE(newest.ok()) << newest.status().message();
  std::vector<MsgId> ids;
  for (const auto& message : *newest) ids.push_back(message ? message->msg_id() : 0);
  EXPECT_EQ(ids, (std::vector<MsgId>{100, 90, 5, 7, 0, 0}));
  EXPECT_EQ((*newest)[2]->text(), "five");
  EXPECT_TRUE(store().Newest({})->empty());
}

TEST_P(StoreContract, ChatsDoNotRunIntoEachOther) {
  // Ids of which one begins with the other.
  Put({MessageRecord("d:a:b", 5, "a", "one"), MessageRecord("d:a:bb", 6, "a", "two"),
       MessageRecord("d:a:b.", 7, "a", "three"), MarkRecord("d:a:bb", "bb", 6)});
  EXPECT_EQ(store().History({"d:a:b", 0, 0, 10})->messages.size(), 1u);
  EXPECT_EQ(store().History({"d:a:b", 0, 1, 10})->messages.size(), 1u);
  EXPECT_TRUE((*store().ReadChat("d:a:b"))->delivered.empty());
  EXPECT_EQ(store().ChatsOf("b")->size(), 1u);
  EXPECT_EQ(store().ChatsOf("a")->size(), 3u);
}

TEST_P(StoreContract, ADirectChatIsMadeByItsFirstMessageInWhateverOrder) {
  const MsgId first = MakeMsgId(5'000, 0);
  const MsgId second = MakeMsgId(6'000, 0);
  Put({MessageRecord(kDirect, second, "bob")});
  EXPECT_EQ((*store().ReadChat(kDirect))->created_by, "bob");
  Put({MessageRecord(kDirect, first, "alice")});
  const auto chat = store().ReadChat(kDirect);
  ASSERT_TRUE(chat.ok() && chat.value());
  const StoredChat& c = **chat;
  EXPECT_TRUE(c.direct);
  EXPECT_EQ(c.created_ms, 5'000);
  EXPECT_EQ(c.created_by, "alice");
  EXPECT_EQ(c.last_msg_id, second);
  EXPECT_EQ(c.members, (std::vector<StoredMember>{{"alice", first, 0}, {"bob", first, 0}}));
  using Chats = std::vector<std::pair<std::string, MsgId>>;
  EXPECT_EQ(*store().ChatsOf("alice"), (Chats{{kDirect, second}}));
  EXPECT_EQ(*store().ChatsOf("bob"), (Chats{{kDirect, second}}));
}

TEST_P(StoreContract, ANotepadHasOneMember) {
  Put({MessageRecord("d:alice:alice", 9, "alice")});
  EXPECT_EQ((*store().ReadChat("d:alice:alice"))->members,
            (std::vector<StoredMember>{{"alice", 9, 0}}));
  EXPECT_EQ(store().ChatsOf("alice")->size(), 1u);
}

TEST_P(StoreContract, GroupsFollowTheirChanges) {
  const MsgId created = MakeMsgId(7'000, 1);
  Put({ChangeRecord(kGroup, created, v1::ChatChange::CREATED, {"creator", "b", "c"}, {}, "one"),
       MessageRecord(kGroup, created + 1, "b"),
       ChangeRecord(kGroup, created + 2, v1::ChatChange::MEMBERS_CHANGED, {"d"}, {"c"}, "one"),
       ChangeRecord(kGroup, created + 3, v1::ChatChange::RENAMED, {}, {}, "two")});
  const auto chat = store().ReadChat(kGroup);
  ASSERT_TRUE(chat.ok() && chat.value());
  const StoredChat& c = **chat;
  EXPECT_FALSE(c.direct);
  EXPECT_EQ(c.title, "two");
  EXPECT_EQ(c.created_ms, 7'000);
  EXPECT_EQ(c.created_by, "creator");
  EXPECT_EQ(c.last_msg_id, created + 3);
  EXPECT_EQ(c.members, (std::vector<StoredMember>{{"b", created, 0},
                                                  {"c", created, created + 2},
                                                  {"creator", created, 0},
                                                  {"d", created + 2, 0}}));
  EXPECT_EQ(store().ChatsOf("c")->at(0).second, created + 2);
  EXPECT_EQ(store().ChatsOf("d")->at(0).second, created + 3);
  EXPECT_EQ(store().History({kGroup, 0, 0, 10})->messages.size(), 1u);
}

TEST_P(StoreContract, AnOlderChangeAgainChangesNothing) {
  const auto create = ChangeRecord(kGroup, 100, v1::ChatChange::CREATED, {"b", "c"}, {}, "one");
  const auto remove = ChangeRecord(kGroup, 200, v1::ChatChange::MEMBERS_CHANGED, {}, {"c"}, "two");
  const auto again = ChangeRecord(kGroup, 300, v1::ChatChange::MEMBERS_CHANGED, {"c"}, {}, "three");
  Put({create, remove});
  const std::string before = Describe(store(), {kGroup}, {"b", "c"});
  Put({create});
  Put({remove});
  Put({remove, create});
  EXPECT_EQ(Describe(store(), {kGroup}, {"b", "c"}), before);
  Put({again});
  Put({remove});
  Put({create});
  const auto chat = store().ReadChat(kGroup);
  EXPECT_EQ((*chat)->title, "three");
  EXPECT_EQ((*chat)->members, (std::vector<StoredMember>{{"b", 100, 0}, {"c", 300, 0}}));
}

TEST_P(StoreContract, MarksOnlyGrow) {
  Put({MessageRecord(kDirect, 50, "alice"), MarkRecord(kDirect, "bob", 50)});
  Put({MarkRecord(kDirect, "bob", 40)});
  Put({MarkRecord(kDirect, "alice", 7), MarkRecord(kDirect, "alice", 3)});
  using Marks = std::vector<std::pair<std::string, MsgId>>;
  EXPECT_EQ((*store().ReadChat(kDirect))->delivered, (Marks{{"alice", 7}, {"bob", 50}}));
}

TEST_P(StoreContract, AMarkAloneMakesNoChat) {
  Put({MarkRecord(kDirect, "bob", 50)});
  EXPECT_FALSE(store().ReadChat(kDirect)->has_value());
}

TEST_P(StoreContract, NewestRegistrationMuteAndNameWin) {
  v1::JournalRecord web;
  web.mutable_push()->set_uid("alice");
  web.mutable_push()->set_device("phone");
  web.mutable_push()->set_at_ms(10);
  web.mutable_push()->mutable_registration()->mutable_fcm()->set_token("old");
  v1::JournalRecord newer = web;
  newer.mutable_push()->set_at_ms(20);
  newer.mutable_push()->mutable_registration()->mutable_fcm()->set_token("new");
  v1::JournalRecord mute;
  mute.mutable_mute()->set_uid("alice");
  mute.mutable_mute()->set_chat_id(kDirect);
  mute.mutable_mute()->set_until_ms(-1);
  mute.mutable_mute()->set_at_ms(5);
  v1::JournalRecord name;
  name.mutable_user()->set_uid("alice");
  name.mutable_user()->set_name("Alice");
  name.mutable_user()->set_email("a@example.org");
  name.mutable_user()->set_at_ms(5);
  v1::JournalRecord renamed;
  renamed.mutable_user()->set_uid("alice");
  renamed.mutable_user()->set_name("Alice B");
  renamed.mutable_user()->set_at_ms(6);
  Put({newer, mute, renamed});
  Put({web, name});
  auto user = store().ReadUser("alice");
  ASSERT_EQ(user->push.size(), 1u);
  EXPECT_EQ(user->push[0].registration().fcm().token(), "new");
  EXPECT_EQ(user->mutes.size(), 1u);
  EXPECT_EQ(user->name, "Alice B");
  EXPECT_EQ(user->email, "a@example.org");

  newer.mutable_push()->set_at_ms(30);
  newer.mutable_push()->clear_registration();
  mute.mutable_mute()->set_at_ms(6);
  mute.mutable_mute()->set_until_ms(0);
  Put({newer, mute});
  user = store().ReadUser("alice");
  EXPECT_TRUE(user->push.empty());
  EXPECT_TRUE(user->mutes.empty());
}

TEST_P(StoreContract, WhatCanNeverBeStoredIsRefusedWhole) {
  std::vector<v1::JournalRecord> bad(8);
  bad[1] = MessageRecord(kDirect, 0, "alice");
  bad[2] = MessageRecord(kDirect, uint64_t{1} << 63, "alice");
  bad[3] = MessageRecord("nonsense", 5, "alice");
  bad[4] = MessageRecord(kDirect, 5, "");
  bad[5] = ChangeRecord(kDirect, 5, v1::ChatChange::RENAMED, {}, {});
  bad[6] = MarkRecord(kDirect, std::string("b\0b", 3), 5);
  bad[7] = ChangeRecord(kGroup, 5, v1::ChatChange::CREATED, {"a b"}, {});
  for (const auto& record : bad) {
    const Status status = store().Put({MessageRecord(kDirect, 77, "alice"), record});
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << record.ShortDebugString();
    EXPECT_FALSE(status.message().empty());
  }
  EXPECT_FALSE(store().ReadChat(kDirect)->has_value()) << "the good record of a refused batch";
  EXPECT_EQ(store().History({kDirect, 0, 0, 0}).status().code(), Code::kInvalidArgument);
}

TEST_P(StoreContract, EverythingIsThereAfterReopening) {
  PutTen();
  Put({ChangeRecord(kGroup, 5, v1::ChatChange::CREATED, {"alice", "b"}, {}),
       MarkRecord(kDirect, "bob", 40)});
  const std::string before = Describe(store(), {kDirect, kGroup}, {"alice", "bob", "b"});
  Reopen();
  EXPECT_EQ(Describe(store(), {kDirect, kGroup}, {"alice", "bob", "b"}), before);
  // Merges go on across files.
  Put({MarkRecord(kDirect, "bob", 30), MessageRecord(kDirect, 110, "bob")});
  Reopen();
  EXPECT_EQ((*store().ReadChat(kDirect))->delivered.at(0).second, 40u);
  EXPECT_EQ((*store().ReadChat(kDirect))->last_msg_id, 110u);
}

TEST_P(StoreContract, NamesComeOnceEachWhateverThePages) {
  const auto all = [&](Store::Named what, uint32_t limit) {
    std::vector<std::string> names;
    std::string from;
    do {
      const auto page = store().Names(what, from, limit);
      EXPECT_TRUE(page.ok()) << page.status().message();
      if (!page.ok()) break;
      EXPECT_LE(page->names.size(), limit);
      names.insert(names.end(), page->names.begin(), page->names.end());
      from = page->next;
    } while (!from.empty());
    std::sort(names.begin(), names.end());
    return names;
  };
  EXPECT_TRUE(all(Store::Named::kChats, 10).empty());
  EXPECT_TRUE(all(Store::Named::kUsers, 10).empty());
  v1::JournalRecord named;
  named.mutable_user()->set_uid("zoe");
  named.mutable_user()->set_name("Zoe");
  Put({MessageRecord("d:a:b", 5, "a"), MessageRecord("d:a:b", 6, "a"),
       MessageRecord("d:a:b.", 7, "a"), MarkRecord("d:a:b", "b", 6),
       MessageRecord("d:a:bb", 8, "bb"), named,
       ChangeRecord(kGroup, 9, v1::ChatChange::CREATED, {"a", "carol"}, {}),
       ChangeRecord(kGroup, 10, v1::ChatChange::MEMBERS_CHANGED, {}, {"carol"})});
  for (const uint32_t limit : {1u, 2u, 4u, 5u, 1000u}) {
    EXPECT_EQ(all(Store::Named::kChats, limit),
              (std::vector<std::string>{"d:a:b", "d:a:b.", "d:a:bb", kGroup}));
    EXPECT_EQ(all(Store::Named::kUsers, limit),
              (std::vector<std::string>{"a", "b", "b.", "bb", "carol", "zoe"}));
  }
  EXPECT_EQ(store().Names(Store::Named::kChats, "", 0).status().code(), Code::kInvalidArgument);
  // What comes meanwhile neither hides nor repeats what was there.
  const auto first = store().Names(Store::Named::kUsers, "", 3);
  Put({MessageRecord("d:aa:b", 11, "b")});
  const auto rest = store().Names(Store::Named::kUsers, first->next, 1000);
  std::vector<std::string> both = first->names;
  both.insert(both.end(), rest->names.begin(), rest->names.end());
  std::sort(both.begin(), both.end());
  both.erase(std::remove(both.begin(), both.end(), "aa"), both.end());
  EXPECT_EQ(both, (std::vector<std::string>{"a", "b", "b.", "bb", "carol", "zoe"}));
}

TEST_P(StoreContract, ManyNames) {
  std::vector<v1::JournalRecord> records;
  for (int i = 0; i < 700; ++i) {
    records.push_back(MessageRecord("d:a:u" + std::to_string(i), 5 + i, "a"));
  }
  Put(records);
  EXPECT_EQ(store().Names(Store::Named::kChats, "", 1000)->names.size(), 700u);
  const auto page = store().Names(Store::Named::kUsers, "", 650);
  EXPECT_EQ(page->names.size(), 650u);
  EXPECT_EQ(store().Names(Store::Named::kUsers, page->next, 650)->names.size(), 51u);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, AllStores(), NameOfStore);

}  // namespace
}  // namespace nightjar
