// Taking back from the store: what was lost, in parts, in any order and repeated, while people go
// on.
#include <algorithm>
#include <random>
#include <regex>

#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class RestoreTest : public HubTest {
 protected:
  void Close() { Ask<Done>(Rebuild{AllPartitions(), true}); }
  void Open() { Ask<Done>(Rebuild{AllPartitions(), false}); }
  void Restore(const Call& call) { Ask<Done>(call); }
  MsgId Id(int64_t ms_before, uint32_t n = 0) { return MakeMsgId(world().clock() - ms_before, n); }
  RestoreChat Part(const std::string& chat) {
    RestoreChat part;
    part.record.chat = chat;
    return part;
  }
  // The part that makes the chat exist.
  RestoreChat Whole(const std::string& chat, MsgId last) {
    RestoreChat part = Part(chat);
    part.record.last_msg_id = last;
    part.record.created_ms = world().clock() - 100'000;
    part.record.created_by = "alice";
    if (chat == kDirect) {
      part.first_id = Id(100'000);
    } else {
      part.record.title = "as it was";
    }
    return part;
  }
  RestoreChat GroupOfThree(MsgId last) {
    RestoreChat part = Whole(kGroup, last);
    part.members = {{"alice", Id(100'000), 0}, {"bob", Id(100'000), 0}, {"carol", Id(90'000), 0}};
    return part;
  }
};
NIGHTJAR_HUB_SUITE(RestoreTest);
INSTANTIATE_TEST_SUITE_P(ByPartition, RestoreTest, testing::Values("fake-split", "redis-split"),
                         [](const auto& kind) {
                           return std::string(kind.param.substr(0, kind.param.find('-')));
                         });

TEST_P(RestoreTest, AChatIsThereWithItsNewestId) {
  auto windows = Part(kDirect);
  windows.windows = {{"alice", "phone", {{7, Id(50'000)}, {9, Id(40'000)}}}};
  windows.delivered = {{"bob", Id(45'000)}};
  Restore(windows);
  EXPECT_FALSE(Ask<GetChatReply>(GetChat{kDirect, 0, true}).found);
  Restore(Whole(kDirect, Id(30'000)));
  const auto chat = Ask<GetChatReply>(GetChat{kDirect, 0, true});
  ASSERT_TRUE(chat.found);
  EXPECT_EQ(chat.record.last_msg_id, Id(30'000));
  EXPECT_EQ(chat.record.created_ms, world().clock() - 100'000);
  EXPECT_EQ(chat.record.created_by, "alice");
  EXPECT_EQ(chat.record.version, 1u);
  EXPECT_EQ(chat.record.member_count, 2u);
  EXPECT_EQ(chat.members,
            (std::vector<Member>{{"alice", Id(100'000), 0}, {"bob", Id(100'000), 0}}));
  EXPECT_EQ(Ask<GetReceiptsReply>(GetReceipts{"alice", {kDirect}}).chats.at(0).marks,
            (std::vector<Mark>{{"bob", Id(45'000)}}));

  const auto repeat = Send(kDirect, "alice", 9);
  EXPECT_EQ(repeat.outcome, Sent::kRepeat);
  EXPECT_EQ(repeat.msg_id, Id(40'000));
  const auto fresh = Send(kDirect, "alice", 10);
  EXPECT_EQ(fresh.outcome, Sent::kAccepted);
  EXPECT_EQ(MsgIdMs(fresh.msg_id), world().clock());
}

TEST_P(RestoreTest, IdsNeverGoBack) {
  // Given while the hub's clock was ahead.
  const MsgId last = MakeMsgId(world().clock() + 60'000, 5);
  Restore(Whole(kDirect, last));
  EXPECT_EQ(Send(kDirect, "alice", 1).msg_id, last + 1);
  Restore(Whole(kDirect, last - 3));
  EXPECT_EQ(Send(kDirect, "alice", 2).msg_id, last + 2);
}

TEST_P(RestoreTest, AGroupIsWhatItWas) {
  if (GetParam().ends_with("-split")) GTEST_SKIP() << "there a task knows the members";
  auto group = GroupOfThree(Id(1'000));
  group.members.push_back({"dave", Id(90'000), Id(2'000)});
  group.delivered = {{"bob", Id(3'000)}, {"alice", Id(1'000)}};
  Restore(group);
  const auto chat = Ask<GetChatReply>(GetChat{kGroup, 0, true});
  EXPECT_EQ(chat.record.title, "as it was");
  EXPECT_EQ(chat.record.member_count, 3u);
  EXPECT_EQ(chat.members, group.members);
  EXPECT_EQ(Ask<GetReceiptsReply>(GetReceipts{"carol", {kGroup}}).chats.at(0).marks,
            (std::vector<Mark>{{"alice", Id(1'000)}, {"bob", Id(3'000)}}));
  EXPECT_TRUE(Ask<GetReceiptsReply>(GetReceipts{"dave", {kGroup}}).chats.empty());
  EXPECT_EQ(Create(kGroup, {"alice"}).outcome, Changed::kExists);
  // Everybody is reached, the change goes to those whom the caller did not name, too.
  EXPECT_EQ(SendGroup(kGroup, "bob", 1).outcome, Sent::kAccepted);
  EXPECT_EQ(SendGroup(kGroup, "dave", 1).outcome, Sent::kDenied);
  const auto update =
      Ask<ChangeReply>(MakeUpdate(kGroup, "alice", chat.record.version, {"dave"}, {"bob"}));
  EXPECT_EQ(update.outcome, Changed::kDone);
  EXPECT_EQ(update.record.version, chat.record.version + 1);
  EXPECT_EQ(update.record.member_count, 3u);
  EXPECT_EQ(Inbox("carol").entries.size(), 2u);
  EXPECT_EQ(Inbox("dave").entries.size(), 1u);
}

TEST_P(RestoreTest, AVersionFromBeforeIsStale) {
  if (GetParam().ends_with("-split")) GTEST_SKIP() << "there a task knows the members";
  for (int i = 0; i < 3; ++i) {
    world().Reset();
    Create(kGroup, {"alice", "bob"});
    auto send = MakeSend(kGroup, "alice", 1);
    send.version = Ask<GetChatReply>(GetChat{kGroup, 0, false}).record.version + i;
    send.members = {"alice", "bob"};
    world().Reset();
    Restore(GroupOfThree(Id(1'000)));
    const auto stale = Ask<SendReply>(send);
    EXPECT_EQ(stale.outcome, Sent::kStale);
    EXPECT_EQ(stale.members, (std::vector<std::string>{"alice", "bob", "carol"}));
    // Members that come to what is there already make it another version; the same ones do not.
    auto more = Part(kGroup);
    more.members = {{"dave", Id(500), 0}};
    const auto version = [&] {
      return Ask<GetChatReply>(GetChat{kGroup, 0, false}).record.version;
    };
    const uint64_t before = version();
    Restore(more);
    EXPECT_EQ(version(), before + 1);
    Restore(more);
    Restore(GroupOfThree(Id(1'000)));
    EXPECT_EQ(version(), before + 1);
  }
}

TEST_P(RestoreTest, TheNewerSpanOfAMemberStays) {
  Restore(GroupOfThree(Id(1'000)));
  const auto members = [&] { return Ask<GetChatReply>(GetChat{kGroup, 0, true}).members; };
  auto part = Part(kGroup);
  part.members = {{"alice", Id(200'000), Id(150'000)},  // a span before the one that is there
                  {"bob", Id(100'000), Id(5'000)},      // left since
                  {"carol", Id(80'000), 0}};            // came back since
  Restore(part);
  EXPECT_EQ(members(), (std::vector<Member>{{"alice", Id(100'000), 0},
                                            {"bob", Id(100'000), Id(5'000)},
                                            {"carol", Id(80'000), 0}}));
  EXPECT_EQ(Ask<GetChatReply>(GetChat{kGroup, 0, false}).record.member_count, 2u);
  Restore(GroupOfThree(Id(1'000)));
  EXPECT_EQ(members().at(1).left, Id(5'000));
}

TEST_P(RestoreTest, WhoLeftLongAgoIsForgottenByTheNextChange) {
  auto group = GroupOfThree(Id(1'000));
  group.members.push_back({"dave", Id(90'000), Id(80'000)});
  Restore(group);
  world().Advance(kLeftKeptMs);
  const uint64_t version = Ask<GetChatReply>(GetChat{kGroup, 0, false}).record.version;
  Ask<ChangeReply>(MakeUpdate(kGroup, "alice", version, {}, {"bob"}));
  const auto members = Ask<GetChatReply>(GetChat{kGroup, 0, true}).members;
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members.back().uid, "carol");
}

TEST_P(RestoreTest, WindowsKeepTheHighest) {
  Restore(Whole(kDirect, Id(1)));
  auto low = Part(kDirect), high = Part(kDirect);
  low.windows = {{"alice", "phone", {}}};
  high.windows = {{"alice", "phone", {}}};
  for (uint64_t c = 1; c <= 10; ++c) low.windows[0].sent.emplace_back(c, Id(1'000 - c));
  for (uint64_t c = 8; c <= 20; ++c) high.windows[0].sent.emplace_back(c, Id(900 - c));
  Restore(high);
  Restore(low);
  Restore(low);
  EXPECT_EQ(Send(kDirect, "alice", 4).outcome, Sent::kBelowWindow);
  // Said twice, the first one counts: of 8 that is what `low` knows.
  EXPECT_EQ(Send(kDirect, "alice", 8).msg_id, std::min(Id(1'000 - 8), Id(900 - 8)));
  for (uint64_t c = 5; c <= 20; ++c) {
    EXPECT_EQ(Send(kDirect, "alice", c).outcome, Sent::kRepeat) << c;
  }
  EXPECT_EQ(Send(kDirect, "alice", 21).outcome, Sent::kAccepted);
  EXPECT_EQ(Send(kDirect, "alice", 5).outcome, Sent::kBelowWindow);
}

TEST_P(RestoreTest, SixteenDevicesAndAFloor) {
  std::vector<RestoreChat> parts;
  for (int d = 0; d < 18; ++d) {
    auto part = Part(kDirect);
    const uint64_t c = 100 + 10 * static_cast<uint64_t>(d);
    part.windows = {{"alice", "d" + std::to_string(d), {{c, Id(1'000 - d)}}}};
    parts.push_back(part);
  }
  parts.push_back(Part(kDirect));
  parts.back().floors = {{"alice", 50}, {"bob", 5}};
  parts.push_back(Whole(kDirect, Id(1)));
  std::mt19937 random(5);
  for (int round = 0; round < 5; ++round) {
    world().Reset();
    std::shuffle(parts.begin(), parts.end(), random);
    for (const auto& part : parts) Restore(part);
    for (const auto& part : parts) Restore(part);
    const auto from = [&](int d, uint64_t c) {
      auto send = MakeSend(kDirect, "alice", c);
      send.device = "d" + std::to_string(d);
      return Ask<SendReply>(send).outcome;
    };
    EXPECT_EQ(from(0, 100), Sent::kBelowWindow);
    EXPECT_EQ(from(1, 110), Sent::kBelowWindow);
    EXPECT_EQ(from(2, 120), Sent::kRepeat);
    EXPECT_EQ(from(17, 270), Sent::kRepeat);
    EXPECT_EQ(from(17, 110), Sent::kBelowWindow);
    EXPECT_EQ(from(17, 111), Sent::kAccepted);
    EXPECT_EQ(Send(kDirect, "bob", 5).outcome, Sent::kBelowWindow);
    EXPECT_EQ(Send(kDirect, "bob", 6).outcome, Sent::kAccepted);
  }
}

TEST_P(RestoreTest, PeopleWhoBeganAnewKeepWhatTheySaid) {
  // In the empty hub, before anybody thought of the store.
  Login("bob");
  const auto anew = Send(kDirect, "bob", 3, "anew");
  Close();
  auto part = Whole(kDirect, Id(30'000));
  part.windows = {{"bob", "phone", {{1, Id(60'000)}, {3, Id(50'000)}}}};
  Restore(part);
  Restore(RestoreUser{"bob", "Bob", "", {{kDirect, Id(30'000)}}, {}, {}});
  Open();
  const auto chat = Ask<GetChatReply>(GetChat{kDirect, 0, true});
  EXPECT_EQ(chat.record.last_msg_id, anew.msg_id);
  EXPECT_EQ(chat.record.created_by, "alice");
  EXPECT_EQ(chat.members.at(0).joined, Id(100'000));
  EXPECT_EQ(Send(kDirect, "bob", 1).msg_id, Id(60'000));
  EXPECT_EQ(Ask<UserChatsReply>(UserChats{"bob"}).chats.at(0).second, anew.msg_id);
  EXPECT_EQ(Inbox("alice").entries.size(), 1u);
}

TEST_P(RestoreTest, AUserIsWhatItWas) {
  Close();
  RestoreUser user{"alice",
                   "Alice",
                   "a@example.org",
                   {{kDirect, Id(500)}, {kGroup, Id(900)}},
                   {{"phone", "registration"}},
                   {{kGroup, "", -1}, {"", "tablet", 12345}}};
  Restore(user);
  Open();
  const auto hidden = HiddenUser("alice");
  EXPECT_EQ(hidden.other.at("name"), "Alice");
  EXPECT_EQ(hidden.other.at("email"), "a@example.org");
  EXPECT_EQ(hidden.other.at("r:phone"), "registration");
  EXPECT_EQ(hidden.other.at("c:" + kGroup), "-1");
  EXPECT_EQ(hidden.other.at("m:tablet"), "12345");
  using Chats = std::vector<std::pair<std::string, MsgId>>;
  EXPECT_EQ(Ask<UserChatsReply>(UserChats{"alice"}).chats,
            (Chats{{kDirect, Id(500)}, {kGroup, Id(900)}}));

  // What an old fan-out brings late is there already.
  hub::Append append{kGroup, {{Id(950), "bob", "phone", "old", "old"}}, {"alice"}, kB1};
  Appended(append);
  EXPECT_EQ(Inbox("alice").entries.size(), 0u);
  append.messages[0].msg_id = Id(100);
  Appended(append);
  EXPECT_EQ(Inbox("alice").entries.size(), 1u);

  // What the hub has stays.
  user.name = "Old Name";
  user.push = {{"phone", "older"}};
  user.mutes = {{kGroup, "", 77}};
  user.chats = {{kDirect, Id(900)}, {kGroup, Id(800)}};
  const std::string before = DumpAll();
  Restore(user);
  EXPECT_EQ(DumpAll(), before);
}

TEST_P(RestoreTest, DevicesThatTheHubDoesNotKnowAreToldToResync) {
  Close();
  Restore(RestoreUser{"alice", "Alice", "", {{kDirect, Id(500)}}, {}, {}});
  Open();
  const auto first = Login("alice");
  EXPECT_TRUE(first.resync);
  EXPECT_EQ(first.start, first.head);
  Ack("alice", first.head);
  EXPECT_FALSE(Login("alice").resync);
  EXPECT_TRUE(Login("alice", "tablet").resync);
  Send(kDirect, "bob", 1);
  EXPECT_EQ(Inbox("alice", first.head + 1).entries.size(), 1u);
}

TEST_P(RestoreTest, AUserWhoWentOnIsNumberedAnewWhileClosed) {
  Login("alice");
  const auto sent = Send(kDirect, "bob", 1);
  Close();
  for (int i = 0; i < 2; ++i) Restore(RestoreUser{"alice", "", "", {{kDirect, Id(500)}}, {}, {}});
  Open();
  EXPECT_EQ(Inbox("alice").entries, std::vector<std::string>{Shared(sent.msg_id)});
  EXPECT_EQ(Head("alice"), 2u);
  const auto device = Login("alice", "tablet");
  EXPECT_TRUE(device.resync);
  EXPECT_EQ(device.start, 1u);
  // Open again, nobody is moved.
  const std::string before = DumpAll();
  Restore(RestoreUser{"alice", "", "", {{kDirect, Id(500)}}, {}, {}});
  EXPECT_EQ(DumpAll(), before);
}

TEST_P(RestoreTest, ClosingAndOpeningTwiceIsOnce) {
  const uint64_t before = Epoch();
  Open();
  EXPECT_EQ(Epoch(), before);
  Close();
  Close();
  Open();
  const uint64_t after = Epoch();
  EXPECT_EQ(after, before + 1);
  Open();
  EXPECT_EQ(Epoch(), after);
  world().Advance(3'600'000);
  Close();
  Open();
  EXPECT_GE(Epoch(), after + 3599);
}

TEST_P(RestoreTest, WhatAPersisterHoldsIsNotClosed) {
  const uint64_t token = TakeLease(Role::kPersist, "p1", 1);
  const Reply refused = Do(Rebuild{{0, 1}, true});
  ASSERT_TRUE(std::holds_alternative<Failure>(refused));
  EXPECT_EQ(std::get<Failure>(refused).kind, Failure::Kind::kInternal);
  EXPECT_NE(std::get<Failure>(refused).message.find("p1"), std::string::npos);
  Open();
  EXPECT_EQ(TakeLease(Role::kPersist, "p1", 1), token);
  TakeLease(Role::kFanOut, "b1", 1);
  world().Advance(5001);
  Close();
  Open();
}

TEST_P(RestoreTest, InAnyOrderAndRepeatedItComesToTheSame) {
  std::mt19937 random(11);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int seed = 0; seed < 20; ++seed) {
    std::vector<Call> parts;
    for (const auto& chat : {kDirect, kGroup}) {
      for (int i = 0; i < 6; ++i) {
        auto part = i < 2 ? Whole(chat, Id(1'000 - below(900))) : Part(chat);
        if (chat == kDirect) part.first_id = Id(100'000);
        for (const auto& uid : {"alice", "bob"}) {
          if (below(2) == 0) part.delivered.push_back({uid, Id(below(5'000))});
          if (below(3) == 0) part.floors.push_back({uid, below(40)});
          if (chat == kGroup && below(2) == 0) {
            const MsgId joined = Id(90'000 - below(5));
            part.members.push_back({uid, joined, below(2) == 0 ? joined + 1 + below(3) : 0});
          }
          for (const auto& device : {"phone", "tablet"}) {
            RestoreChat::Window window{uid, device, {}};
            for (uint64_t c = 1; c < 30; ++c) {
              if (below(3) == 0 && window.sent.size() < 16) {
                window.sent.emplace_back(c, Id(50'000, static_cast<uint32_t>(c)) + below(2));
              }
            }
            if (!window.sent.empty()) part.windows.push_back(window);
          }
        }
        parts.push_back(part);
      }
    }
    const auto run = [&] {
      world().Reset();
      Close();
      for (const Call& part : parts) Restore(part);
      for (const Call& part : parts) {
        if (below(2) == 0) Restore(part);
      }
      Open();
      // The version counts what changed on the way.
      return std::regex_replace(DumpAll(), std::regex("version=[0-9]+"), "version");
    };
    const std::string once = run();
    std::shuffle(parts.begin(), parts.end(), random);
    ASSERT_EQ(run(), once) << "round " << seed;
  }
}

}  // namespace nightjar::hub::contract
