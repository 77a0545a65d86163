// Leases, logs, push settings, dead letters, the hub itself; and repeats of every call.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class WorkTest : public HubTest {
 protected:
  std::vector<uint64_t> Tokens(Role role, const std::string& owner,
                               std::vector<uint32_t> partitions, int64_t ttl = 5000) {
    return Ask<LeaseReply>(Lease{role, owner, std::move(partitions), ttl}).tokens;
  }
  std::vector<bool> Trim(Log log, std::vector<TrimLog::Upto> upto) {
    return Ask<TrimLogReply>(TrimLog{log, std::move(upto)}).held;
  }
  // The token of a lease taken when the clock shows this, if none was taken in that millisecond
  // before.
  uint64_t At(int64_t clock) { return static_cast<uint64_t>(clock); }
  using V = std::vector<uint64_t>;
  using Held = std::vector<bool>;
};
NIGHTJAR_HUB_SUITE(WorkTest);

// Seconds since 2025, and never 0.
TEST_P(WorkTest, TheFirstEpochIsOfTheClock) {
  EXPECT_EQ(Ask<InfoReply>(hub::Info{}), (InfoReply{2, 2, 1'790'000'000 - 1'735'689'600}));
  world().SetClock(1'000'000);
  world().Reset();
  EXPECT_EQ(Ask<InfoReply>(hub::Info{}), (InfoReply{2, 2, 1}));
}

TEST_P(WorkTest, LeasesAreTakenRenewedAndGivenBack) {
  const uint64_t t = At(kStartMs);
  EXPECT_EQ(Tokens(Role::kPersist, "one", {0, 1}), (V{t, t}));
  EXPECT_EQ(Tokens(Role::kPersist, "two", {1, 0}), (V{0, 0}));
  EXPECT_EQ(Tokens(Role::kFanOut, "two", {1}), (V{t}));  // another role
  world().Advance(4999);
  EXPECT_EQ(Tokens(Role::kPersist, "one", {0}), (V{t}));  // renewed, the same token
  world().Advance(1);
  const uint64_t u = At(kStartMs + 5000);
  EXPECT_EQ(Tokens(Role::kPersist, "two", {0, 1}), (V{0, u}));
  EXPECT_EQ(Tokens(Role::kPersist, "two", {0, 1}, 0), (V{0, 0}));  // gives its own back only
  EXPECT_EQ(Tokens(Role::kPersist, "three", {0, 1}), (V{0, u + 1}));
  EXPECT_EQ(Tokens(Role::kPersist, "one", {0}, 0), (V{0}));
  EXPECT_EQ(Tokens(Role::kPersist, "one", {0}, 0), (V{0}));
  world().Advance(-3000);
  EXPECT_EQ(Tokens(Role::kPersist, "one", {0}), (V{At(kStartMs + 2000)}));
  EXPECT_EQ(Tokens(Role::kPersist, "three", {1}, 0), (V{0}));
  EXPECT_EQ(Tokens(Role::kPersist, "one", {1}), (V{u + 2}));  // tokens are never used again
}

TEST_P(WorkTest, AnOwnersExpiredLeaseIsANewOne) {
  EXPECT_EQ(Tokens(Role::kNotify, "one", {0}, 100), (V{At(kStartMs)}));
  world().Advance(100);
  EXPECT_EQ(Tokens(Role::kNotify, "one", {0}, 100), (V{At(kStartMs + 100)}));
}

