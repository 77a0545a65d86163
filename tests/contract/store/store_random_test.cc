// Random histories, cut into batches, in random order and repeated: every store must end up saying
// what the map in memory says that got each record once and in order.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/contract/store/store_under_test.h"
#include "tests/fakes/memory_store.h"

namespace nightjar {
namespace {

const std::vector<std::string> kUids = {"a", "b", "c", "d.e", "f_g", "zz"};
const std::vector<std::string> kGroups = {"g:aaaaaaaaaaaaaaaaaaaaaaaaaa",
                                          "g:bbbbbbbbbbbbbbbbbbbbbbbbbb"};

class World {
 public:
  explicit World(uint32_t seed) : random_(seed) {
    for (const auto& low : kUids) {
      for (const auto& high : kUids) {
        if (low <= high) chats_.push_back("d:" + low + ":" + high);
      }
    }
    chats_.insert(chats_.end(), kGroups.begin(), kGroups.end());
  }

  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  template <typename T>
  const T& Any(const std::vector<T>& of) {
    return of[Below(static_cast<uint32_t>(of.size()))];
  }
  const std::vector<std::string>& chats() const { return chats_; }
  std::mt19937& random() { return random_; }

  v1::JournalRecord Next() {
    id_ += 1 + Below(3) * (uint64_t{1} << 20);
    switch (Below(10)) {
      case 0:
        return Change();
      case 1:
      case 2:
      case 3:
        return MarkRecord(Any(chats_), Any(kUids), 1 + Below(static_cast<uint32_t>(id_)));
      case 4:
        return Personal();
      default:
        return MessageRecord(Any(chats_), id_, Any(kUids), "text " + std::to_string(id_));
    }
  }

 private:
  v1::JournalRecord Change() {
    const std::string& chat = Any(kGroups);
    std::vector<std::string> added, removed;
    for (const auto& uid : kUids) {
      const uint32_t draw = Below(4);
      if (draw == 0) added.push_back(uid);
      if (draw == 1) removed.push_back(uid);
    }
    bool& created = created_[chat == kGroups[0] ? 0 : 1];
    const auto kind = created ? v1::ChatChange::MEMBERS_CHANGED : v1::ChatChange::CREATED;
    if (!created) removed.clear();
    created = true;
    return ChangeRecord(chat, id_, kind, added, removed, "title " + std::to_string(Below(9)));
  }

  v1::JournalRecord Personal() {
    v1::JournalRecord record;
    const int64_t at = Below(50);  // ties on purpose
    switch (Below(3)) {
      case 0:
        record.mutable_push()->set_uid(Any(kUids));
        record.mutable_push()->set_device(Below(2) == 0 ? "phone" : "laptop");
        record.mutable_push()->set_at_ms(at);
        if (Below(3) != 0) {
          record.mutable_push()->mutable_registration()->mutable_fcm()->set_token(
              std::to_string(Below(1000)));
        }
        return record;
      case 1:
        record.mutable_mute()->set_uid(Any(kUids));
        if (Below(2) == 0) record.mutable_mute()->set_chat_id(Any(chats_));
        record.mutable_mute()->set_device("phone");
        record.mutable_mute()->set_until_ms(static_cast<int64_t>(Below(3)) - 1);
        record.mutable_mute()->set_at_ms(at);
        return record;
      default:
        record.mutable_user()->set_uid(Any(kUids));
        if (Below(2) == 0) record.mutable_user()->set_name("n" + std::to_string(Below(9)));
        if (Below(2) == 0) record.mutable_user()->set_email("e" + std::to_string(Below(9)));
        record.mutable_user()->set_at_ms(at);
        return record;
    }
  }

  std::mt19937 random_;
  std::vector<std::string> chats_;
  MsgId id_ = MakeMsgId(1'700'000'000'000, 0);
  bool created_[2] = {false, false};
};

void RunSeed(uint32_t seed, std::unique_ptr<StoreUnderTest> under_test) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  World world(seed);
  fakes::MemoryStore judge;
  std::vector<std::vector<v1::JournalRecord>> batches;
  for (int i = 0; i < 30; ++i) {
    auto& batch = batches.emplace_back();
    const uint32_t size = 1 + world.Below(20);
    for (uint32_t k = 0; k < size; ++k) batch.push_back(world.Next());
    ASSERT_TRUE(judge.Put(batch).ok());
  }
  // Some twice, some batches cut or mixed, everything in any order.
  const size_t whole = batches.size();
  for (size_t i = 0; i < whole; ++i) {
    if (world.Below(3) == 0) batches.push_back(batches[i]);
    if (world.Below(4) == 0) {
      auto mixed = batches[i];
      const auto& other = world.Any(batches);
      mixed.insert(mixed.end(), other.begin(), other.end());
      std::shuffle(mixed.begin(), mixed.end(), world.random());
      batches.push_back(std::move(mixed));
    }
  }
  std::shuffle(batches.begin(), batches.end(), world.random());
  for (const auto& batch : batches) {
    ASSERT_TRUE(under_test->store().Put(batch).ok());
    if (world.Below(20) == 0) under_test->Reopen();
  }
  ASSERT_EQ(Describe(under_test->store(), world.chats(), kUids),
            Describe(judge, world.chats(), kUids));

  for (int i = 0; i < 200; ++i) {  // pages
    HistoryQuery query{world.Any(world.chats()), 0, 0, 1 + world.Below(8)};
    const auto all = judge.History({query.chat_id, 0, 0, 100'000});
    const auto id = [&] {
      if (all->messages.empty()) return MsgId{1} + world.Below(100);
      return world.Any(all->messages).msg_id() + world.Below(3) - 1;
    };
    if (world.Below(3) != 0) query.before = id();
    if (world.Below(3) != 0) query.after = id();
    const auto expected = judge.History(query);
    const auto got = under_test->store().History(query);
    ASSERT_TRUE(expected.ok() && got.ok());
    ASSERT_EQ(got->more, expected->more);
    ASSERT_EQ(got->messages.size(), expected->messages.size());
    for (size_t k = 0; k < got->messages.size(); ++k) {
      ASSERT_EQ(got->messages[k].msg_id(), expected->messages[k].msg_id());
    }
  }
}

TEST(StoreRandom, MemoryDoesNotDependOnOrder) {
  for (uint32_t seed = 1; seed <= 20; ++seed) RunSeed(seed, MakeMemory());
}

TEST(StoreRandom, RocksDbEqualsMemory) {
  for (uint32_t seed = 1; seed <= 20; ++seed) RunSeed(seed, MakeRocksDb());
}

TEST(StoreRandom, HbaseFramedCompactEqualsMemory) {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    auto under_test = MakeHbaseFramedCompact();
    if (!under_test) GTEST_SKIP() << "no HBase: ./nj test starts one";
    RunSeed(seed, std::move(under_test));
  }
}

}  // namespace
}  // namespace nightjar
