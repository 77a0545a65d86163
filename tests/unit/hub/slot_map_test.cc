// What is concluded from CLUSTER SLOTS and from redirections.
#include "common/hub/redis/slot_map.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/hub/parse_reply.h"

namespace nightjar::hub {
namespace {

std::string Number(int64_t n) { return ":" + std::to_string(n) + "\r\n"; }
std::string Array(const std::vector<std::string>& items) {
  std::string text = "*" + std::to_string(items.size()) + "\r\n";
  for (const std::string& item : items) text += item;
  return text;
}
std::string Node(const std::string& host, int port, const std::string& id) {
  return Array({Bulk(host), Number(port), Bulk(id), Array({})});
}
std::string Range(int64_t first, int64_t last, const std::vector<std::string>& nodes) {
  std::vector<std::string> items = {Number(first), Number(last)};
  items.insert(items.end(), nodes.begin(), nodes.end());
  return Array(items);
}

const RedisAddress kAsked = {"10.0.0.9", 7000};

TEST(SlotMap, SlotsAreThoseThatRedisGives) {  // CLUSTER KEYSLOT
  EXPECT_EQ(SlotOfTag("123456789"), 0x31c3u);
  EXPECT_EQ(SlotOfPartition(5), 9974u);
  EXPECT_EQ(SlotOfPartition(0), 13907u);
  EXPECT_EQ(SlotOfPartition(63), SlotOfTag("63"));
}

TEST(SlotMap, SaysWhoHasASlot) {
  const auto map = SlotMap::Read(
      *Parse(Array({Range(0, 99, {Node("10.0.0.1", 7001, "a"), Node("10.0.0.2", 7002, "b")}),
                    Range(200, 16383, {Node("10.0.0.3", 7003, "c")}),
                    Range(100, 150, {Node("10.0.0.1", 7001, "a"), Node("10.0.0.2", 7002, "b")})})),
      kAsked);
  ASSERT_TRUE(map.ok());
  const std::vector<Shard> expected = {{{"a", {"10.0.0.1", 7001}}, {{"b", {"10.0.0.2", 7002}}}},
                                       {{"c", {"10.0.0.3", 7003}}, {}}};
  EXPECT_EQ(map.value().shards(), expected);
  EXPECT_EQ(map.value().ShardOf(0), 0u);
  EXPECT_EQ(map.value().ShardOf(150), 0u);
  EXPECT_EQ(map.value().ShardOf(151), std::nullopt);
  EXPECT_EQ(map.value().ShardOf(200), 1u);
  EXPECT_EQ(map.value().ShardOf(16383), 1u);
}

TEST(SlotMap, ANodeThatDoesNotKnowItsAddressIsWhereItWasAsked) {
  const auto map =
      SlotMap::Read(*Parse(Array({Range(0, 9, {Node("", 7001, "a")}),
                                  Range(10, 19, {Array({"$-1\r\n", Number(7002), Bulk("b")})})})),
                    kAsked);
  ASSERT_TRUE(map.ok());
  ASSERT_EQ(map.value().shards().size(), 2u);
  EXPECT_EQ(map.value().shards()[0].master.address, (RedisAddress{"10.0.0.9", 7001}));
  EXPECT_EQ(map.value().shards()[1].master.address, (RedisAddress{"10.0.0.9", 7002}));
}

TEST(SlotMap, NodesWithoutAnAddressCountForNothing) {
  const auto map = SlotMap::Read(
      *Parse(Array({Range(0, 9, {Node("?", 7001, "a"), Node("10.0.0.2", 7002, "b")}),
                    Range(10, 19, {Node("10.0.0.3", 7003, "c"), Node("?", 7004, "d")})})),
      kAsked);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map.value().ShardOf(0), std::nullopt);
  ASSERT_EQ(map.value().shards().size(), 1u);
  EXPECT_TRUE(map.value().shards()[0].replicas.empty());
}

TEST(SlotMap, WhatIsNoMapIsRefused) {
  const std::string good = Node("10.0.0.1", 7001, "a");
  for (const std::string& bad :
       {std::string("+OK\r\n"), Array({Number(1)}), Array({Range(0, 9, {})}),
        Array({Range(-1, 9, {good})}), Array({Range(0, 16384, {good})}),
        Array({Range(0, 9, {Bulk("10.0.0.1:7001")})}), Array({Range(0, 9, {Array({})})}),
        Array({Range(0, 9, {Node("10.0.0.1", 65536, "a")})}),
        Array({Range(0, 9, {Node("10.0.0.1", 7001, "")})}),
        Array({Range(0, 9, std::vector<std::string>(18, good))}),
        Array(std::vector<std::string>(16385, Range(0, 9, {good})))}) {
    EXPECT_FALSE(SlotMap::Read(*Parse(bad), kAsked).ok()) << bad.substr(0, 100);
  }
}

TEST(SlotMap, ACallThatWasTurnedAwayIsToldFromOneThatFailed) {
  const auto moved = ReadRedirect(*Parse("-MOVED 9974 10.0.0.1:7001\r\n"), kAsked);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->kind, Redirect::Kind::kMoved);
  EXPECT_EQ(moved->to, (RedisAddress{"10.0.0.1", 7001}));
  EXPECT_EQ(ReadRedirect(*Parse("-MOVED 9974 :7001\r\n"), kAsked)->to,
            (RedisAddress{"10.0.0.9", 7001}));
  EXPECT_EQ(ReadRedirect(*Parse("-MOVED 9974 fe80::1:7001\r\n"), kAsked)->to,
            (RedisAddress{"fe80::1", 7001}));
  EXPECT_EQ(ReadRedirect(*Parse("-MOVED nonsense\r\n"), kAsked)->to, std::nullopt);
  EXPECT_EQ(ReadRedirect(*Parse("-ASK 9974 10.0.0.1:7001\r\n"), kAsked)->kind,
            Redirect::Kind::kOnItsWay);
  EXPECT_EQ(ReadRedirect(*Parse("-TRYAGAIN Multiple keys\r\n"), kAsked)->kind,
            Redirect::Kind::kOnItsWay);
  EXPECT_FALSE(ReadRedirect(*Parse("-ERR MOVED 1 a:1\r\n"), kAsked));
  EXPECT_FALSE(ReadRedirect(*Parse("$5\r\nMOVED\r\n"), kAsked));
}

TEST(SlotMap, IsAskedForAfterThePassword) {
  RedisOptions options;
  options.password = "secret";
  AskSlots ask(options, kAsked);
  EXPECT_EQ(ask.Next(), "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n");
  ASSERT_TRUE(ask.Take(*Parse("+OK\r\n")).ok());
  EXPECT_EQ(ask.Next(), "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n");
  ASSERT_TRUE(ask.Take(*Parse(Array({Range(0, 9, {Node("10.0.0.1", 7001, "a")})}))).ok());
  ASSERT_TRUE(ask.done());
  EXPECT_EQ(ask.map().ShardOf(9), 0u);
}

TEST(SlotMap, WhatIsNoClusterSaysSo) {
  AskSlots ask(RedisOptions{}, kAsked);
  const Status status = ask.Take(*Parse("-ERR This instance has cluster support disabled\r\n"));
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("10.0.0.9:7000"), std::string::npos);
}

}  // namespace
}  // namespace nightjar::hub
