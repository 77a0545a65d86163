// Many at once: storms of logins, big groups, fan-out shared by brokers, and a broker that empties
// itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

template <typename T>
const T* Asked(const Action& action) {
  const auto* ask = std::get_if<AskHub>(&action);
  return ask != nullptr ? std::get_if<T>(&ask->call) : nullptr;
}

template <typename T>
size_t Waiting(World& world) {
  size_t count = 0;
  for (size_t i = 0; i < world.queue().size(); ++i) {
    count += std::holds_alternative<T>(world.queue().Peek(i));
  }
  return count;
}

size_t EntriesWaiting(World& world) {
  size_t count = 0;
  for (size_t i = 0; i < world.queue().size(); ++i) {
    const auto* append = std::get_if<hub::Append>(&world.queue().Peek(i));
    if (append != nullptr) count += append->uids.size() * append->messages.size();
  }
  return count;
}

std::string Texts(const std::vector<v1::ServerFrame>& frames) {
  std::string out;
  for (const auto& frame : frames) out += frame.message().text();
  return out;
}

// What comes in this time to a device that acknowledges it.
std::string TextsIn(World& world, SessionId session, int seconds) {
  std::string out;
  for (int i = 0; i < seconds; ++i) {
    world.Advance(1000);
    uint64_t seq = 0;
    for (const auto& frame : world.Take(session)) {
      out += frame.message().text();
      seq = std::max(seq, frame.seq());
    }
    if (seq > 0) world.Ack(session, seq);
  }
  return out;
}

std::string MakeGroup(World& world, SessionId creator, int members) {
  constexpr int kAtOnce = 200;
  std::string chat;
  for (int from = 0; from < members; from += kAtOnce) {
    v1::Request request;
    request.set_request_id("make" + std::to_string(from));
    for (int i = from; i < std::min(from + kAtOnce, members); ++i) {
      const std::string uid = "m" + std::to_string(i);
      if (from == 0) {
        request.mutable_create_chat()->add_members(uid);
      } else {
        request.mutable_update_chat()->add_add(uid);
      }
    }
    if (from > 0) request.mutable_update_chat()->set_chat_id(chat);
    const v1::Response response = world.Ask(creator, request);
    EXPECT_TRUE(response.has_chat()) << response.ShortDebugString();
    chat = response.chat().chat_id();
  }
  world.RunHub();
  world.Take(creator);
  return chat;
}

// ---- storms -----------------------------------------------------------------------------------

TEST(Storm, LoginsStandInLineAndLiveTrafficDoesNot) {
  World world;
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  std::vector<SessionId> storm;
  for (int i = 0; i < 5000; ++i) {
    storm.push_back(world.Connect("u" + std::to_string(i), "d"));
    ASSERT_TRUE(world.Subscribe(storm.back(), "inbox/u" + std::to_string(i)));
  }
  EXPECT_EQ(Waiting<hub::Login>(world), 64U);
  world.SendText(alice, 1, "bob", "now");
  for (int i = 0; i < 65; ++i) world.queue().RunOne();
  EXPECT_EQ(Texts(world.Take(bob)), "now") << "behind 64 logins, not behind 5,000";
  for (int i = 0; i < 4000; ++i) {
    world.queue().RunOne();
    ASSERT_LE(Waiting<hub::Login>(world), 64U);
  }
  world.RunHub();
  const size_t at_once = world.engine().stats().devices - world.engine().stats().logins_waiting;
  EXPECT_LE(at_once, 2100U) << "2,000 a second";
  world.Advance(1000);
  EXPECT_GT(world.engine().stats().logins_waiting, 500U);
  world.Advance(1000);
  EXPECT_EQ(world.engine().stats().logins_waiting, 0U);
  for (const SessionId session : storm) ASSERT_TRUE(world.Take(session).at(0).has_sync());
}

TEST(Storm, WhoGoesWhileWaitingCostsNothing) {
  World world;
  size_t logins = 0;
  world.on_action = [&](const Action& action) { logins += Asked<hub::Login>(action) != nullptr; };
  for (int i = 0; i < 500; ++i) {
    const SessionId session = world.Connect("u" + std::to_string(i), "d");
    world.Subscribe(session, "inbox/u" + std::to_string(i));
    world.Subscribe(session, "inbox/u" + std::to_string(i));  // stands in line once
    if (i >= 100) world.Disconnect(session);
  }
  world.Advance(1000);
  EXPECT_LE(logins, 100U + 64U) << "the first 64 were asked twice";
  EXPECT_EQ(world.engine().stats().logins_waiting, 0U);
  EXPECT_EQ(world.engine().stats().devices, 100U);
}