TEST_P(WorkTest, TrimsNeedTheToken) {
  Start({.partitions = 1});
  for (uint64_t i = 1; i <= 5; ++i) Send(kDirect, "alice", i);
  EXPECT_EQ(Trim(Log::kJournal, {{0, 0, 5}}), Held{false});
  const uint64_t fan_out = TakeLease(Role::kFanOut, "one", 0);
  const uint64_t token = TakeLease(Role::kPersist, "one", 0);
  EXPECT_EQ(fan_out, token);
  EXPECT_EQ(Trim(Log::kJournal, {{0, token + 1, 5}}), Held{false});
  EXPECT_EQ(Trim(Log::kJournal, {{0, token, 2}}), Held{true});
  EXPECT_EQ(Trim(Log::kJournal, {{0, token, 2}}), Held{true});  // repeated: nothing
  EXPECT_EQ(Trim(Log::kJournal, {{0, token, 1}}), Held{true});
  EXPECT_EQ(ReadAllOf(Log::kJournal, 0).first, 2u);
  EXPECT_EQ(ReadAllOf(Log::kJournal, 0).records.size(), 3u);
  world().Advance(5000);
  EXPECT_EQ(Trim(Log::kJournal, {{0, token, 4}}), Held{false});  // expired
  const uint64_t next = TakeLease(Role::kPersist, "two", 0);
  EXPECT_EQ(Trim(Log::kJournal, {{0, token, 4}, {0, next, 3}, {0, 0, 9}}),
            (Held{false, true, false}));
  EXPECT_EQ(Trim(Log::kJournal, {{0, next, 6}}), Held{false});  // nobody has read beyond the end
  EXPECT_EQ(ReadAllOf(Log::kJournal, 0).records.size(), 2u);
  EXPECT_EQ(Trim(Log::kJournal, {{0, next, 5}}), Held{true});
  EXPECT_TRUE(ReadAllOf(Log::kJournal, 0).records.empty());
  Send(kDirect, "alice", 6);
  const auto slice = ReadAllOf(Log::kJournal, 0);
  EXPECT_EQ(slice.first, 5u);
  EXPECT_EQ(slice.end, 6u);
}

TEST_P(WorkTest, TrimAfterGivingBack) {
  Start({.partitions = 1});
  Send(kDirect, "alice", 1);
  const uint64_t token = TakeLease(Role::kPersist, "one", 0);
  TakeLease(Role::kPersist, "one", 0, 0);
  EXPECT_EQ(Trim(Log::kJournal, {{0, token, 1}}), Held{false});
}

TEST_P(WorkTest, TasksAndJournalTrimApart) {
  Start({.partitions = 1});
  Create(kGroup, Numbered("u", 9));
  const uint64_t persist = TakeLease(Role::kPersist, "one", 0);
  EXPECT_EQ(Trim(Log::kTasks, {{0, persist, 1}}), Held{false});
  const uint64_t fan_out = TakeLease(Role::kFanOut, "one", 0);
  EXPECT_EQ(Trim(Log::kTasks, {{0, fan_out, 1}}), Held{true});
  EXPECT_EQ(ReadAllOf(Log::kJournal, 0).records.size(), 1u);
  EXPECT_TRUE(ReadAllOf(Log::kTasks, 0).records.empty());
}

TEST_P(WorkTest, ReadLogByPositionCountAndBytes) {
  Start({.partitions = 1});
  for (uint64_t i = 1; i <= 5; ++i) Send(kDirect, "alice", i);
  const uint32_t size = static_cast<uint32_t>(ReadAllOf(Log::kJournal, 0).records[0].size());
  const auto read = [&](uint64_t from, uint32_t count, uint32_t bytes) -> V {
    const auto r = Ask<ReadLogReply>(ReadLog{Log::kJournal, {0}, from, count, bytes});
    if (r.slices.empty()) return {};
    return {r.slices[0].first, r.slices[0].end, r.slices[0].records.size()};
  };
  EXPECT_EQ(read(0, 256, 1 << 20), (V{0, 5, 5}));
  EXPECT_EQ(read(0, 2, 1 << 20), (V{0, 5, 2}));
  EXPECT_EQ(read(3, 256, 1 << 20), (V{3, 5, 2}));
  EXPECT_EQ(read(0, 256, 2 * size), (V{0, 5, 2}));
  EXPECT_EQ(read(0, 256, 2 * size - 1), (V{0, 5, 1}));
  EXPECT_EQ(read(0, 256, 0), (V{0, 5, 1}));
  EXPECT_EQ(read(5, 256, 1 << 20), (V{}));
  EXPECT_EQ(read(9, 256, 1 << 20), (V{}));
  const uint64_t token = TakeLease(Role::kPersist, "one", 0);
  Trim(Log::kJournal, {{0, token, 2}});
  EXPECT_EQ(read(1, 256, 1 << 20), (V{2, 5, 3}));
  EXPECT_EQ(read(4, 256, 1 << 20), (V{4, 5, 1}));
}

