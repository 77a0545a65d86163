// Logins, logouts, routes, tails, recorded sessions, presence, reading the inbox.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class SessionTest : public HubTest {
 protected:
  SetPresenceReply Presence(const std::string& uid, bool online, const BrokerName& broker = kB1) {
    return Ask<SetPresenceReply>(SetPresence{uid, online, broker, world().clock()});
  }
  std::vector<std::string> Sessions(const BrokerName& broker) {
    std::vector<std::string> elements;
    for (const auto& s : SessionsOf(broker)) {
      elements.push_back(SessionElement(s));
    }
    return elements;
  }
  using Strings = std::vector<std::string>;
};
NIGHTJAR_HUB_SUITE(SessionTest);

TEST_P(SessionTest, FirstLogin) {
  const auto reply = Login("alice");
  EXPECT_EQ(reply, (LoginReply{Epoch(), 0, 0, false, "", 0, false}));
  EXPECT_EQ(Sessions(kB1), Strings{"alice:phone:1:b1#1"});
  const auto hidden = HiddenUser("alice");
  EXPECT_EQ(hidden.devices.at("phone").last_seen, kStartMs);
  EXPECT_EQ(hidden.devices.at("phone").route, "1 b1#1");
}

TEST_P(SessionTest, KnownDeviceStartsWhereItAcknowledged) {
  Login("bob");
  for (uint64_t i = 1; i <= 3; ++i) Send(kDirect, "alice", i);
  Ack("bob", 2);
  Logout("bob");
  EXPECT_EQ(Login("bob", "phone", kB2, 5), (LoginReply{Epoch(), 2, 3, false, "", 0, false}));
}

TEST_P(SessionTest, NewDeviceStartsAtTheFurthest) {
  Login("bob");
  for (uint64_t i = 1; i <= 3; ++i) Send(kDirect, "alice", i);
  EXPECT_EQ(Login("bob", "tablet"), (LoginReply{Epoch(), 0, 3, false, "", 0, false}));
  Ack("bob", 2);
  EXPECT_EQ(Login("bob", "watch"), (LoginReply{Epoch(), 2, 3, true, "", 0, false}));
  EXPECT_EQ(Ask<GetDeviceReply>(GetDevice{"bob", "watch"}), (GetDeviceReply{Epoch(), 3, 2}));
}

TEST_P(SessionTest, GoneEntriesMeanResync) {
  Login("bob");
  Logout("bob");
  for (uint64_t i = 1; i <= kInboxBound + 2; ++i) Send(kDirect, "alice", i);
  EXPECT_EQ(Login("bob"), (LoginReply{Epoch(), 2, kInboxBound + 2, true, "", 0, false}));
  EXPECT_EQ(Ask<GetDeviceReply>(GetDevice{"bob", "phone"}).acked, 2u);
}

TEST_P(SessionTest, AResyncIsToldUntilTheDeviceAcknowledgesAnything) {
  Login("bob");
  Logout("bob");
  for (uint64_t i = 1; i <= kInboxBound + 2; ++i) Send(kDirect, "alice", i);
  EXPECT_TRUE(Login("bob").resync);
  Logout("bob");
  EXPECT_TRUE(Login("bob").resync) << "the sync may have been lost with the connection";
  Ack("bob", 3);
  Logout("bob");
  EXPECT_FALSE(Login("bob").resync);
  Login("bob", "tablet");
  EXPECT_TRUE(Login("bob", "tablet").resync) << "a device the hub did not know";
  Ack("bob", 4, {}, "tablet");
  EXPECT_FALSE(Login("bob", "tablet").resync);
}

TEST_P(SessionTest, AnAcknowledgementFromBeforeAResyncSettlesNothing) {
  Login("bob");
  for (uint64_t i = 1; i <= kInboxBound + 2; ++i) Send(kDirect, "alice", i);
  EXPECT_TRUE(Login("bob").resync);  // starts after 2; its reply is lost
  EXPECT_EQ(Ack("bob", 1).acked, 2u) << "repeated by the link";
  EXPECT_TRUE(Login("bob").resync);
  Ack("bob", 2);  // who has what was passed over missed nothing
  EXPECT_FALSE(Login("bob").resync);
}

