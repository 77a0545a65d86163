#include "common/wire/names.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace nightjar {
namespace {

TEST(Names, UidsAreBoundedAndOfAFewCharacters) {
  EXPECT_TRUE(ValidUid("a"));
  EXPECT_TRUE(ValidUid("Alice_B.c-9"));
  EXPECT_TRUE(ValidUid(std::string(64, 'x')));
  EXPECT_FALSE(ValidUid(""));
  EXPECT_FALSE(ValidUid(std::string(65, 'x')));
  for (const char* bad : {"a b", "a/b", "a:b", "a#", "+", "a\n", "é", "a*", "a@b"}) {
    EXPECT_FALSE(ValidUid(bad)) << bad;
  }
  EXPECT_FALSE(ValidUid(std::string_view("a\0b", 3)));
  EXPECT_FALSE(ValidUid(std::string_view("a\0", 2)));
}

TEST(Names, EveryByteIsJudgedAsTheProtocolSays) {
  for (int c = 0; c < 256; ++c) {
    const std::string one(1, static_cast<char>(c));
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    EXPECT_EQ(ValidUid(one), alnum || c == '_' || c == '.' || c == '-') << c;
    EXPECT_EQ(ValidDevice(one), alnum || c == '_' || c == '-') << c;
  }
  EXPECT_TRUE(ValidDevice(std::string(32, 'd')));
  EXPECT_FALSE(ValidDevice(std::string(33, 'd')));
  EXPECT_FALSE(ValidDevice(""));
}

TEST(Names, ClientIds) {
  const auto id = ParseClientId("alice.b:phone-1");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->uid, "alice.b");
  EXPECT_EQ(id->device, "phone-1");
  for (const char* bad : {"", ":", "alice", "alice:", ":phone", "alice:pho.ne", "a:b:c", "a b:c"}) {
    EXPECT_FALSE(ParseClientId(bad)) << bad;
  }
  EXPECT_FALSE(ParseClientId(std::string(65, 'a') + ":d"));
  EXPECT_FALSE(ParseClientId("a:" + std::string(33, 'd')));
}

TEST(Names, DirectChatsNameTheLowerUserFirst) {
  EXPECT_EQ(DirectChatId("bob", "alice"), "d:alice:bob");
  EXPECT_EQ(DirectChatId("alice", "bob"), "d:alice:bob");
  EXPECT_EQ(DirectChatId("bob", "bob"), "d:bob:bob");
  EXPECT_EQ(DirectChatId("alice", "Zoe"), "d:Zoe:alice");  // bytes, not letters
  EXPECT_EQ(DirectChatId("a.b", "a"), "d:a:a.b");

  const auto chat = ParseChatId("d:alice:bob");
  ASSERT_TRUE(chat);
  EXPECT_TRUE(chat->direct);
  EXPECT_EQ(chat->low, "alice");
  EXPECT_EQ(chat->high, "bob");
  EXPECT_TRUE(ParseChatId("d:bob:bob"));
}

TEST(Names, ChatIdsOutOfShapeAreNone) {
  for (const char* bad :
       {"", "d", "d:", "d::", "d:a", "d:a:", "d::a", "d:bob:alice", "d:a:b:c", "d:a :b", "D:a:b",
        "x:a:b", "g:", "g:abc", "d:alice:bob ", " d:alice:bob", "d:\xff:\xff"}) {
    EXPECT_FALSE(ParseChatId(bad)) << bad;
  }
  EXPECT_FALSE(ParseChatId("d:" + std::string(65, 'a') + ":b"));
  const std::string digits = "abcdefghijklmnopqrstuvwxyz";
  EXPECT_TRUE(ParseChatId("g:" + digits));
  EXPECT_FALSE(ParseChatId("g:" + digits + "2"));
  EXPECT_FALSE(ParseChatId("g:" + digits.substr(1)));
  for (const char c : {'A', '0', '1', '8', '9', '=', '\0', ':'}) {
    std::string one = "g:" + digits;
    one[5] = c;
    EXPECT_FALSE(ParseChatId(one)) << c;
  }
}

TEST(Names, GroupIdsAreStableWellFormedAndApart) {
  const std::string id = GroupChatId("alice", "phone", "r1");
  // A stored id: it must come out the same for ever. Computed apart, in Python:
  // base64.b32encode(sha256(b"".join(struct.pack(">I", len(p)) + p for p in parts)).digest())[:26]
  EXPECT_EQ(id, "g:k4tqb6omguc3gjdjrlakpzbz2u");
  EXPECT_TRUE(ParseChatId(id));
  EXPECT_FALSE(ParseChatId(id)->direct);
  // Where one part ends matters.
  EXPECT_NE(GroupChatId("ab", "c", "d"), GroupChatId("a", "bc", "d"));
  EXPECT_NE(GroupChatId("a", "b", "cd"), GroupChatId("a", "bc", "d"));
  std::set<std::string> ids;
  for (int i = 0; i < 2000; ++i) ids.insert(GroupChatId("alice", "phone", std::to_string(i)));
  EXPECT_EQ(ids.size(), 2000u);
}

TEST(Names, PartitionsAreStableAndEven) {
  // Stored data lies by these numbers. Computed apart, in Python (FNV-1a 64, fmix64, modulo).
  EXPECT_EQ(PartitionOf("", 64), 38u);
  EXPECT_EQ(PartitionOf("alice", 64), 52u);
  EXPECT_EQ(PartitionOf("d:alice:bob", 64), 28u);
  EXPECT_EQ(PartitionOf("d:alice:bob", 4096), 2012u);
  EXPECT_EQ(PartitionOf("anything", 1), 0u);

  std::map<uint32_t, int> counts;
  for (int i = 0; i < 64'000; ++i) ++counts[PartitionOf("user" + std::to_string(i), 64)];
  EXPECT_EQ(counts.size(), 64u);
  for (const auto& [partition, count] : counts) {
    EXPECT_GT(count, 850) << partition;
    EXPECT_LT(count, 1150) << partition;
  }
}

TEST(ChatNames, OfDirectChatsSayWhoIsInThem) {
  EXPECT_EQ(ParseChatId("d:alice:bob")->Members(), (std::vector<std::string>{"alice", "bob"}));
  EXPECT_EQ(ParseChatId("d:bob:bob")->Members(), std::vector<std::string>{"bob"});
}

}  // namespace
}  // namespace nightjar
