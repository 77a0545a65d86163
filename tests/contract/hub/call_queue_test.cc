// The queue in front of the fake: calls happen when the test says so, and fail as it says.
#include "tests/fakes/call_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

class CallQueueTest : public testing::Test {
 protected:
  void SetUp() override { hub_.Admit({"b#1"}); }
  void Submit(CallQueue& queue, const std::string& uid) {
    queue.Submit(Login{uid, "phone", "b#1", 1, 0, "", ""}, [this, uid](Reply reply) {
      const bool done = std::holds_alternative<LoginReply>(reply);
      answers_.push_back(uid + (done ? " done" : " failed"));
    });
  }
  bool Known(const std::string& uid) const { return hub_.state().users.count(uid) > 0; }

  FakeHub hub_{{.clock = [] { return 1'000'000; }}};
  std::vector<std::string> answers_;
  using Strings = std::vector<std::string>;
};

TEST_F(CallQueueTest, NothingHappensUntilRun) {
  Submit(hub_, "a");
  Submit(hub_, "b");
  EXPECT_EQ(hub_.size(), 2u);
  EXPECT_FALSE(Known("a"));
  EXPECT_EQ(std::get<Login>(hub_.Peek(1)).uid, "b");
  EXPECT_TRUE(hub_.RunOne());
  EXPECT_EQ(answers_, Strings{"a done"});
  EXPECT_EQ(hub_.Run(), 1u);
  EXPECT_EQ(answers_, (Strings{"a done", "b done"}));
  EXPECT_FALSE(hub_.RunOne());
}

TEST_F(CallQueueTest, EffectMayComeLongBeforeTheAnswer) {
  Submit(hub_, "a");
  Submit(hub_, "b");
  EXPECT_TRUE(hub_.TakeEffect());
  EXPECT_TRUE(Known("a"));
  EXPECT_FALSE(Known("b"));
  EXPECT_TRUE(answers_.empty());
  EXPECT_TRUE(hub_.TakeEffect());
  EXPECT_FALSE(hub_.TakeEffect());
  EXPECT_TRUE(Known("b"));
  EXPECT_EQ(hub_.Run(), 2u);
}

TEST_F(CallQueueTest, FailedCallsHaveNoEffectAndLostOnesDo) {
  Submit(hub_, "a");
  Submit(hub_, "b");
  EXPECT_TRUE(hub_.FailNext());
  EXPECT_TRUE(hub_.LoseNext());
  EXPECT_FALSE(hub_.FailNext());
  EXPECT_EQ(answers_, (Strings{"a failed", "b failed"}));
  EXPECT_FALSE(Known("a"));
  EXPECT_TRUE(Known("b"));
}

TEST_F(CallQueueTest, RepeatedCallsAreAnsweredByTheSecondTry) {
  Reply answer;
  hub_.Submit(PutDeadLetter{0, "r", "why", 1}, [&](Reply reply) { answer = std::move(reply); });
  EXPECT_TRUE(hub_.RepeatNext());
  EXPECT_EQ(answer, Reply{Done{}});
  EXPECT_EQ(hub_.state().partitions.at(0).dead.size(), 2u);
}

TEST_F(CallQueueTest, CallbacksMaySubmitAgain) {
  hub_.Submit(Info{}, [this](Reply) { Submit(hub_, "a"); });
  EXPECT_EQ(hub_.Run(), 2u);
  EXPECT_EQ(answers_, Strings{"a done"});
}

TEST_F(CallQueueTest, SeveralQueuesOnOneHub) {
  const auto execute = [this](const Call& call) { return hub_.Execute(call); };
  CallQueue one(execute), two(execute);
  Submit(one, "a");
  Submit(two, "b");
  EXPECT_TRUE(two.RunOne());
  EXPECT_TRUE(Known("b"));
  EXPECT_FALSE(Known("a"));
  one.Clear();  // that process has died
  EXPECT_EQ(one.Run(), 0u);
  EXPECT_FALSE(Known("a"));
}

}  // namespace nightjar::hub
