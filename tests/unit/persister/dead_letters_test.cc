// Dead letters as a person handles them, while others do so too.
#include "persister/dead_letters.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "common/wire/names.h"
#include "tests/unit/persister/reader_world.h"

namespace nightjar::persist {
namespace {

using Choice = DeadLetterDesk::Choice;
using Letter = DeadLetterDesk::Letter;

const std::string kChat = DirectChatId("alice", "bob");

std::string Storable(MsgId id) {
  v1::JournalRecord record;
  v1::Message& message = *record.mutable_message();
  message.set_chat_id(kChat);
  message.set_msg_id(id);
  message.set_author("alice");
  message.set_text("text");
  return record.SerializeAsString();
}

// Refuses what its switch says, and can be away.
class TestStore : public fakes::MemoryStore {
 public:
  Status Put(const std::vector<v1::JournalRecord>& records) override {
    if (during_put) during_put();
    if (!answer.ok()) return answer;
    return fakes::MemoryStore::Put(records);
  }
  Status answer;
  std::function<void()> during_put;
};

class DeadLettersTest : public testing::Test {
 protected:
  std::string Add(uint32_t partition, const std::string& record,
                  const std::string& reason = "why") {
    const int64_t at = ++hub.now_ms;
    EXPECT_EQ(hub.Do(hub::PutDeadLetter{partition, record, reason, at}), hub::Reply{hub::Done{}});
    return DeadLetterId(partition, {at, reason, record});
  }
  std::vector<std::string> Ids(const Choice& choice = {}, uint64_t limit = 100'000) {
    std::vector<std::string> ids;
    EXPECT_TRUE(desk.List(choice, limit, [&](const Letter& l) { ids.push_back(l.id); }).ok());
    return ids;
  }
  Result<DeadLetterDesk::Counts> Replay(const Choice& choice) {
    return desk.Replay(choice, store,
                       [&](const Letter& l, const std::string& why) { told[l.id] = why; });
  }
  size_t Stored() { return store.History({.chat_id = kChat})->messages.size(); }
  bool Lease(int64_t ttl_ms) {
    const hub::Reply reply = hub.Do(hub::Lease{hub::Role::kPersist, "p#1", {1}, ttl_ms});
    return std::get<hub::LeaseReply>(reply).tokens[0] != 0;
  }

  InstantHub hub;
  TestStore store;
  std::map<std::string, std::string> told;
  DeadLetterDesk desk{{.partitions = kReaderPartitions, .owner = "desk#1"}, hub};
};

TEST_F(DeadLettersTest, AreListedByPartitionOldestFirst) {
  const std::string c = Add(2, "c"), a = Add(1, "a"), b = Add(1, "b");
  EXPECT_EQ(Ids(), (std::vector{a, b, c}));
  EXPECT_EQ(Ids({2, {}}), (std::vector{c}));
  EXPECT_EQ(Ids({{}, {b, c}}), (std::vector{b, c}));
  EXPECT_EQ(Ids({}, 2), (std::vector{a, b}));
}

TEST_F(DeadLettersTest, AnIdTellsThePartition) {
  EXPECT_EQ(PartitionOfDeadLetter(DeadLetterId(63, {1, "", ""})), 63U);
  EXPECT_NE(DeadLetterId(1, {1, "ab", "c"}), DeadLetterId(1, {1, "a", "bc"}));
  for (const char* bad :
       {"", "1", "1-", "-0123456789abcdef", "1-0123456789abcde", "1-0123456789abcdeF",
        "1-0123456789abcdef0", "99999999999-0123456789abcdef"}) {
    EXPECT_EQ(PartitionOfDeadLetter(bad), std::nullopt) << bad;
  }
}

TEST_F(DeadLettersTest, OnlyThoseNamedAreDroppedThoughPlacesShift) {
  const std::string a = Add(1, "a"), b = Add(1, "b"), c = Add(1, "c"), other = Add(2, "b");
  const hub::DeadLetter first{hub.now_ms - 3, "why", "a"};
  // Somebody takes the first one out as soon as the list has been read.
  hub.after_call = [&](const hub::Call& call) {
    if (std::holds_alternative<hub::ListDeadLetters>(call)) hub.Do(hub::DropDeadLetter{1, first});
  };
  const auto counts = desk.Drop({{}, {b, "3-0123456789abcdef"}});
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(counts->done, 1U);
  EXPECT_EQ(counts->missing, std::set<std::string>{"3-0123456789abcdef"});
  EXPECT_EQ(Ids(), (std::vector{c, other}));
}

TEST_F(DeadLettersTest, WhatComesMeanwhileIsNotDropped) {
  std::vector<std::string> late;
  for (int i = 0; i < 250; ++i) Add(1, std::to_string(i));  // several pages
  hub.after_call = [&](const hub::Call& call) {
    if (std::holds_alternative<hub::DropDeadLetter>(call) && late.size() < 20) {
      late.push_back(Add(1, "late"));
    }
  };
  EXPECT_EQ(desk.Drop({1, {}})->done, 250U);
  EXPECT_EQ(Ids(), late);
}

TEST_F(DeadLettersTest, WhatIsStoredLeavesTheListAndTheRestStays) {
  const std::string bad = Add(1, "\xff\xff"), good = Add(1, Storable(7)),
                    away = Add(2, Storable(8));
  const auto counts = Replay({1, {}});
  ASSERT_TRUE(counts.ok()) << counts.status().message();
  EXPECT_EQ(counts->done, 1U);
  EXPECT_EQ(counts->refused, 1U);
  EXPECT_EQ(told, (std::map<std::string, std::string>{{bad, "cannot be decoded"}}));
  EXPECT_EQ(Stored(), 1U);
  EXPECT_EQ(Ids(), (std::vector{bad, away}));
  EXPECT_TRUE(Lease(5000)) << "the lease was not given back";
}

TEST_F(DeadLettersTest, AStoreThatIsAwayOrRefusesLosesNothing) {
  const std::string a = Add(1, Storable(7));
  store.answer = {Code::kUnavailable, "away"};
  EXPECT_EQ(Replay({}).status().code(), Code::kUnavailable);
  store.answer = {Code::kInvalidArgument, "still bad"};
  EXPECT_EQ(Replay({})->refused, 1U);
  EXPECT_EQ(told[a], "still bad");
  EXPECT_EQ(Ids(), (std::vector{a}));
}

TEST_F(DeadLettersTest, NothingIsReplayedBesideAPersister) {
  const std::string a = Add(1, Storable(7));
  ASSERT_TRUE(Lease(5000));
  EXPECT_EQ(Replay({}).status().code(), Code::kUnavailable);
  EXPECT_EQ(Stored(), 0U);
  EXPECT_EQ(Ids(), (std::vector{a}));
  Lease(0);
  EXPECT_EQ(Replay({})->done, 1U);
}

TEST_F(DeadLettersTest, APutThatOutlastsTheLeaseLeavesTheLetter) {
  const std::string a = Add(1, Storable(7));
  store.during_put = [&] {
    hub.now_ms += 60'000;
    EXPECT_TRUE(Lease(5000));
  };
  EXPECT_EQ(Replay({}).status().code(), Code::kUnavailable);
  EXPECT_EQ(Ids(), (std::vector{a}));
}

}  // namespace
}  // namespace nightjar::persist