TEST_P(SessionTest, WhatAResyncPassesOverOwesNoPush) {
  Login("bob");
  Logout("bob");
  for (uint64_t i = 1; i <= kInboxBound + 2; ++i) Send(kDirect, "alice", i);
  EXPECT_EQ(HiddenUser("bob").owed, 1u);
  Login("bob");  // starts after 2
  EXPECT_EQ(HiddenUser("bob").owed, 3u) << "the rest still does";
}

TEST_P(SessionTest, AResyncOverEverythingOwesNoPush) {
  Login("bob");
  Send(kDirect, "alice", 1);
  Logout("bob");
  EXPECT_EQ(HiddenUser("bob").owed, 1u);
  world().Advance(int64_t{31} * 24 * 3600 * 1000);
  EXPECT_EQ(Login("bob"), (LoginReply{Epoch(), 1, 1, true, "", 0, false}));
  EXPECT_EQ(HiddenUser("bob").owed, 0u);
  EXPECT_FALSE(IsDue("bob"));
}

TEST_P(SessionTest, OldEntriesGoAtLogin) {
  for (uint64_t i = 1; i <= 3; ++i) Send(kDirect, "alice", i);
  world().Advance(limits::kInboxMs);
  Send(kDirect, "alice", 4);
  world().Advance(1);
  EXPECT_EQ(Login("bob"), (LoginReply{Epoch(), 3, 4, true, "", 0, false}));
  EXPECT_EQ(Inbox("bob").entries.size(), 1u);
  world().Advance(limits::kInboxMs + 1);
  EXPECT_EQ(Login("bob"), (LoginReply{Epoch(), 4, 4, true, "", 0, false}));
}

TEST_P(SessionTest, TakeoverReturnsThePrevious) {
  Login("alice", "phone", kB1, 1);
  const auto reply = Login("alice", "phone", kB2, 7);
  EXPECT_EQ(reply.previous_broker, kB1);
  EXPECT_EQ(reply.previous_session, 1u);
  EXPECT_EQ(Login("alice", "phone", kB2, 7).previous_broker, "");  // the same once more
  EXPECT_EQ(Login("alice", "phone", kB2, 8).previous_session, 7u);
  EXPECT_EQ(Logout("alice", "phone", kB1, 1), (LogoutReply{false, 1, false}));
  EXPECT_TRUE(Sessions(kB1).empty());
  EXPECT_EQ(Logout("alice", "phone", kB2, 8), (LogoutReply{true, 0, false}));
}

TEST_P(SessionTest, TheSeventeenthDeviceForgetsTheLongestUnseen) {
  const auto devices = Numbered("d", 17);
  for (int d = 0; d < 16; ++d) {
    world().Advance(1000);
    Login("bob", devices[d], kB1, static_cast<uint64_t>(d + 1));
  }
  world().Advance(1000);
  Logout("bob", devices[5], kB1, 6);  // without routes: d05, then d03 is seen last
  world().Advance(1000);
  Logout("bob", devices[3], kB1, 4);
  Send(kDirect, "alice", 1);
  Ack("bob", 1, {}, devices[5]);
  // Its start is of the time before the forgetting.
  EXPECT_EQ(Login("bob", devices[16], kB1, 17).start, 1u);
  EXPECT_EQ(Ack("bob", 1, {}, devices[5]).outcome, Acked::kUnknownDevice);
  EXPECT_EQ(Ack("bob", 0, {}, devices[3]).outcome, Acked::kDone);
  Login("bob", devices[5], kB1, 6);  // again: now d03 goes
  EXPECT_EQ(Ack("bob", 0, {}, devices[3]).outcome, Acked::kUnknownDevice);
  EXPECT_EQ(HiddenUser("bob").devices.size(), 16u);
}

TEST_P(SessionTest, IfAllHaveRoutesTheLongestUnseenGoes) {
  const auto devices = Numbered("d", 17);
  for (int d = 15; d >= 0; --d) {
    world().Advance(1000);
    Login("bob", devices[d], kB1, 1);
  }
  Login("bob", devices[16], kB1, 1);
  EXPECT_EQ(Ack("bob", 0, {}, devices[15]).outcome, Acked::kUnknownDevice);
  EXPECT_EQ(Logout("bob", devices[15], kB1, 1), (LogoutReply{false, 16, false}));
}