TEST_P(WorkTest, ReadLogOverPartitions) {
  Start({.partitions = 8});
  for (uint32_t p = 0; p < 8; p += 2) {  // a record in each even partition
    for (int i = 0;; ++i) {
      const std::string uid = "user" + std::to_string(i);
      if (PartitionOf(uid, 8) != p) continue;
      Do(PutPush{uid, "phone", "", std::string(100, 'x')});
      break;
    }
  }
  const auto read = [&](uint32_t bytes) {
    V taken;
    for (const auto& s :
         Ask<ReadLogReply>(ReadLog{Log::kJournal, {7, 6, 5, 4, 0, 2}, 0, 9, bytes}).slices) {
      taken.push_back(s.partition);
      taken.push_back(s.records.size());
    }
    return taken;
  };
  EXPECT_EQ(read(1000), (V{6, 1, 4, 1, 0, 1, 2, 1}));
  EXPECT_EQ(read(200), (V{6, 1, 4, 1, 0, 0, 2, 0}));
  EXPECT_EQ(read(1), (V{6, 1, 4, 0, 0, 0, 2, 0}));
  EXPECT_TRUE(Ask<ReadLogReply>(ReadLog{Log::kTasks, {0, 1, 2}, 0, 9, 9}).slices.empty());
}

TEST_P(WorkTest, PushAndMuteSettings) {
  Do(PutPush{"alice", "phone", "reg1", "j1"});
  Do(PutPush{"alice", "phone", "reg2", "j2"});
  Do(PutPush{"alice", "tablet", "reg3", "j3"});
  Do(PutPush{"alice", "tablet", "", "j4"});
  Do(PutMute{"alice", "phone", kGroup, -1, "j5"});
  Do(PutMute{"alice", "tablet", kGroup, 77, "j6"});  // of the chat: the device does not count
  Do(PutMute{"alice", "phone", "", 99, "j7"});
  Do(PutMute{"alice", "tablet", "", 99, "j8"});
  Do(PutMute{"alice", "tablet", "", 0, "j9"});
  const std::map<std::string, std::string> expected = {
      {"r:phone", "reg2"}, {"c:" + kGroup, "77"}, {"m:phone", "99"}};
  EXPECT_EQ(HiddenUser("alice").other, expected);
  EXPECT_EQ(ReadAllOf(Log::kJournal, P("alice")).records,
            (std::vector<std::string>{"j1", "j2", "j3", "j4", "j5", "j6", "j7", "j8", "j9"}));
}

TEST_P(WorkTest, SettingsAtTheJournalsBound) {
  Start({.partitions = 1, .journal_max = 1});
  EXPECT_EQ(Do(PutPush{"alice", "phone", "reg1", "j1"}), Reply{Done{}});
  for (const Call& call : {Call{PutPush{"alice", "phone", "reg2", "j2"}},
                           Call{PutMute{"alice", "phone", kGroup, -1, "j2"}}}) {
    const Reply reply = Do(call);
    ASSERT_TRUE(std::holds_alternative<Failure>(reply));
    EXPECT_EQ(std::get<Failure>(reply).kind, Failure::Kind::kFull);
  }
  EXPECT_EQ(HiddenUser("alice").other.at("r:phone"), "reg1");
}

TEST_P(WorkTest, DeadLettersAreKept) {
  EXPECT_EQ(Do(PutDeadLetter{1, std::string("rec\0ord", 7), "why", 5}), Reply{Done{}});
  EXPECT_EQ(Do(PutDeadLetter{1, "", "", 6}), Reply{Done{}});
  const auto dead = world().ReadHidden().partitions[1].dead;
  EXPECT_EQ(dead, (std::vector<std::string>{"5 why rec\\x00ord", "6  "}));
}

