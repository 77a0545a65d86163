// What a resync passed over, and the judge hears of only afterwards, need not come; what follows in
// the inbox must.
#include <gtest/gtest.h>

#include <string>

#include "client-sim/judge/oracle.h"

namespace nightjar::client {
namespace {

constexpr char kChat[] = "d:alice:bob";

class JudgeResync : public testing::Test {
 protected:
  JudgeResync() : oracle_(Options()) {
    alice_ = oracle_.Expect("alice", "a");
    bob_ = oracle_.Expect("bob", "b");
    Took(alice_, Synced{1, 0, 0, false});
    Took(bob_, Synced{1, 0, 0, false});
    for (const uint64_t id : {10, 20}) Took(alice_, Wrote{id, kChat, Text(id)});
    // A month later: of five entries one is left.
    Took(bob_, Synced{1, 4, 5, true});
  }

  static OracleOptions Options() {
    OracleOptions options;
    options.presence = false;
    options.inbox_keeps = 1;
    return options;
  }
  static std::string Text(uint64_t id) { return "text " + std::to_string(id); }

  void Took(DeviceId device, const Happening& happening) {
    now_.mono_ms += step_ms_;
    now_.unix_ms += step_ms_;
    oracle_.Took(device, happening, now_);
  }
  void Accepted(uint64_t id) { Took(alice_, SendAccepted{id, id, kChat, Text(id), 1}); }
  void Comes(DeviceId device, uint64_t seq, uint64_t id) {
    MessageCame came{seq, {}};
    came.message.set_chat_id(kChat);
    came.message.set_msg_id(id);
    came.message.set_author("alice");
    came.message.set_text(Text(id));
    Took(device, came);
  }
  void ComesTo(DeviceId device, uint64_t seq, uint64_t id) {
    Comes(device, seq, id);
    Took(device, AckSent{seq});
  }
  void ComesToBob(uint64_t seq, uint64_t id) {
    ComesTo(bob_, seq, id);
    Took(alice_, MarkMoved{kChat, "bob", id});
  }

  Now now_{1000, 1000};
  int64_t step_ms_ = 100;  // between one happening and the next
  Oracle oracle_;
  DeviceId alice_ = 0, bob_ = 0;
};

TEST_F(JudgeResync, WhatItPassedOverNeedNotCome) {
  ComesToBob(5, 20);
  Accepted(10);
  Accepted(20);
  EXPECT_TRUE(oracle_.Settled()) << oracle_.Outstanding();
  oracle_.Finish(now_);
  for (const Violation& broken : oracle_.violations()) ADD_FAILURE() << broken.what;
}

TEST_F(JudgeResync, WhatItPassedOverNeedNotComeThoughItIsHeardOfInTheSameMs) {
  step_ms_ = 0;
  Accepted(10);
  Accepted(20);
  step_ms_ = 100;
  ComesToBob(5, 20);
  EXPECT_TRUE(oracle_.Settled()) << oracle_.Outstanding();
  oracle_.Finish(now_);
  for (const Violation& broken : oracle_.violations()) ADD_FAILURE() << broken.what;
}

TEST_F(JudgeResync, WhatItPassedOverNeedNotComeInAChatThatBeganBeforeIt) {
  Accepted(10);
  Accepted(20);
  Took(bob_, AckSent{5});  // something else
  EXPECT_TRUE(oracle_.Settled()) << oracle_.Outstanding();
  oracle_.Finish(now_);
  for (const Violation& broken : oracle_.violations()) ADD_FAILURE() << broken.what;
}

TEST_F(JudgeResync, WhatItPassedOverNeedNotComeToADeviceThatComesAfter) {
  const DeviceId other = oracle_.Expect("bob", "c");
  Took(other, Synced{1, 4, 5, true});
  ComesToBob(5, 20);
  ComesTo(other, 5, 20);
  Accepted(10);
  Accepted(20);
  EXPECT_TRUE(oracle_.Settled()) << oracle_.Outstanding();
  oracle_.Finish(now_);
  for (const Violation& broken : oracle_.violations()) ADD_FAILURE() << broken.what;
}

TEST_F(JudgeResync, WhatCameNeedNotBeAcknowledgedOnceItPassedOverIt) {
  const DeviceId other = oracle_.Expect("bob", "c");
  Took(other, Synced{1, 0, 5, false});
  Comes(other, 4, 10);
  Took(other, Synced{1, 4, 5, true});
  Accepted(10);
  ComesToBob(5, 20);
  ComesTo(other, 5, 20);
  Accepted(20);
  EXPECT_TRUE(oracle_.Settled()) << oracle_.Outstanding();
  oracle_.Finish(now_);
  for (const Violation& broken : oracle_.violations()) ADD_FAILURE() << broken.what;
}

TEST_F(JudgeResync, WhatFollowsInTheInboxMustCome) {
  ComesToBob(5, 10);
  Accepted(10);
  Accepted(20);
  EXPECT_FALSE(oracle_.Settled());
  oracle_.Finish(now_);
  ASSERT_EQ(oracle_.violations().size(), 1U);
  EXPECT_EQ(oracle_.violations()[0].promise, "G1");
}

}  // namespace
}  // namespace nightjar::client