TEST_P(SessionTest, LogoutMakesDueIfSomethingIsOwed) {
  Login("bob", "phone", kB1, 1);
  Login("bob", "tablet", kB1, 2);
  Send(kDirect, "alice", 1);
  Send(kDirect, "alice", 2);
  Ack("bob", 1);
  EXPECT_FALSE(IsDue("bob"));
  EXPECT_EQ(Logout("bob", "phone", kB1, 1), (LogoutReply{true, 1, false}));
  EXPECT_FALSE(IsDue("bob"));
  world().Advance(700);
  EXPECT_EQ(Logout("bob", "tablet", kB1, 2), (LogoutReply{true, 0, false}));
  EXPECT_EQ(world().ReadHidden().partitions[P("bob")].due["bob"], kStartMs + 700);
  EXPECT_EQ(HiddenUser("bob").owed, 2u);
  Login("bob");
  EXPECT_FALSE(IsDue("bob"));
  EXPECT_EQ(HiddenUser("bob").owed, 2u);  // until it is acknowledged
  Ack("bob", 2);
  EXPECT_EQ(HiddenUser("bob").owed, 0u);
  Logout("bob");
  EXPECT_FALSE(IsDue("bob"));
}

TEST_P(SessionTest, LogoutOfAnotherSessionChangesNothing) {
  Login("alice", "phone", kB1, 2);
  Presence("alice", true);
  world().Advance(50);
  const std::string before = DumpAll();
  EXPECT_EQ(Logout("alice", "phone", kB1, 1), (LogoutReply{false, 1, true}));
  EXPECT_EQ(Logout("alice", "phone", "b1#2", 2), (LogoutReply{false, 1, true}));
  EXPECT_EQ(Logout("alice", "tablet", kB1, 2), (LogoutReply{false, 1, true}));
  EXPECT_EQ(DumpAll(), before);
  EXPECT_EQ(Logout("nobody"), (LogoutReply{false, 0, false}));
}

TEST_P(SessionTest, NamesAreJournalledWhenTheyChange) {
  hub::Login login{"alice", "phone", kB1, 1, world().clock(), "Alice", ""};
  Do(login);
  Do(login);
  login.name = "";
  login.email = "a@x";
  world().Advance(10);
  Do(login);
  login.name = "Alice";
  Do(login);
  const auto journal = ReadAllOf(Log::kJournal, P("alice"));
  ASSERT_EQ(journal.records.size(), 2u);
  v1::JournalRecord record;
  ASSERT_TRUE(record.ParseFromString(journal.records[0]));
  EXPECT_EQ(record.user().name(), "Alice");
  EXPECT_EQ(record.user().email(), "");
  ASSERT_TRUE(record.ParseFromString(journal.records[1]));
  EXPECT_EQ(record.user().uid(), "alice");
  EXPECT_EQ(record.user().name(), "Alice");
  EXPECT_EQ(record.user().email(), "a@x");
  EXPECT_EQ(record.user().at_ms(), kStartMs + 10);
}

TEST_P(SessionTest, SessionsAreListedByBrokerIdInPages) {
  Login("bob", "phone", kB1, 10);
  Login("bob", "phone-2", kB1, 9);
  Do(Tail{"bob", kB1, 3});
  First("b1#2");
  Login("alice", "phone", "b1#2", 11);
  Login("alice", "phone", kB2, 1);
  const Strings all = {"alice:phone:11:b1#2", "bob::0:b1#1", "bob:phone-2:9:b1#1",
                       "bob:phone:10:b1#1"};
  EXPECT_EQ(Sessions("b1#77"), all);
  EXPECT_EQ(Sessions("b1"), all);
  EXPECT_TRUE(Sessions("b").empty());
  Strings paged;
  std::string after;
  for (int pages = 0; pages < 10; ++pages) {
    const auto page =
        Ask<ListSessionsReply>(ListSessions{kB1, P("bob"), after, pages == 0 ? 0u : 2u});
    for (const auto& s : page.sessions) paged.push_back(SessionElement(s));
    after = page.next;
    if (after.empty()) break;
  }
  Strings bobs = all;
  if (P("alice") != P("bob")) bobs.erase(bobs.begin());
  EXPECT_EQ(paged, bobs);
}

TEST_P(SessionTest, ElementStaysUntilOfflineIsPublished) {
  Login("alice");
  EXPECT_TRUE(Presence("alice", true).changed);
  EXPECT_EQ(Logout("alice"), (LogoutReply{true, 0, true}));
  EXPECT_EQ(Sessions(kB1), Strings{"alice:phone:1:b1#1"});
  EXPECT_EQ(Logout("alice"), (LogoutReply{false, 0, true}));  // a repeat changes nothing
  EXPECT_EQ(Sessions(kB1), Strings{"alice:phone:1:b1#1"});
  EXPECT_TRUE(Presence("alice", false).changed);
  EXPECT_TRUE(Sessions(kB1).empty());
}