TEST_P(WorkTest, DeadLettersAreListedAndTakenOut) {
  const DeadLetter first{5, "why", std::string("rec\0ord", 7)}, second{6, "", ""},
      third{7, "x", "y"};
  for (const DeadLetter& letter : {first, second, third}) {
    EXPECT_EQ(Do(PutDeadLetter{1, letter.record, letter.reason, letter.at_ms}), Reply{Done{}});
  }
  const auto list = [&](uint64_t from, uint32_t count, uint32_t bytes) {
    return Ask<ListDeadLettersReply>(ListDeadLetters{1, from, count, bytes});
  };
  EXPECT_EQ(list(0, 100, 1000), (ListDeadLettersReply{3, {first, second, third}}));
  EXPECT_EQ(list(1, 1, 1000), (ListDeadLettersReply{3, {second}}));
  EXPECT_EQ(list(0, 100, 1), (ListDeadLettersReply{3, {first}}));
  EXPECT_EQ(list(0, 100, 34), (ListDeadLettersReply{3, {first, second}}));  // 22 and 12 bytes kept
  EXPECT_EQ(list(3, 100, 1000), (ListDeadLettersReply{3, {}}));
  EXPECT_EQ(Ask<ListDeadLettersReply>(ListDeadLetters{0}), ListDeadLettersReply{});

  EXPECT_EQ(Do(DropDeadLetter{1, {6, "", "other"}}), Reply{Done{}});
  EXPECT_EQ(Do(DropDeadLetter{1, second}), Reply{Done{}});
  EXPECT_EQ(Do(DropDeadLetter{1, second}), Reply{Done{}});
  EXPECT_EQ(list(0, 100, 1000), (ListDeadLettersReply{2, {first, third}}));
}

