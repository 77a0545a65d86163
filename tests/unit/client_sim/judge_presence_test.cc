// Presence (G6): what is shown against who is connected, with the times that are promised.
#include <gtest/gtest.h>

#include <string>

#include "client-sim/judge/oracle.h"

namespace nightjar::client {
namespace {

class JudgePresence : public ::testing::Test {
 protected:
  JudgePresence() {
    Up(watcher_);
    Show(false);
  }
  Now At() const { return {ms_, ms_}; }
  void Pass(int64_t ms) { ms_ += ms; }
  void Up(DeviceId device) { oracle_.Took(device, Synced{1, 0, 0, false}, At()); }
  void Down(DeviceId device) { oracle_.Took(device, WentDown{"cut"}, At()); }
  void Show(bool online) {
    PresenceSeen seen;
    seen.presence.set_uid("bob");
    seen.presence.set_online(online);
    oracle_.Took(watcher_, seen, At());
  }
  // bob comes and is shown after the 3 s.
  void Come() {
    Pass(20'000);
    Up(bob_);
    Pass(3'100);
    Show(true);
  }
  void ExpectRight() {
    for (const Violation& broken : oracle_.violations()) ADD_FAILURE() << broken.what;
  }
  void ExpectWrong(const std::string& part) {
    ASSERT_FALSE(oracle_.violations().empty()) << part;
    EXPECT_EQ(oracle_.violations()[0].promise, "G6");
    EXPECT_NE(oracle_.violations()[0].what.find(part), std::string::npos)
        << oracle_.violations()[0].what;
  }

  int64_t ms_ = 1'000;
  Oracle oracle_;
  DeviceId watcher_ = oracle_.Expect("alice", "phone");
  DeviceId bob_ = oracle_.Expect("bob", "phone");
};

TEST_F(JudgePresence, ComingAndGoingInTime) {
  Come();
  Pass(60'000);
  Down(bob_);
  Pass(5'100);
  Show(false);
  Pass(60'000);
  oracle_.Finish(At());
  ExpectRight();
}

TEST_F(JudgePresence, OnlineAtOnce) {
  Pass(20'000);
  Up(bob_);
  Pass(200);
  Show(true);
  ExpectWrong("online after only 200 ms");
}

TEST_F(JudgePresence, OnlineWithoutEverComing) {
  Pass(60'000);
  Show(true);
  ExpectWrong("never connected");
}

TEST_F(JudgePresence, NeverShownAsOnline) {
  Pass(20'000);
  Up(bob_);
  Pass(10'000);
  oracle_.Finish(At());
  ExpectWrong("offline, 10000 ms after being connected");
}

TEST_F(JudgePresence, AQuickReconnectShows) {
  Come();
  Pass(30'000);
  Down(bob_);
  Pass(500);
  Show(false);
  ExpectWrong("within the grace");
}

TEST(JudgePresenceOfSilentLines, TheServerMayHaveKnownOfTheEndBefore) {
  for (const int64_t silent_ms : {0, 20'000}) {
    OracleOptions options;
    options.silent_line_ms = silent_ms;
    Oracle oracle(options);
    const DeviceId watcher = oracle.Expect("alice", "phone"), bob = oracle.Expect("bob", "phone");
    PresenceSeen seen;
    seen.presence.set_uid("bob");
    oracle.Took(watcher, Synced{1, 0, 0, false}, {1'000, 1'000});
    oracle.Took(watcher, seen, {1'000, 1'000});
    oracle.Took(bob, Synced{1, 0, 0, false}, {20'000, 20'000});
    seen.presence.set_online(true);
    oracle.Took(watcher, seen, {23'100, 23'100});
    oracle.Took(bob, WentDown{"silent"}, {60'000, 60'000});
    seen.presence.set_online(false);
    oracle.Took(watcher, seen, {60'500, 60'500});
    EXPECT_EQ(oracle.violations().empty(), silent_ms > 0);
  }
}

TEST_F(JudgePresence, OfflineWhileConnectedAgain) {
  Come();
  Pass(1'000);
  Down(bob_);
  Pass(500);
  Up(bob_);
  Pass(100);
  Show(false);
  ExpectWrong("offline while connected");
}

TEST_F(JudgePresence, AQuickReconnectThatDoesNotShow) {
  Come();
  for (int i = 0; i < 10; ++i) {
    Pass(4'000);
    Down(bob_);
    Pass(1'000);
    Up(bob_);
  }
  Pass(30'000);
  oracle_.Finish(At());
  ExpectRight();
}

TEST_F(JudgePresence, NeverShownAsGone) {
  Come();
  Pass(30'000);
  Down(bob_);
  Pass(20'000);
  Up(watcher_);  // something happens
  ExpectWrong("online, 20000 ms after being gone");
}

TEST_F(JudgePresence, ABrokersDeathMayTakeLonger) {
  Come();
  Pass(30'000);
  oracle_.Disturbed(At(), "kill -9 of m0", true);
  Down(bob_);
  Pass(14'000);
  Show(false);
  Pass(60'000);
  oracle_.Finish(At());
  ExpectRight();
}

TEST_F(JudgePresence, ButNotForEver) {
  Come();
  Pass(30'000);
  oracle_.Disturbed(At(), "kill -9 of m0", true);
  Down(bob_);
  Pass(30'000);
  oracle_.Finish(At());
  ExpectWrong("after being gone");
}

TEST_F(JudgePresence, ARedisPauseTakesNobodyOffline) {
  Come();
  Pass(30'000);
  oracle_.Disturbed(At(), "SIGSTOP of redis", false);
  Pass(9'000);
  Show(false);
  ExpectWrong("offline while connected");
}

// Each of two devices for less than 3 s, one of them always: none was a steady connection.
TEST_F(JudgePresence, DevicesThatTakeTurnsNeedNotShow) {
  const DeviceId tablet = oracle_.Expect("bob", "tablet");
  Pass(20'000);
  Up(bob_);
  Pass(2'500);
  Up(tablet);
  Pass(100);
  Down(bob_);
  Pass(2'500);
  Down(tablet);
  Pass(100);
  Show(false);
  Pass(60'000);
  oracle_.Finish(At());
  ExpectRight();
}

TEST_F(JudgePresence, OneOfTwoDevicesWasThereForLong) {
  const DeviceId tablet = oracle_.Expect("bob", "tablet");
  Pass(20'000);
  Up(bob_);
  Pass(4'600);
  Up(tablet);
  Down(bob_);
  Pass(100);
  Down(tablet);
  Pass(100);
  Show(false);
  ExpectWrong("within the grace");
}

TEST_F(JudgePresence, WhoComesBackMustBeToldAgain) {
  Come();
  Pass(30'000);
  Down(watcher_);
  Pass(100);
  Up(watcher_);
  Pass(10'000);
  oracle_.Finish(At());
  ExpectWrong("is shown bob: nothing");
}

}  // namespace
}  // namespace nightjar::client