TEST_P(SessionTest, ElementGoesAtOnceIfNothingIsPublished) {
  Login("alice");
  Logout("alice");
  EXPECT_TRUE(Sessions(kB1).empty());
  Login("alice", "phone", kB1, 1);
  Login("alice", "tablet", kB1, 2);
  Presence("alice", true);
  Logout("alice", "phone", kB1, 1);
  EXPECT_EQ(Sessions(kB1), Strings{"alice:tablet:2:b1#1"});
}

TEST_P(SessionTest, OfflineRemovesOnlyWhatHoldsNoRoute) {
  Login("alice", "phone", kB1, 1);
  Presence("alice", true);
  Logout("alice", "phone", kB1, 1);
  Login("alice", "phone", kB1, 2);
  Login("alicette", "phone", kB1, 4);
  Do(Tail{"alice", kB1, 1});
  First("b1#2");
  Login("alice", "tablet", "b1#2", 3);
  EXPECT_EQ(Sessions(kB1).size(), 5u);
  const auto reply = Presence("alice", false);  // the routes disagree
  EXPECT_FALSE(reply.changed);
  EXPECT_TRUE(reply.state.online);
  EXPECT_EQ(Sessions(kB1), (Strings{"alice::0:b1#1", "alice:phone:2:b1#1", "alice:tablet:3:b1#2",
                                    "alicette:phone:4:b1#1"}));
}

TEST_P(SessionTest, ClearingADeadIncarnation) {
  Login("alice", "phone", kB1, 1);
  Presence("alice", true);
  Login("bob", "phone", kB1, 2);
  First("b1#2");
  Login("bob", "phone", "b1#2", 1);  // is back already
  for (const auto& s : SessionsOf("b1#2")) {
    if (s.broker == "b1#2") continue;
    const auto out = Logout(s.uid, s.device, s.broker, s.session);
    if (out.online && out.routes == 0) Presence(s.uid, false, s.broker);
  }
  EXPECT_EQ(Sessions(kB1), Strings{"bob:phone:1:b1#2"});
  EXPECT_FALSE(Ask<GetPresenceReply>(GetPresence{{"alice"}}).states[0].online);
}

TEST_P(SessionTest, PresenceFollowsTheRoutes) {
  EXPECT_EQ(Presence("alice", true), (SetPresenceReply{false, {"alice", false, 0}}));
  Login("alice");
  EXPECT_EQ(Presence("alice", false), (SetPresenceReply{false, {"alice", false, kStartMs}}));
  world().Advance(3000);
  EXPECT_EQ(Presence("alice", true), (SetPresenceReply{true, {"alice", true, kStartMs + 3000}}));
  world().Advance(100);
  EXPECT_EQ(Presence("alice", true), (SetPresenceReply{false, {"alice", true, kStartMs + 3000}}));
  EXPECT_TRUE(Login("alice", "phone", kB1, 2).online);
  Logout("alice", "phone", kB1, 2);
  EXPECT_EQ(Presence("alice", true), (SetPresenceReply{false, {"alice", true, kStartMs + 3100}}));
  world().Advance(5000);
  EXPECT_EQ(Presence("alice", false), (SetPresenceReply{true, {"alice", false, kStartMs + 8100}}));
  EXPECT_EQ(Ask<GetPresenceReply>(GetPresence{{"bob", "alice", "bob"}}).states,
            (std::vector<PresenceState>{
                {"bob", false, 0}, {"alice", false, kStartMs + 8100}, {"bob", false, 0}}));
}

// Each broker lets a grace pass since the user went there: that of the last one counts.
TEST_P(SessionTest, OfflineIsTheWordOfTheBrokerThatWasLeftLast) {
  Login("alice");
  Presence("alice", true);
  Logout("alice");
  Login("alice", "phone", kB2);
  Logout("alice", "phone", kB2);
  EXPECT_FALSE(Presence("alice", false, kB1).changed);
  EXPECT_TRUE(Sessions(kB1).empty());
  EXPECT_EQ(Sessions(kB2).size(), 1U);  // still to be told by who clears it
  EXPECT_TRUE(Presence("alice", false, kB2).changed);
  EXPECT_TRUE(Sessions(kB2).empty());
}

