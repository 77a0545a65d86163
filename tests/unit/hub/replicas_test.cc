// What is concluded from ROLE, INFO replication and a Sentinel's answer.
#include "common/hub/redis/replicas.h"

#include <gtest/gtest.h>

#include <string>

#include "common/hub/redis/sentinel.h"
#include "tests/unit/hub/parse_reply.h"

namespace nightjar::hub {
namespace {

Parsed Role(uint64_t offset, const std::vector<uint64_t>& acknowledged) {
  std::string text = "*3\r\n" + Bulk("master") + ":" + std::to_string(offset) + "\r\n*" +
                     std::to_string(acknowledged.size()) + "\r\n";
  for (const uint64_t ack : acknowledged) {
    text += "*3\r\n" + Bulk("10.0.0.2") + Bulk("6379") + Bulk(std::to_string(ack));
  }
  return Parse(text);
}

RedisOptions WithReplicas(uint32_t least) {
  RedisOptions options;
  options.durability = Durability::kReplica;
  options.replicas_min = least;
  return options;
}
std::string Commands(ReplicaWatch& watch) {
  std::string out;
  watch.AppendCommands(out);
  return out;
}

TEST(Replicas, OfWhatIsNoMasterNothingIsConcluded) {
  EXPECT_FALSE(ReadRole(*Parse("*3\r\n$5\r\nslave\r\n:7\r\n*0\r\n")));
  EXPECT_FALSE(ReadRole(*Parse("*0\r\n")));
  EXPECT_FALSE(ReadRole(*Parse("*3\r\n$6\r\nmaster\r\n:7\r\n:1\r\n")));
  EXPECT_FALSE(ReadRole(*Parse("*3\r\n$6\r\nmaster\r\n:7\r\n*1\r\n*1\r\n:1\r\n")));
  EXPECT_FALSE(ReadRole(*Parse("-LOADING\r\n")));
  ASSERT_TRUE(ReadRole(*Role(70, {70, 60})));
  EXPECT_EQ(InStep(*ReadRole(*Role(70, {70, 60, 0})), 60), 2u);
}

TEST(Replicas, AllThatAreInStepAreWaitedFor) {
  ReplicaWatch watch(WithReplicas(1), 2, 100);
  EXPECT_NE(Commands(watch).find("$1\r\n2\r\n"), std::string::npos);
  EXPECT_TRUE(watch.OnRole(*Role(150, {100, 100})));
  EXPECT_FALSE(watch.OnWait(*Parse(":1\r\n")));
  EXPECT_NE(watch.reason().find("1 of 2"), std::string::npos);
  EXPECT_EQ(watch.proven(), 100u);
  EXPECT_EQ(watch.asked(), 150u);
}

// One that hangs is out of step with the next batch; one that comes counts once it is near.
TEST(Replicas, WhoIsInStepIsSeenBatchByBatch) {
  ReplicaWatch watch(WithReplicas(1), 1, 100);
  Commands(watch);
  EXPECT_TRUE(watch.OnRole(*Role(200, {100, 5})));
  EXPECT_TRUE(watch.OnWait(*Parse(":1\r\n")));
  EXPECT_EQ(watch.proven(), 200u);
  Commands(watch);
  EXPECT_TRUE(watch.OnRole(*Role(300, {200, 200})));
  EXPECT_TRUE(watch.OnWait(*Parse(":2\r\n")));
  EXPECT_NE(Commands(watch).find("$1\r\n2\r\n"), std::string::npos);
  EXPECT_FALSE(watch.OnRole(*Parse("*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:9\r\n")));
}

TEST(Replicas, FewerThanTheLeastIsNeverEnough) {
  ReplicaWatch watch(WithReplicas(2), 1, 0);
  Commands(watch);
  EXPECT_TRUE(watch.OnRole(*Role(9, {9})));
  EXPECT_FALSE(watch.OnWait(*Parse(":1\r\n")));
  EXPECT_FALSE(watch.OnWait(*Parse("-UNBLOCKED\r\n")));
}

const std::string kZeros(40, '0');

TEST(Judge, WhoRemembersNothingConcludesNothing) {
  EXPECT_EQ(Judge({}, {"n", "o", 10, 10}, "a:1", true), Verdict::kUnknown);
}

TEST(Judge, APromotedOneMustHaveAllThatWasTold) {
  const LastMaster last{"a:1", "old", 500, 600};
  EXPECT_EQ(Judge(last, {"new", "old", 501, 700}, "b:1", true), Verdict::kSound);
  EXPECT_EQ(Judge(last, {"new", "old", 500, 700}, "b:1", true), Verdict::kBroken);
  EXPECT_EQ(Judge(last, {"new", "other", 900, 900}, "b:1", true), Verdict::kBroken);
  EXPECT_EQ(Judge(last, {"new", kZeros, 0, 900}, "b:1", true), Verdict::kBroken);
}

TEST(Judge, ARestartLosesNothingIfTheFileIsComplete) {
  const LastMaster last{"a:1", "old", 500, 600};
  EXPECT_EQ(Judge(last, {"new", kZeros, 0, 0}, "a:1", true), Verdict::kSound);
  EXPECT_EQ(Judge(last, {"new", kZeros, 0, 0}, "a:1", false), Verdict::kBroken);
  EXPECT_EQ(Judge(last, {"old", kZeros, 0, 500}, "a:1", false), Verdict::kSound);
  EXPECT_EQ(Judge(last, {"old", kZeros, 0, 499}, "a:1", true), Verdict::kBroken);
}

TEST(Judge, OffsetsOfAnotherHistoryDoNotSayWhoIsInStep) {
  const LastMaster last{"a:1", "old", 500, 600};
  EXPECT_EQ(FirstInStep(last, {"old", kZeros, 0, 900}), 600u);
  EXPECT_EQ(FirstInStep(last, {"new", "old", 551, 560}), 560u);
  EXPECT_EQ(FirstInStep(last, {"new", kZeros, 0, 900}), 0u);
  EXPECT_EQ(FirstInStep({}, {"new", "old", 551, 560}), 0u);
}

Status Answered(AskSentinel& ask, const std::string& bytes) { return ask.Take(*Parse(bytes)); }

TEST(Sentinel, SaysWhereTheMasterIs) {
  RedisOptions options;
  options.master = "m1";
  options.sentinel_password = "secret";
  AskSentinel ask(options);
  EXPECT_NE(ask.Next().find("AUTH"), std::string::npos);
  ASSERT_TRUE(Answered(ask, "+OK\r\n").ok());
  EXPECT_NE(ask.Next().find("m1"), std::string::npos);
  ASSERT_TRUE(Answered(ask, "*2\r\n" + Bulk("::1") + Bulk("6380")).ok());
  EXPECT_TRUE(ask.done());
  EXPECT_EQ(ask.master(), (RedisAddress{"::1", 6380}));
}

TEST(Sentinel, AnyOtherAnswerIsUnavailableWithItsReason) {
  for (const std::string& bytes :
       {std::string("*-1\r\n"), std::string("*0\r\n"), std::string(":1\r\n"),
        std::string("-NOAUTH needed\r\n"), "*2\r\n" + Bulk("a") + Bulk("0"),
        "*2\r\n" + Bulk("a") + Bulk("70000"), "*2\r\n" + Bulk("") + Bulk("1"),
        "*2\r\n" + Bulk("a") + Bulk("1x"), std::string("*2\r\n:1\r\n:2\r\n")}) {
    RedisOptions options;
    AskSentinel ask(options);
    const Status status = Answered(ask, bytes);
    EXPECT_EQ(status.code(), Code::kUnavailable) << bytes;
    EXPECT_FALSE(status.message().empty());
    EXPECT_FALSE(ask.done());
  }
}

}  // namespace
}  // namespace nightjar::hub