TEST_P(WorkTest, DeadLettersAtTheirBoundAreRefused) {
  const std::vector<Call> many(10'000, PutDeadLetter{0, "record", "why", 5});
  for (const Reply& reply : world().DoAll(many)) ASSERT_EQ(reply, Reply{Done{}});
  const Reply full = Do(many[0]);
  ASSERT_TRUE(std::holds_alternative<Failure>(full)) << Print(full);
  EXPECT_EQ(std::get<Failure>(full).kind, Failure::Kind::kFull);
  EXPECT_EQ(Do(PutDeadLetter{1, "record", "why", 5}), Reply{Done{}});
  EXPECT_EQ(world().ReadHidden().partitions[0].dead.size(), 10'000u);
}

// A hub that repeats calls after a reconnect, or a caller that lost the reply: the second time the
// state stays as it is.
TEST_P(WorkTest, RepeatsChangeNothing) {
  Start({.partitions = 1});
  Create(kGroup, {"alice", "bob"});
  Login("bob");
  Send(kDirect, "alice", 1);
  Create(kOther, Numbered("u", 9));
  const uint64_t persist = TakeLease(Role::kPersist, "one", 0);
  hub::Beat begin = MakeBeat("b4#1");
  begin.first = true;
  const std::vector<Call> calls = {
      MakeSend(kDirect, "alice", 2),
      AppendOf(TaskAt(kOther, 0), Numbered("u", 9)),
      CreateChat{GroupChatId("bob", "phone", "r"),
                 "bob",
                 "phone",
                 "t",
                 {"bob", "carol"},
                 kStartMs,
                 {"c", "", ""},
                 kB1},
      MakeUpdate(kGroup, "alice", 1, {"carol"}, {"bob"}),
      hub::Login{"bob", "phone", kB1, 5, kStartMs, "Bob", "b@x"},
      Tail{"bob", kB1, 2},
      hub::Ack{"bob", "phone", Epoch(), 2, {{kDirect, MakeMsgId(kStartMs, 0), {}}}, kStartMs, kB1},
      SetPresence{"bob", true, kB1, kStartMs},
      hub::Logout{"bob", "phone", kB1, 5, kStartMs},
      SetPresence{"bob", false, kB1, kStartMs},
      Tail{"bob", kB1, 0},
      Watch{{"bob"}, kB2, true},
      Watch{{"bob"}, kB2, false},
      begin,
      Gone{"b4#1", false},
      Fence{"b4#1", {0, 1}},
      Lease{Role::kPersist, "one", {0}, 5000},
      TrimLog{Log::kJournal, {{0, persist, 2}}},
      Lease{Role::kPersist, "one", {0}, 0},
  };
  for (const Call& call : calls) {
    const std::string before = DumpAll();
    Do(call);
    const std::string once = DumpAll();
    Do(call);
    EXPECT_EQ(DumpAll(), once) << Print(call);
    // The dump sees that the first one did something (renewing a lease at the same instant does
    // not).
    if (!std::holds_alternative<Lease>(call)) {
      EXPECT_NE(before, once) << Print(call);
    }
  }
}

// ---- a hub that has lost everything -----------------------------------------------------------

TEST_P(WorkTest, AHubThatLostEverythingIsAnother) {
  const uint64_t epoch = Epoch();
  Login("bob");
  for (uint64_t i = 1; i <= 3; ++i) Send(kDirect, "alice", i);
  world().LoseEverything();  // in the same second
  EXPECT_EQ(Login("bob", "phone", kB1, 2), (LoginReply{epoch + 1, 0, 0, false, "", 0, false}));
  EXPECT_EQ(HeadsOf({{"alice", "", 0}, {"bob", "", 0}}),
            (HeadsReply{{{epoch + 1, 0, Standing::kNone}, {epoch + 1, 0, Standing::kNone}}}));
  EXPECT_EQ(Ack("bob", 0, {}, "phone", epoch).outcome, Acked::kOtherEpoch);
  EXPECT_EQ(Send(kDirect, "alice", 4).outcome, Sent::kAccepted);
  world().Advance(60'000);
  world().LoseEverything();
  EXPECT_EQ(Epoch(), epoch + 60);
  world().Advance(-30'000);  // a clock that goes back: still an epoch that never was
  world().LoseEverything();
  EXPECT_EQ(Epoch(), epoch + 61);
  EXPECT_EQ(Send(kGroup, "alice", 1).outcome, Sent::kDenied);
}

TEST_P(WorkTest, LeasesOfALostHubTrimNothing) {
  Start({.partitions = 1});
  for (uint64_t i = 1; i <= 3; ++i) Send(kDirect, "alice", i);
  const uint64_t before = TakeLease(Role::kPersist, "one", 0);
  ASSERT_EQ(ReadAllOf(Log::kJournal, 0).records.size(), 3u);  // in the middle of its round
  world().Advance(1);
  world().LoseEverything();
  for (uint64_t i = 1; i <= 5; ++i) Send(kDirect, "alice", i);
  EXPECT_EQ(Trim(Log::kJournal, {{0, before, 3}}), Held{false});
  const uint64_t after = TakeLease(Role::kPersist, "one", 0);
  EXPECT_GT(after, before);
  EXPECT_EQ(Trim(Log::kJournal, {{0, before, 3}}), Held{false});
  EXPECT_EQ(ReadAllOf(Log::kJournal, 0).records.size(), 5u);
  EXPECT_EQ(Trim(Log::kJournal, {{0, after, 3}}), Held{true});
  EXPECT_EQ(ReadAllOf(Log::kJournal, 0).first, 3u);
}

// Two calls under way when it happens: the first finds out, and both are carried out on the new
// hub.
TEST_P(WorkTest, CallsUnderWayAreRepeatedOnTheNewHub) {
  Create(kGroup, {"alice", "bob"});
  world().LoseEverything();
  hub::Send direct = MakeSend(kDirect, "alice", 1), group = MakeSend(kGroup, "alice", 1);
  const auto replies = world().DoAll({group, direct, direct});
  EXPECT_EQ(std::get<SendReply>(replies[0]).outcome, Sent::kDenied);
  EXPECT_EQ(std::get<SendReply>(replies[1]).outcome, Sent::kAccepted);
  EXPECT_EQ(std::get<SendReply>(replies[2]).outcome, Sent::kRepeat);
  EXPECT_EQ(Head("bob"), 1u);
}

}  // namespace nightjar::hub::contract