TEST_P(SessionTest, TailsCountAbsolutely) {
  Do(Tail{"alice", kB1, 2});
  Do(Tail{"alice", kB1, 2});
  EXPECT_EQ(Sessions(kB1), Strings{"alice::0:b1#1"});
  Do(Tail{"alice", kB1, 0});
  EXPECT_TRUE(Sessions(kB1).empty());
  Do(Tail{"alice", kB1, 0});
  EXPECT_TRUE(HiddenUser("alice").tails.empty());
  EXPECT_FALSE(Presence("alice", true).changed);  // a tail is no device
}

TEST_P(SessionTest, ReadInboxByCountAndBytes) {
  for (uint64_t i = 1; i <= 5; ++i) Send(kDirect, "alice", i);
  const size_t size = Inbox("bob").entries[0].size();
  const auto read = [&](uint64_t from, uint32_t count, size_t bytes) {
    const auto r = Ask<ReadInboxReply>(ReadInbox{"bob", from, count, static_cast<uint32_t>(bytes)});
    return std::vector<uint64_t>{r.first, r.head, r.entries.size()};
  };
  using V = std::vector<uint64_t>;
  EXPECT_EQ(read(1, 3, 10'000), (V{1, 5, 3}));
  EXPECT_EQ(read(0, 3, 10'000), (V{1, 5, 3}));
  EXPECT_EQ(read(4, 3, 10'000), (V{4, 5, 2}));
  EXPECT_EQ(read(2, 9, 2 * size), (V{2, 5, 2}));
  EXPECT_EQ(read(2, 9, 2 * size - 1), (V{2, 5, 1}));
  EXPECT_EQ(read(2, 9, 0), (V{2, 5, 1}));
  EXPECT_EQ(read(6, 9, 10'000), (V{6, 5, 0}));
  EXPECT_EQ(read(99, 9, 10'000), (V{99, 5, 0}));
  EXPECT_EQ(read(1, 0, 10'000), (V{1, 5, 0}));
  Login("bob");
  Ack("bob", 3);
  EXPECT_EQ(read(1, 9, 10'000), (V{4, 5, 2}));
  EXPECT_EQ(Ask<ReadInboxReply>(ReadInbox{"nobody", 0, 9, 9}), (ReadInboxReply{1, 0, {}}));
}

TEST_P(SessionTest, HeadsSayWhoseTheRouteIs) {
  for (uint64_t i = 1; i <= 3; ++i) Send(kDirect, "alice", i);
  Login("bob", "phone", kB1, 4);
  Login("bob", "tablet", kB2, 4);
  Login("bob", "watch", kB1, 7);
  Logout("bob", "watch", kB1, 7);
  EXPECT_EQ(HeadsOf({{"bob", "phone", 4},
                     {"bob", "phone", 3},   // an earlier session
                     {"bob", "tablet", 4},  // the number is another broker's
                     {"bob", "watch", 7},
                     {"bob", "unknown", 1},
                     {"bob", "", 0}}),
            (HeadsReply{{{Epoch(), 3, Standing::kMine},
                         {Epoch(), 3, Standing::kOther},
                         {Epoch(), 3, Standing::kOther},
                         {Epoch(), 3, Standing::kNone},
                         {Epoch(), 3, Standing::kNone},
                         {Epoch(), 3, Standing::kNone}}}));
  First("b1#2");
  EXPECT_EQ(HeadsOf({{"bob", "phone", 4}}, "b1#2").sessions,
            (std::vector<HeadsReply::Stand>{{Epoch(), 3, Standing::kOther}}));
}

TEST_P(SessionTest, HeadsAndDevicesOfNobody) {
  EXPECT_EQ(HeadsOf({{"x", "phone", 1}, {"y", "", 0}}),
            (HeadsReply{{{Epoch(), 0, Standing::kNone}, {Epoch(), 0, Standing::kNone}}}));
  EXPECT_EQ(HeadsOf({}), HeadsReply{});
  EXPECT_EQ(Ask<GetDeviceReply>(GetDevice{"x", "y"}), (GetDeviceReply{Epoch(), 0, 0}));
  const uint64_t epoch = Epoch();
  world().RaiseEpoch();
  EXPECT_EQ(HeadsOf({{"x", "phone", 1}}).sessions.at(0).epoch, epoch + 1);
  EXPECT_EQ(Login("x").epoch, epoch + 1);
}

}  // namespace nightjar::hub::contract
