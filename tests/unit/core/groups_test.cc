// Groups: stale memberships, fan-out by tasks, chat changes.
#include <gtest/gtest.h>

#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

class Groups : public testing::Test {
 protected:
  Groups() {
    world.HubUp();
    world.RunHub();
    alice = world.Device("alice", "a");
  }

  std::string Make(const std::vector<std::string>& members, const std::string& id = "make") {
    v1::Request request;
    request.set_request_id(id);
    request.mutable_create_chat()->set_title("title");
    for (const auto& uid : members) request.mutable_create_chat()->add_members(uid);
    const v1::Response response = world.Ask(alice, request);
    EXPECT_TRUE(response.has_chat()) << response.ShortDebugString();
    return response.chat().chat_id();
  }
  v1::Response Update(SessionId session, const std::string& chat,
                      const std::vector<std::string>& add, const std::vector<std::string>& remove,
                      const std::string& title = "") {
    v1::Request request;
    v1::UpdateChat& update = *request.mutable_update_chat();
    update.set_chat_id(chat);
    for (const auto& uid : add) update.add_add(uid);
    for (const auto& uid : remove) update.add_remove(uid);
    if (!title.empty()) update.set_title(title);
    return world.Ask(session, request);
  }
  static std::vector<std::string> People(int n) {
    std::vector<std::string> uids;
    for (int i = 0; i < n; ++i) uids.push_back("p" + std::to_string(1000 + i));
    return uids;
  }
  uint64_t HeadOf(const std::string& uid) {
    const auto& users = world.hub().state().users;
    return users.contains(uid) ? users.at(uid).head() : 0;
  }

  World world;
  SessionId alice = 0;
};

TEST_F(Groups, CreatedForTheCreatorAndDistinctMembers) {
  const SessionId bob = world.Device("bob", "b");
  const std::string chat = Make({"bob", "bob", "carol", "alice"});
  const auto frames = world.Take(bob);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].seq(), 1U);
  const v1::ChatChange& change = frames[0].chat_change();
  EXPECT_EQ(change.kind(), v1::ChatChange::CREATED);
  EXPECT_EQ(change.by(), "alice");
  EXPECT_EQ(change.chat().member_count(), 3U);
  EXPECT_EQ(change.chat().members_size(), 3);
  EXPECT_EQ(change.chat().last_msg_id(), change.msg_id());
  EXPECT_EQ(Make({"bob", "carol"}), chat) << "a repeat finds the same chat";
  EXPECT_TRUE(world.Take(bob).empty());
}

TEST_F(Groups, AStaleMembershipCostsASecondCallButNotTheOrder) {
  const std::string chat = Make({"bob", "carol"});
  const SessionId bob = world.Device("bob", "b");
  world.Take(bob);
  world.Ack(bob, 1);
  world.RunHub();
  // Bob's broker... this one has it cached: make it stale behind its back.
  hub::UpdateChat update;
  update.chat = chat;
  update.by = "alice";
  update.version = 1;
  update.add = {"dave"};
  update.received_ms = world.now().unix_ms;
  v1::ChatChange change;
  change.mutable_chat()->set_chat_id(chat);
  update.change = ChangeTemplate(change);
  update.broker = "elsewhere#1";
  const auto changed = world.hub().Execute(update);
  ASSERT_EQ(std::get<hub::ChangeReply>(changed).outcome, hub::ChangeReply::Outcome::kDone);
  world.SendChat(bob, 1, chat, "1");
  world.SendChat(bob, 2, chat, "2");
  world.queue().RunOne();             // 1 is stale
  world.SendChat(bob, 3, chat, "3");  // must not overtake 2
  world.RunHub();
  std::vector<std::pair<uint64_t, MsgId>> accepted;
  for (const auto& frame : world.Take(bob)) {
    if (frame.has_accepted()) {
      accepted.emplace_back(frame.accepted().client_msg_id(), frame.accepted().msg_id());
    }
  }
  ASSERT_EQ(accepted.size(), 3U);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(accepted[i].first, i + 1);
  EXPECT_LT(accepted[0].second, accepted[1].second);
  EXPECT_LT(accepted[1].second, accepted[2].second);
  EXPECT_EQ(HeadOf("dave"), 4U);  // the change, and the three
}

TEST_F(Groups, ALargeGroupIsFannedOutAtOnce) {
  const auto people = People(200);
  const std::string chat = Make(people);
  const SessionId last = world.Device(people.back(), "d");
  world.Take(last);
  world.Take(alice);
  world.SendChat(alice, 1, chat, "to all");
  world.RunHub();  // no time passes
  auto frames = world.Take(last);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].message().text(), "to all");
  for (const auto& uid : people) EXPECT_EQ(HeadOf(uid), 2U) << uid;
  EXPECT_EQ(HeadOf("alice"), 1U) << "no own copy for a sender with one device";
}