// ---- big groups -------------------------------------------------------------------------------

class BigGroup : public testing::Test {
 protected:
  static Config Big() {
    Config config;
    config.group_members = 5000;
    return config;
  }
  BigGroup() {
    for (World* world : {&b1, &b2}) {
      world->HubUp();
      world->Handle(RelayUp{});
      world->on_action = [this](const Action& action) { Look(action); };
    }
    b1.RunHub();
    alice = b1.Device("alice", "a");
  }
  void Look(const Action& action) {
    const auto* append = Asked<hub::Append>(action);
    if (append == nullptr) return;
    size_t bytes = 0;
    for (const auto& message : append->messages) bytes += message.shared.size();
    ++appends;
    most_messages = std::max(most_messages, append->messages.size());
    EXPECT_LE(append->uids.size(), 64U);
    EXPECT_LE(append->messages.size(), hub::kAppendMessages);
    EXPECT_LE(append->uids.size() * append->messages.size(), 256U);
    EXPECT_LE(append->uids.size() * bytes, 256U * 1024);
  }
  void RunLooking() {
    for (bool any = true; any;) {
      any = false;
      for (World* world : {&b1, &b2}) {
        EXPECT_LT(EntriesWaiting(*world), 512U + 256U);
        any |= world->queue().RunOne();
        while (auto what = world->relay().Take()) world->Handle(Relayed{std::move(*what)});
      }
    }
  }

  World b1{Big()};
  World b2{b1, "b2", Big()};
  SessionId alice = 0;
  size_t appends = 0, most_messages = 0;
};

TEST_F(BigGroup, GoesToAllInBoundedStepsAndInOrder) {
  const std::string chat = MakeGroup(b1, alice, 4000);
  b1.RunHub();
  std::map<SessionId, World*> members;
  for (int i = 0; i < 4000; i += 400) {
    World& world = (i / 400) % 2 == 0 ? b1 : b2;
    const SessionId session = world.Device("m" + std::to_string(i), "d");
    world.Ack(session, b1.hub().state().users.at("m" + std::to_string(i)).head());
    world.RunHub();
    world.Take(session);
    members[session * 2 + (&world == &b2)] = &world;
  }
  appends = 0;
  std::string all;
  for (uint64_t i = 1; i <= 20; ++i) {
    all += std::to_string(i) + ";";
    b1.SendChat(alice, i, chat, std::to_string(i) + ";");
  }
  RunLooking();
  b1.Advance(2000);
  for (const auto& [key, world] : members) EXPECT_EQ(Texts(world->Take(key / 2)), all);
  EXPECT_GT(most_messages, 1U);
  EXPECT_LT(appends, 20 * 4001 / 64) << "several messages go in one step";
  for (int i = 1; i < 4000; i += 777) {
    const auto& user = b1.hub().state().users.at("m" + std::to_string(i));
    EXPECT_EQ(user.chats.at(chat), b1.hub().state().chats.at(chat).last);
  }
}

