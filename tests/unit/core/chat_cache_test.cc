#include "plugin/core/chat_cache.h"

#include <gtest/gtest.h>

#include "common/wire/limits.h"

namespace nightjar::core {
namespace {

CachedChat Small(const std::string& chat, uint64_t version) {
  return {chat, version, {"a", "b"}, {}, false};
}

TEST(ChatCache, ForgetsWhatWasUsedLongestAgo) {
  ChatCache cache(3);
  for (const char* chat : {"1", "2", "3"}) cache.Put(Small(chat, 1));
  EXPECT_NE(cache.Find("1"), nullptr);  // used again
  cache.Put(Small("4", 1));
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_EQ(cache.Find("2"), nullptr);
  EXPECT_NE(cache.Find("1"), nullptr);
}

TEST(ChatCache, NeverGoesBackToAnOlderVersion) {
  ChatCache cache(3);
  cache.Put(Small("1", 5));
  cache.Put(Small("1", 4));
  EXPECT_EQ(cache.Find("1")->version, 5U);
}

TEST(ChatCache, KeepsTheWholeOverAPartOfTheSameVersion) {
  ChatCache cache(3);
  cache.Put(WholeChat("1", 2, {{"a", 1, 0}, {"b", 1, 7}, {"c", 1, 0}}));
  cache.Put({"1", 2, {"a", "c"}, {}, false});
  ASSERT_TRUE(cache.Find("1")->whole);
  EXPECT_EQ(cache.Find("1")->present, (std::vector<std::string>{"a", "c"}));
  cache.Put({"1", 3, {"a"}, {}, false});
  EXPECT_FALSE(cache.Find("1")->whole);
}

TEST(ChatCache, IsBoundedInMembersToo) {
  ChatCache cache(100);  // 1,600 members
  for (int i = 0; i < 10; ++i) {
    std::vector<hub::Member> members;
    for (int m = 0; m < 500; ++m) members.push_back({"u" + std::to_string(m), 1, 0});
    cache.Put(WholeChat("g" + std::to_string(i), 1, std::move(members)));
  }
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_NE(cache.Find("g9"), nullptr);
  EXPECT_TRUE(cache.Find("g9")->present.empty()) << "too many to name in a send";
}

}  // namespace
}  // namespace nightjar::core
