// What depends on who was in a group when: comings and goings that the judge hears of late.
#include <gtest/gtest.h>

#include <string>

#include "client-sim/judge/oracle.h"

namespace nightjar::client {
namespace {

constexpr char kChat[] = "g:aaaaaaaaaaaaaaaaaaaaaaaaaa";

class JudgeGroups : public testing::Test {
 protected:
  JudgeGroups() : oracle_(Options()) {
    alice_ = oracle_.Expect("alice", "a");
    bob_ = oracle_.Expect("bob", "b");
    Took(alice_, Synced{1, 0, 0, false});
    Took(bob_, Synced{1, 0, 0, false});
    v1::ChatChange made;
    made.set_msg_id(1);
    made.set_kind(v1::ChatChange::CREATED);
    made.mutable_chat()->set_chat_id(kChat);
    made.set_by("alice");
    for (const char* uid : {"alice", "bob"}) made.mutable_chat()->add_members(uid);
    oracle_.ChatChanges(made);
  }

  static OracleOptions Options() {
    OracleOptions options;
    options.presence = false;
    return options;
  }
  static std::string Text(uint64_t id) { return "text " + std::to_string(id); }

  void Took(DeviceId device, const Happening& happening) {
    now_.mono_ms += 100;
    now_.unix_ms += 100;
    oracle_.Took(device, happening, now_);
  }
  void Moves(uint64_t id, const std::string& uid, bool in) {
    v1::ChatChange change;
    change.set_msg_id(id);
    change.set_kind(v1::ChatChange::MEMBERS_CHANGED);
    change.mutable_chat()->set_chat_id(kChat);
    change.set_by("alice");
    *(in ? change.add_added() : change.add_removed()) = uid;
    oracle_.ChatChanges(change);
  }
  void Writes(DeviceId device, uint64_t id) { Took(device, Wrote{id, kChat, Text(id)}); }
  void Accepted(DeviceId device, uint64_t id) {
    Took(device, SendAccepted{id, id, kChat, Text(id), 1});
  }
  void Refused(DeviceId device, uint64_t client_msg_id) {
    SendRefused refused;
    refused.client_msg_id = client_msg_id;
    refused.chat_id = kChat;
    refused.text = Text(client_msg_id);
    refused.error.set_code(v1::PERMISSION_DENIED);
    Took(device, refused);
  }
  void Comes(DeviceId device, uint64_t seq, uint64_t id, const char* author, uint64_t text) {
    MessageCame came{seq, {}};
    came.message.set_chat_id(kChat);
    came.message.set_msg_id(id);
    came.message.set_author(author);
    came.message.set_text(Text(text));
    Took(device, came);
    Took(device, AckSent{seq});
  }
  std::string Broken() const {
    return oracle_.violations().empty() ? "" : oracle_.violations().front().promise;
  }

  Now now_{1000, 1000};
  Oracle oracle_;
  DeviceId alice_ = 0, bob_ = 0;
};

// Sent over one broker, which is paused; again over another, which refuses it; then the first reads
// what came over the dead connection.
TEST_F(JudgeGroups, WhatWasRefusedToWhoWasOutMayBeTakenWhenTheyAreBack) {
  Writes(bob_, 5);
  Moves(10, "bob", false);
  Refused(bob_, 5);
  Moves(20, "bob", true);
  Comes(alice_, 1, 30, "bob", 5);
  EXPECT_EQ(Broken(), "");
}

TEST_F(JudgeGroups, WhatWasRefusedIsNotThereFromBefore) {
  Moves(10, "bob", false);
  Moves(20, "bob", true);
  Writes(bob_, 25);
  Refused(bob_, 25);
  Comes(alice_, 1, 30, "bob", 25);
  EXPECT_EQ(Broken(), "G2") << "let in before it was written";
}

TEST_F(JudgeGroups, ARefusalMayBeHeardAfterItsAuthorWasLetInAgain) {
  Writes(bob_, 5);
  Moves(10, "bob", false);
  Moves(20, "bob", true);
  Refused(bob_, 5);
  Comes(alice_, 1, 30, "bob", 5);
  EXPECT_EQ(Broken(), "");
}

TEST_F(JudgeGroups, WhatWasRefusedIsNotThereWithoutComingBack) {
  Writes(bob_, 5);
  Moves(10, "bob", false);
  Refused(bob_, 5);
  Comes(alice_, 1, 9, "bob", 5);
  EXPECT_EQ(Broken(), "G2");
}

TEST_F(JudgeGroups, WhoComesBackDoesNotGetWhatWasWrittenMeanwhile) {
  Moves(10, "bob", false);
  Writes(alice_, 15);
  Accepted(alice_, 15);  // and settled: nobody else is in
  Moves(20, "bob", true);
  Comes(bob_, 1, 15, "alice", 15);
  EXPECT_EQ(Broken(), "G10");
}

TEST_F(JudgeGroups, ANewDeviceGetsWhatIsStillOnItsWayAndEverybodyElseHas) {
  Moves(10, "bob", false);
  Writes(alice_, 15);
  Accepted(alice_, 15);
  const DeviceId other = oracle_.Expect("alice", "c");
  Took(other, Synced{1, 0, 0, true});
  Comes(other, 1, 15, "alice", 15);
  EXPECT_EQ(Broken(), "");
}

TEST_F(JudgeGroups, WhoComesBackIsOwedTheMarksAgain) {
  Writes(alice_, 5);
  Accepted(alice_, 5);
  Moves(10, "alice", false);
  Comes(bob_, 1, 5, "alice", 5);
  EXPECT_TRUE(oracle_.Settled()) << oracle_.Outstanding();
  Moves(20, "alice", true);
  EXPECT_FALSE(oracle_.Settled());
  Took(alice_, MarkMoved{kChat, "bob", 5});
  EXPECT_TRUE(oracle_.Settled()) << oracle_.Outstanding();
}

}  // namespace
}  // namespace nightjar::client