TEST_F(BigGroup, LongTextsMakeSmallerSteps) {
  const std::string chat = MakeGroup(b1, alice, 200);
  b1.RunHub();
  const SessionId bob = b2.Device("m7", "d");
  b2.Ack(bob, 1);
  b2.RunHub();
  b2.Take(bob);
  for (uint64_t i = 1; i <= 4; ++i) b1.SendChat(alice, i, chat, std::string(4000, 'x'));
  RunLooking();
  b1.Advance(1000);
  EXPECT_EQ(Texts(b2.Take(bob)).size(), 16'000U);
}

TEST_F(BigGroup, AnothersMessageWaitsBehindAFewStepsOnly) {
  const std::string chat = MakeGroup(b1, alice, 4000);
  b1.RunHub();
  const SessionId bob = b1.Device("bob", "b"), carol = b1.Device("carol", "c");
  for (uint64_t i = 1; i <= 20; ++i) b1.SendChat(alice, i, chat, "x");
  for (int i = 0; i < 40; ++i) {
    b1.queue().RunOne();
    b2.queue().RunOne();
  }
  b1.SendText(bob, 1, "carol", "quick");
  const size_t ahead = b1.queue().size();
  EXPECT_LE(ahead, 12U);
  for (size_t i = 0; i < ahead; ++i) b1.queue().RunOne();
  EXPECT_EQ(Texts(b1.Take(carol)), "quick");
}

TEST_F(BigGroup, WhoJoinsOrLeavesBetweenTwoMessagesGetsWhatIsTheirs) {
  const std::string chat = MakeGroup(b1, alice, 30);
  b1.RunHub();
  const SessionId stays = b2.Device("m1", "d"), leaves = b2.Device("m2", "d"),
                  joins = b2.Device("new", "d");
  for (const SessionId session : {stays, leaves, joins}) b2.Take(session);
  b1.SendChat(alice, 1, chat, "1");
  b1.queue().TakeEffect();
  v1::Request change;
  change.set_request_id("change");
  change.mutable_update_chat()->set_chat_id(chat);
  change.mutable_update_chat()->add_add("new");
  change.mutable_update_chat()->add_remove("m2");
  b1.Request(alice, change);
  b1.RunHub();
  b1.SendChat(alice, 2, chat, "2");
  b1.RunHub();
  b1.Advance(3000);
  EXPECT_EQ(Texts(b2.Take(stays)), "12");
  EXPECT_EQ(Texts(b2.Take(leaves)), "1");
  EXPECT_EQ(Texts(b2.Take(joins)), "2");
}

TEST_F(BigGroup, FailedStepsAreRepeatedWithoutDoubles) {
  const std::string chat = MakeGroup(b1, alice, 500);
  b1.RunHub();
  const SessionId bob = b2.Device("m499", "d");
  b2.Take(bob);
  for (uint64_t i = 1; i <= 5; ++i) b1.SendChat(alice, i, chat, std::to_string(i));
  for (int i = 0; i < 200; ++i) {
    for (World* world : {&b1, &b2}) {
      if (world->queue().size() == 0) continue;
      const bool append = std::holds_alternative<hub::Append>(world->queue().Peek());
      if (append && i % 3 == 0) {
        world->queue().LoseNext();
      } else if (append && i % 5 == 0) {
        world->queue().FailNext();
      } else {
        world->queue().RunOne();
      }
    }
  }
  EXPECT_EQ(TextsIn(b2, bob, 20), "12345");
  EXPECT_EQ(b1.hub().state().users.at("m3").chats.at(chat), b1.hub().state().chats.at(chat).last);
}

// ---- fan-out shared by brokers ----------------------------------------------------------------

class Shares : public BigGroup {
 protected:
  // Partitions by their holder.
  std::map<std::string, size_t> Holders() {
    std::map<std::string, size_t> count;
    for (uint32_t p = 0; p < 64; ++p) {
      const auto& lease = b1.hub().mutable_state().partitions[p].leases[hub::Role::kFanOut];
      if (lease.until >= b1.now().unix_ms) ++count[lease.owner];
    }
    return count;
  }
};

TEST_F(Shares, EachPartitionHasOneHolderAndTheLivingShareThem) {
  b1.Advance(6000);
  auto holders = Holders();
  EXPECT_EQ(holders["b1#1"] + holders["b2#1"], 64U);
  EXPECT_GT(holders["b1#1"], 15U);
  EXPECT_GT(holders["b2#1"], 15U);
  World b3(b1, "b3", Big());
  b3.HubUp();
  b1.Advance(10'000);
  holders = Holders();
  EXPECT_EQ(holders["b1#1"] + holders["b2#1"] + holders["b3#1"], 64U);
  EXPECT_GT(holders["b3#1"], 8U);
}

TEST_F(Shares, WhatADeadBrokerHadToDoIsDoneByAnother) {
  const std::string chat = MakeGroup(b1, alice, 300);
  b1.Advance(10'000);
  const SessionId bob = b2.Device("m299", "d");
  b2.Take(bob);
  b1.SendChat(alice, 1, chat, "last words");
  while (Waiting<hub::Send>(b1) > 0) b1.queue().RunOne();
  b1.Die();
  EXPECT_EQ(TextsIn(b2, bob, 20), "last words");
  EXPECT_EQ(Holders()["b2#1"], 64U);
}

// ---- draining ---------------------------------------------------------------------------------

class Draining : public testing::Test {
 protected:
  Draining() {
    for (World* world : {&b1, &b2}) {
      world->HubUp();
      world->Handle(RelayUp{});
    }
    b1.RunHub();
  }
  // Devices of a broker that has them closed: the shell ends their connections.
  size_t EndKicked() {
    size_t ended = 0;
    std::erase_if(sessions, [&](SessionId session) {
      if (!b1.Kicked(session)) return false;
      b1.Disconnect(session);
      ++ended;
      return true;
    });
    return ended;
  }
  World b1;
  World b2{b1, "b2"};
  std::vector<SessionId> sessions;
};

TEST_F(Draining, EverybodyIsMovedAwayAtABoundedRateAndThenItIsEmpty) {
  for (int i = 0; i < 1500; ++i) {
    sessions.push_back(b1.Device("u" + std::to_string(i), "d"));
    if (i % 500 == 0) b1.Advance(500);
  }
  b1.Advance(5000);
  const std::vector<SessionId> all = sessions;
  const int64_t begin = b1.now().mono_ms;
  b1.Handle(Drain{});
  EXPECT_EQ(b1.Connect("late", "d"), 0U);
  EXPECT_EQ(b1.verdict(), Verdict::kLater);
  size_t most = 0;
  while (!b1.emptied() && b1.now().mono_ms - begin < 60'000) {
    b1.Advance(100);
    most = std::max(most, EndKicked());
  }
  EXPECT_TRUE(b1.emptied());
  EXPECT_LE(b1.now().mono_ms - begin, 30'000);
  EXPECT_GE(b1.now().mono_ms - begin, 3000) << "500 a second";
  EXPECT_LE(most, 120U);
  EXPECT_TRUE(sessions.empty());
  for (const SessionId session : all) {
    const auto frames = b1.Take(session);
    ASSERT_FALSE(frames.empty());
    ASSERT_EQ(frames.back().notice().kind(), v1::Notice::SHUTTING_DOWN);
  }
  EXPECT_FALSE(b1.hub().state().living.contains("b1#1"));
  EXPECT_TRUE(b1.hub().state().dying.empty());
  b1.Advance(10'000);
  EXPECT_FALSE(b1.hub().state().living.contains("b1#1")) << "it does not beat any more";
}

TEST_F(Draining, WhoMovesToAnotherBrokerNeverShowsAsOffline) {
  const SessionId eve = b2.Connect("eve", "watch");
  b2.Subscribe(eve, "presence/alice");
  sessions.push_back(b1.Device("alice", "a"));
  b1.Advance(5000);
  b2.TakePackets(eve);
  b1.Handle(Drain{});
  b1.Advance(500);
  ASSERT_EQ(EndKicked(), 1U);
  b1.Advance(3000);
  b2.Device("alice", "a");
  b1.Advance(20'000);
  EXPECT_TRUE(b1.emptied());
  EXPECT_TRUE(b2.TakePackets(eve).empty());
}

TEST_F(Draining, SendsUnderWayAreAnsweredFirst) {
  const SessionId alice = b1.Device("alice", "a");
  sessions.push_back(alice);
  b1.SendText(alice, 1, "bob", "x");
  b1.Handle(Drain{});
  b1.AdvanceAlone(1000);
  EXPECT_FALSE(b1.Kicked(alice));
  b1.RunHub();
  EXPECT_TRUE(b1.Take(alice).at(0).has_accepted());
  b1.Advance(500);
  EXPECT_TRUE(b1.Kicked(alice));
}

TEST_F(Draining, IsOverInTimeWhateverHappens) {
  sessions.push_back(b1.Device("alice", "a"));
  b1.SendText(sessions[0], 1, "bob", "x");
  b1.Handle(Drain{});
  b1.AdvanceAlone(31'000);  // no hub, and a connection that does not end
  EXPECT_TRUE(b1.Kicked(sessions[0]));
  EXPECT_TRUE(b1.emptied());
}

TEST_F(Draining, ABrokerAloneLeavesNothingBehindForItsSuccessor) {
  b2.Die();
  sessions.push_back(b1.Device("alice", "a"));
  b1.Advance(5000);
  b1.Handle(Drain{});
  for (int i = 0; i < 20 && !b1.emptied(); ++i) {
    b1.Advance(1000);
    EndKicked();
  }
  EXPECT_TRUE(b1.emptied());
  EXPECT_TRUE(b1.hub().mutable_state().sessions["b1"].empty());
  EXPECT_FALSE(b1.hub().state().users.at("alice").online);
}

// What was said in a big group is acknowledged by everybody in the same moment: what others send
// does not stand behind all of that.
TEST(Acks, AreHandedOverAFewAtATime) {
  Config config;
  config.acks_at_once = 3;
  World world(config);
  const SessionId creator = world.Device("m0", "d");
  std::vector<SessionId> devices;
  for (int i = 1; i < 8; ++i) devices.push_back(world.Device("m" + std::to_string(i), "d"));
  const std::string chat = MakeGroup(world, creator, 8);
  world.RunHub();
  for (const SessionId device : devices) world.Take(device);
  world.SendChat(creator, 1, chat, "all of you");
  world.RunHub();

  std::vector<uint64_t> seqs;
  for (const SessionId device : devices) {
    seqs.push_back(world.Take(device).back().seq());
    world.Ack(device, seqs.back());
  }
  EXPECT_EQ(Waiting<hub::Ack>(world), 3U);
  world.SendChat(creator, 2, chat, "and again");
  for (size_t before = 0; before < 3;) before += world.queue().RunOne();
  EXPECT_EQ(Waiting<hub::Ack>(world), 3U);
  EXPECT_TRUE(std::holds_alternative<hub::Send>(world.queue().Peek(0)));
  world.queue().FailNext();          // the send's
  world.Disconnect(devices.back());  // hands over on its way out, whoever else is in line
  world.RunHub();
  world.Advance(2000);
  for (size_t i = 0; i < devices.size(); ++i) {
    const auto& user = world.hub().state().users.at("m" + std::to_string(i + 1));
    EXPECT_EQ(user.devices.at("d").acked, seqs[i]) << i;
  }
}

// A balancer ends, and thousands are cut in one moment: what the others send is not held up by it.
TEST(Crowds, LogoutsAndPresenceGoAFewAtATime) {
  World world;
  std::vector<SessionId> crowd;
  for (int i = 0; i < 300; ++i) crowd.push_back(world.Device("u" + std::to_string(i), "d"));
  const SessionId alice = world.Device("alice", "a");
  world.Advance(10'000);
  for (const SessionId one : crowd) world.Disconnect(one);
  EXPECT_EQ(Waiting<hub::Logout>(world), 16U);
  world.SendText(alice, 1, "bob", "hello");
  EXPECT_EQ(world.queue().size(), 17U);
  world.queue().FailNext();  // it is written down elsewhere, and the line goes on
  EXPECT_EQ(Waiting<hub::Logout>(world), 16U);
  world.RunHub();
  EXPECT_EQ(Waiting<hub::Logout>(world), 0U);

  size_t most = 0;
  world.on_action = [&](const Action& action) {
    if (std::holds_alternative<AskHub>(action)) {
      most = std::max(most, Waiting<hub::SetPresence>(world));
    }
  };
  world.Advance(10'000);
  EXPECT_LE(most, 16U) << "offline is said of all of them when their grace is over";
  for (int i = 0; i < 300; ++i) {
    EXPECT_FALSE(world.hub().state().users.at("u" + std::to_string(i)).online) << i;
  }
}

// Who has a thousand watchers here is shown to them in steps, and the last word is what they all
// see in the end.
TEST(Crowds, ManyWatchersAreShownAChangeInSteps) {
  World world;
  std::map<SessionId, std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const SessionId eve = world.Connect("eve" + std::to_string(i), "w");
    world.Subscribe(eve, "presence/alice");
    world.RunHub();
    seen[eve];
  }
  world.Advance(100);
  const auto look = [&] {
    size_t told = 0;
    for (auto& [eve, all] : seen) {
      for (const Packet& packet : world.TakePackets(eve)) {
        v1::Presence presence;
        EXPECT_TRUE(presence.ParseFromString(packet.payload));
        all += presence.online() ? '+' : '-';
        ++told;
      }
    }
    return told;
  };
  EXPECT_EQ(look(), 1000U);
  size_t in_one = 0, most = 0;
  world.on_event = [&](const Event&) { in_one = 0; };
  world.on_action = [&](const Action& action) {
    if (std::holds_alternative<PublishTo>(action)) most = std::max(most, ++in_one);
  };
  EXPECT_FALSE(world.engine().Unfinished()) << "timers alone are nothing to hurry for";
  const SessionId alice = world.Device("alice", "a");
  size_t steps = 0;
  for (int ms = 0; ms < 4000; ++ms) {
    world.Advance(1);
    if (world.engine().Unfinished()) ++steps;
  }
  EXPECT_EQ(steps, 3U) << "after each of four but the last";
  EXPECT_LE(most, 257U);
  EXPECT_EQ(look(), 1000U);

  // Some leave, and alice too, in the middle of it.
  world.Disconnect(alice);
  world.RunHub();
  world.Advance(5000);
  std::vector<SessionId> gone;
  for (const auto& [eve, all] : seen) {
    if (gone.size() < 100) gone.push_back(eve);
  }
  for (const SessionId eve : gone) {
    world.Disconnect(eve);
    seen.erase(eve);
  }
  world.RunHub();
  world.Advance(1000);
  look();
  for (const auto& [eve, all] : seen) EXPECT_EQ(all, "-+-");
}

}  // namespace
}  // namespace nightjar::core