TEST_F(Groups, FanOutGoesOnAfterFailuresAndRepeatsNothing) {
  const auto people = People(200);
  const std::string chat = Make(people);
  const SessionId first = world.Device(people.front(), "d");
  world.Take(first);
  world.SendChat(alice, 1, chat, "to all");
  // Members, then appends: fail, lose, and let one through.
  for (int i = 0; i < 12 && world.queue().size() > 0; ++i) {
    if (std::holds_alternative<hub::Append>(world.queue().Peek())) {
      i % 2 == 0 ? world.queue().LoseNext() : world.queue().FailNext();
    } else {
      world.queue().RunOne();
    }
  }
  world.Advance(10'000);
  for (const auto& uid : people) EXPECT_EQ(HeadOf(uid), 2U) << uid;
  int messages = 0;
  for (const auto& frame : world.Take(first)) messages += frame.has_message() ? 1 : 0;
  EXPECT_EQ(messages, 1);
}

TEST_F(Groups, ATaskOfADeadBrokerIsFinishedByTheNext) {
  const auto people = People(50);
  const std::string chat = Make(people);
  world.SendChat(alice, 1, chat, "to all");
  world.queue().RunOne();  // accepted; the task stays
  EXPECT_EQ(HeadOf(people[0]), 1U);
  world.Restart();
  world.HubUp();
  world.Advance(12'000);  // the dead one's lease has to run out
  for (const auto& uid : people) EXPECT_EQ(HeadOf(uid), 2U) << uid;
}

TEST_F(Groups, WhoComesBackWhileAFanOutIsOpenGetsWhatWasSaidBeforeAndNotBetween) {
  const auto people = People(50);
  const std::string chat = Make(people);
  world.SendChat(alice, 1, chat, "to all");
  world.queue().RunOne();  // accepted; the task stays
  world.Restart();
  world.HubUp();
  alice = world.Device("alice", "b");
  Update(alice, chat, {}, {people[0]});
  world.SendChat(alice, 2, chat, "behind your back");
  Update(alice, chat, {people[0]}, {});
  EXPECT_EQ(HeadOf(people[0]), 1U) << "the dead one's lease still holds everything up";
  world.Advance(12'000);
  for (const auto& uid : people) EXPECT_EQ(HeadOf(uid), uid == people[0] ? 4U : 5U) << uid;
}

TEST_F(Groups, WhatATaskBringsBackIsSkippedWhereItWasToldAccepted) {
  const auto people = People(20);
  const std::string chat = Make(people);
  const SessionId laptop = world.Device("alice", "laptop");
  world.Take(alice);
  world.Take(laptop);
  world.SendChat(alice, 1, chat, "mine");
  world.RunHub();
  world.Advance(1000);
  auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_TRUE(frames[0].has_accepted());
  EXPECT_EQ(frames[1].body_case(), v1::ServerFrame::BODY_NOT_SET) << "closes the sequence";
  frames = world.Take(laptop);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].message().text(), "mine");
}

TEST_F(Groups, TheMembersAreAskedForOnceForAllTasksThatAreThere) {
  const auto people = People(50);
  const std::string chat = Make(people);
  for (uint64_t i = 1; i <= 10; ++i) world.SendChat(alice, i, chat, "to all");
  int asked = 0, appended = 0;
  while (world.queue().size() > 0) {
    const hub::Call& next = world.queue().Peek();
    if (const auto* get = std::get_if<hub::GetChat>(&next)) asked += get->members ? 1 : 0;
    appended += std::holds_alternative<hub::Append>(next) ? 1 : 0;
    world.queue().RunOne();
  }
  for (const auto& uid : people) EXPECT_EQ(HeadOf(uid), 11U) << uid;
  EXPECT_LE(appended, 3) << "messages to the same people go together";
  EXPECT_LE(asked, 3) << "the first may be read alone, and the change of making the group";
}

TEST_F(Groups, WhoMayChangeWhat) {
  const std::string chat = Make({"bob", "carol"});
  const SessionId bob = world.Device("bob", "b"), eve = world.Device("eve", "e");
  EXPECT_EQ(Update(bob, chat, {"dave"}, {}).chat().member_count(), 4U);
  EXPECT_EQ(Update(bob, chat, {}, {}, "new title").chat().title(), "new title");
  EXPECT_EQ(Update(bob, chat, {}, {"carol"}).error().code(), v1::PERMISSION_DENIED);
  EXPECT_EQ(Update(eve, chat, {"eve"}, {}).error().code(), v1::PERMISSION_DENIED);
  EXPECT_EQ(Update(eve, GroupChatId("x", "y", "z"), {"eve"}, {}).error().code(),
            v1::PERMISSION_DENIED);
  EXPECT_EQ(Update(alice, chat, {}, {"carol"}).chat().member_count(), 3U);
  EXPECT_EQ(Update(bob, chat, {"dave"}, {}).chat().member_count(), 3U) << "adding twice is fine";
  EXPECT_EQ(Update(bob, chat, {}, {"bob"}).chat().member_count(), 2U) << "oneself";
  EXPECT_EQ(Update(bob, chat, {"bob"}, {}).error().code(), v1::PERMISSION_DENIED);
  EXPECT_EQ(Update(alice, chat, {"x"}, {"x"}).error().code(), v1::INVALID_ARGUMENT);
}

TEST_F(Groups, TheRemovedAreToldAndThenNoMore) {
  const std::string chat = Make({"bob", "carol"});
  const SessionId carol = world.Device("carol", "c");
  world.Take(carol);
  Update(alice, chat, {}, {"carol"});
  auto frames = world.Take(carol);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().chat_change().kind(), v1::ChatChange::MEMBERS_CHANGED);
  EXPECT_EQ(frames.back().chat_change().removed(0), "carol");
  world.SendChat(alice, 1, chat, "without her");
  world.RunHub();
  EXPECT_TRUE(world.Take(carol).empty());
  world.SendChat(carol, 1, chat, "let me in");
  world.RunHub();
  frames = world.Take(carol);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].rejected().error().code(), v1::PERMISSION_DENIED);
}

TEST_F(Groups, TwoWhoChangeAtOnceBothSucceed) {
  const std::string chat = Make({"bob"});
  const SessionId bob = world.Device("bob", "b");
  const auto ask = [&](SessionId session, const std::string& uid) {
    v1::Request request;
    request.set_request_id("u");
    request.mutable_update_chat()->set_chat_id(chat);
    request.mutable_update_chat()->add_add(uid);
    world.Request(session, request);
  };
  ask(alice, "carol");
  ask(bob, "dave");
  world.RunHub();
  const auto reply = world.hub().Execute(hub::GetChat{chat, 0, true});
  EXPECT_EQ(std::get<hub::GetChatReply>(reply).record.member_count, 4U);
}

TEST_F(Groups, TooManyMembers) {
  Config config;
  config.group_members = 5;
  World small(config);
  small.HubUp();
  small.RunHub();
  const SessionId session = small.Device("alice", "a");
  v1::Request request;
  for (const auto& uid : People(5)) request.mutable_create_chat()->add_members(uid);
  EXPECT_EQ(small.Ask(session, request).error().code(), v1::INVALID_ARGUMENT);
  request.mutable_create_chat()->mutable_members()->RemoveLast();
  const v1::Response made = small.Ask(session, request);
  EXPECT_EQ(made.chat().member_count(), 5U);
  v1::Request more;
  more.mutable_update_chat()->set_chat_id(made.chat().chat_id());
  more.mutable_update_chat()->add_add("zoe");
  EXPECT_EQ(small.Ask(session, more).error().code(), v1::INVALID_ARGUMENT);
}

TEST_F(Groups, MembersAreListedInPages) {
  const std::string chat = Make(People(100));
  v1::Request request;
  request.mutable_list_members()->set_chat_id(chat);
  request.mutable_list_members()->set_limit(60);
  v1::Response first = world.Ask(alice, request);
  EXPECT_EQ(first.members().uids_size(), 60);
  EXPECT_TRUE(first.members().more());
  EXPECT_EQ(first.members().uids(0), "alice");
  request.mutable_list_members()->set_after(first.members().uids(59));
  const v1::Response second = world.Ask(alice, request);
  EXPECT_EQ(second.members().uids_size(), 41);
  EXPECT_FALSE(second.members().more());
  const SessionId eve = world.Device("eve", "e");
  EXPECT_EQ(world.Ask(eve, request).error().code(), v1::PERMISSION_DENIED);
}

TEST_F(Groups, ALongTextIsTooLongInABigChat) {
  const std::string chat = Make(People(70));
  world.Take(alice);
  world.SendChat(alice, 1, chat, std::string(5000, 'x'));
  world.RunHub();
  const auto frames = world.Take(alice);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].rejected().error().code(), v1::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace nightjar::core
