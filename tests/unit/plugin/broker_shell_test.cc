#include "plugin/broker_shell.h"

#include <gtest/gtest.h>
#include <mosquitto_plugin.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "common/base/clock.h"
#include "tests/unit/plugin/fake_broker.h"
#include "tests/unit/plugin/fake_engine.h"

namespace nightjar::plugin {
namespace {

using core::Actions;
using core::Event;
using core::Verdict;
using test::FakeBroker;
using test::FakeEngine;

constexpr char kKeys[] = R"({"keys":[{"kid":"k1","alg":"HS256","secret":")"
                         R"(MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA"}]})";
constexpr char kOtherKeys[] = R"({"keys":[{"kid":"k2","alg":"HS256","secret":")"
                              R"(MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}]})";

// Keeps the calls; answers when told to.
struct QuietHub : hub::Hub {
  explicit QuietHub(std::vector<hub::Callback>& calls) : waiting(calls) {}
  ~QuietHub() override {
    for (auto& done : waiting) done(hub::Failure{});
    waiting.clear();
  }
  void Submit(hub::Call, hub::Callback done) override { waiting.push_back(std::move(done)); }
  std::vector<hub::Callback>& waiting;
};

struct BrokerShellTest : ::testing::Test {
  FakeBroker& broker = FakeBroker::Reset();
  FakeEngine& engine = FakeEngine::Reset();
  std::string dir = MakeDir();
  std::vector<hub::Callback> calls;
  std::unique_ptr<BrokerShell> shell;
  std::string filed;  // the filter of the last Acl(), as the broker finds it afterwards
  mosquitto alice{"alice:p"}, bob{"bob:p"}, again{"alice:p"};

  static std::string MakeDir() {
    char name[] = "/tmp/nightjar-shell-XXXXXX";
    return mkdtemp(name);
  }
  std::string KeyPath() const { return dir + "/keys.json"; }
  void WriteKeys(const std::string& text) const { std::ofstream(KeyPath()) << text; }

  void SetUp() override {
    WriteKeys(kKeys);
    Options options;
    options.wake_socket = dir + "/none.sock";
    options.key_check_ms = 0;
    KeyFile file(KeyPath(), options.key_check_ms);
    auto keys = file.Load();
    ASSERT_TRUE(keys.ok()) << keys.status().message();
    shell = std::make_unique<BrokerShell>(options, core::Config{}, std::move(file), keys.value());
    shell->hub().Attach(std::make_unique<QuietHub>(calls));
    engine.script = [](const Event&, Actions& out) { out.verdict = Verdict::kAllow; };
  }
  void TearDown() override {
    shell.reset();
    unlink(KeyPath().c_str());
    rmdir(dir.c_str());
  }

  // Says what is done about the events of one kind; everything else is allowed.
  template <typename E>
  void On(std::function<void(const E&, Actions&)> what) {
    engine.script = [what](const Event& event, Actions& out) {
      out.verdict = Verdict::kAllow;
      if (const auto* e = std::get_if<E>(&event)) what(*e, out);
    };
  }
  int Connect(mosquitto& client, std::string password = "pw") {
    std::string user = client.id.substr(0, client.id.find(':'));
    mosquitto_evt_basic_auth event{};
    event.client = &client;
    event.username = user.data();
    event.password = password.data();
    return shell->OnBasicAuth(event);
  }
  int Acl(mosquitto& client, int access, std::string topic, uint8_t qos = 0) {
    mosquitto_evt_acl_check event{};
    event.client = &client;
    event.access = access;
    event.topic = topic.data();
    event.qos = qos;
    const int answer = shell->OnAclCheck(event);
    filed = topic;
    return answer;
  }
  int Publish(mosquitto& client, std::string topic, std::string payload, bool retain = false) {
    mosquitto_evt_message event{};
    event.client = &client;
    event.topic = topic.data();
    event.payload = payload.empty() ? nullptr : payload.data();
    event.payloadlen = static_cast<uint32_t>(payload.size());
    event.qos = 1;
    event.retain = retain;
    const int answer = shell->OnMessage(event);
    EXPECT_FALSE(event.retain);
    return answer;
  }
  std::string Token(const std::string& uid, int64_t ttl_ms = 60'000) const {
    Claims claims;
    claims.uid = uid;
    claims.expires_ms = SystemNow().unix_ms + ttl_ms;
    return *SignToken(KeyPath(), claims);
  }
  using Lines = std::vector<std::string>;
};

TEST_F(BrokerShellTest, TheLifeOfAConnection) {
  EXPECT_EQ(Connect(alice), MOSQ_ERR_SUCCESS);
  EXPECT_EQ(Acl(alice, MOSQ_ACL_SUBSCRIBE, "inbox/alice", 1), MOSQ_ERR_SUCCESS);
  EXPECT_EQ(Acl(alice, MOSQ_ACL_READ, "inbox/alice"), MOSQ_ERR_SUCCESS);
  EXPECT_EQ(Acl(alice, MOSQ_ACL_WRITE, "s"), MOSQ_ERR_SUCCESS);
  EXPECT_EQ(Publish(alice, "s", "hello", true), MOSQ_ERR_SUCCESS);
  EXPECT_EQ(Acl(alice, MOSQ_ACL_UNSUBSCRIBE, "inbox/alice"), MOSQ_ERR_SUCCESS);
  shell->OnDisconnect(&alice);
  EXPECT_EQ(engine.events,
            (Lines{"connect 1 alice:p alice pw clean", "subscribe 1 inbox/alice 1", "ask 1 s",
                   "published 1 s hello 1", "unsubscribe 1 inbox/alice", "gone 1"}));
}

TEST_F(BrokerShellTest, WhoIsRefusedIsNoSession) {
  On<core::ConnectAsked>([](const auto&, Actions& out) { out.verdict = Verdict::kDeny; });
  EXPECT_EQ(Connect(alice), MOSQ_ERR_AUTH);
  EXPECT_EQ(Acl(alice, MOSQ_ACL_WRITE, "s"), MOSQ_ERR_ACL_DENIED);
  EXPECT_EQ(Publish(alice, "s", "x"), MOSQ_ERR_ACL_DENIED);
  shell->OnDisconnect(&alice);
  EXPECT_EQ(engine.events, (Lines{"connect 1 alice:p alice pw clean"}));
  EXPECT_EQ(shell->sessions().size(), 0u);
}

TEST_F(BrokerShellTest, NoVerdictIsNoPermission) {
  engine.script = {};
  EXPECT_EQ(Connect(alice), MOSQ_ERR_AUTH);
  On<core::SubscribeAsked>([](const auto&, Actions& out) { out.verdict = Verdict::kNone; });
  EXPECT_EQ(Connect(bob), MOSQ_ERR_SUCCESS);
  EXPECT_EQ(Acl(bob, MOSQ_ACL_SUBSCRIBE, "x"), MOSQ_ERR_ACL_DENIED);
}

// The broker searches a topic's list at each subscribe and each disconnect.
TEST_F(BrokerShellTest, ShortInboxesAreFiledInManyLists) {
  Connect(alice);
  Connect(bob);
  Acl(alice, MOSQ_ACL_SUBSCRIBE, "i");
  const std::string of_alice = filed;
  ASSERT_EQ(of_alice.size(), 1u);
  EXPECT_GE(static_cast<unsigned char>(of_alice[0]), 0x80) << "a client could name it";
  Acl(bob, MOSQ_ACL_SUBSCRIBE, "i");
  EXPECT_NE(filed, of_alice);
  Acl(alice, MOSQ_ACL_SUBSCRIBE, "i", 1);
  EXPECT_EQ(filed, of_alice);
  Acl(alice, MOSQ_ACL_UNSUBSCRIBE, "i");
  EXPECT_EQ(filed, of_alice);
  Acl(alice, MOSQ_ACL_READ, "i");
  EXPECT_EQ(filed, "i");
  Acl(alice, MOSQ_ACL_SUBSCRIBE, "inbox/alice");
  EXPECT_EQ(filed, "inbox/alice");
  EXPECT_EQ(engine.events[2], "subscribe 1 i 0");
  On<core::SubscribeAsked>([](const auto&, Actions& out) { out.verdict = Verdict::kDeny; });
  Acl(alice, MOSQ_ACL_SUBSCRIBE, "i");
  EXPECT_EQ(filed, "i");
}

TEST_F(BrokerShellTest, APublishGoesToTheClientOfItsSession) {
  On<core::SubscribeAsked>([](const core::SubscribeAsked& e, Actions& out) {
    out.list.push_back(core::PublishTo{e.session, "i", std::string("a\0b", 3), 1});
    out.list.push_back(core::PublishTo{e.session, "i", "", 0});
    out.list.push_back(core::PublishAll{"svc/store/1", "ask"});
    out.list.push_back(core::PublishTo{77, "i", "nobody", 0});
  });
  Connect(alice);
  Acl(alice, MOSQ_ACL_SUBSCRIBE, "i");
  ASSERT_EQ(broker.published.size(), 3u);
  EXPECT_EQ(broker.published[0].client_id, "alice:p");
  EXPECT_EQ(broker.published[0].payload, std::string("a\0b", 3));
  EXPECT_EQ(broker.published[0].qos, 1);
  EXPECT_EQ(broker.published[1].payload, "");
  EXPECT_EQ(broker.published[2].client_id, "");
  EXPECT_EQ(broker.published[2].topic, "svc/store/1");
  for (const auto& publish : broker.published) EXPECT_FALSE(publish.retain);
}

// The broker tells the new connection first, then that the old one is gone, both with one client
// id.
TEST_F(BrokerShellTest, ATakeoverIsTwoSessionsAndTheOldOneIsNotReachedAnyMore) {
  Connect(alice);
  On<core::ConnectAsked>([](const auto&, Actions& out) {
    out.list.push_back(core::PublishTo{1, "i", "for the old one", 0});
    out.list.push_back(core::Kick{1});
  });
  Connect(again);
  shell->OnDisconnect(&alice);
  On<core::Tick>([](const auto&, Actions&) {});
  for (int i = 0; i < 3; ++i) shell->OnTick();
  EXPECT_TRUE(broker.published.empty());
  EXPECT_TRUE(broker.kicked.empty()) << "would have closed the new connection";
  EXPECT_EQ(engine.events[2], "gone 1");
  EXPECT_EQ(shell->sessions().size(), 1u);
}

TEST_F(BrokerShellTest, AKickWaitsUntilWhatWasPublishedBeforeIsOut) {
  Connect(alice);
  On<core::Published>([](const core::Published& e, Actions& out) {
    out.list.push_back(core::PublishTo{e.session, "i", "notice", 0});
    out.list.push_back(core::Kick{e.session});
  });
  broker.on_kick = [&](const std::string&) {
    shell->OnDisconnect(&alice);
    shell->OnDisconnect(&alice);  // as Mosquitto does now and then
  };
  Publish(alice, "s", "x");
  shell->OnTick();
  EXPECT_TRUE(broker.kicked.empty());
  shell->OnTick();
  EXPECT_EQ(broker.kicked, Lines{"alice:p"});
  EXPECT_EQ(std::count(engine.events.begin(), engine.events.end(), "gone 1"), 1);
  shell->OnTick();
  EXPECT_EQ(broker.kicked.size(), 1u);
}

TEST_F(BrokerShellTest, TheLastWillIsToldToTheCoreAndToNobodyElse) {
  Connect(alice);
  shell->OnDisconnect(&alice);
  EXPECT_EQ(Acl(alice, MOSQ_ACL_WRITE, "presence/alice/p"), MOSQ_ERR_ACL_DENIED);
  EXPECT_EQ(engine.events.back(), "ask 1 presence/alice/p");
  EXPECT_EQ(Acl(alice, MOSQ_ACL_READ, "i"), MOSQ_ERR_ACL_DENIED);
  shell->OnTick();
  EXPECT_EQ(Acl(alice, MOSQ_ACL_WRITE, "presence/alice/p"), MOSQ_ERR_ACL_DENIED);
  EXPECT_EQ(engine.events.size(), 3u) << "forgotten with the tick";
}

TEST_F(BrokerShellTest, AReusedPointerIsAnotherSession) {
  Connect(alice);
  shell->OnDisconnect(&alice);
  alice.id = "carol:p";
  EXPECT_EQ(Connect(alice), MOSQ_ERR_SUCCESS);
  shell->OnTick();
  EXPECT_EQ(Publish(alice, "s", "x"), MOSQ_ERR_SUCCESS);
  EXPECT_EQ(engine.events.back(), "published 2 s x 1");
}

TEST_F(BrokerShellTest, ADeniedMessageIsDenied) {
  Connect(alice);
  On<core::Published>([](const auto&, Actions& out) { out.verdict = Verdict::kDeny; });
  EXPECT_EQ(Publish(alice, "svc/reply/x", ""), MOSQ_ERR_ACL_DENIED);
}

TEST_F(BrokerShellTest, SighupVerifiesWhoIsConnectedAndMakesNoNewSession) {
  WriteKeys(kKeys);
  const std::string token = Token("alice"), bobs = Token("bob");
  Connect(alice, token);
  Connect(bob, bobs);
  const size_t events = engine.events.size();
  shell->OnReload();
  EXPECT_EQ(Connect(alice, token), MOSQ_ERR_SUCCESS);
  EXPECT_EQ(Connect(bob, token), MOSQ_ERR_AUTH) << "the token names somebody else";
  EXPECT_EQ(Connect(again, token), MOSQ_ERR_AUTH) << "kept by the broker without a connection";
  EXPECT_EQ(engine.events.size(), events);

  WriteKeys(kOtherKeys);
  shell->OnTick();
  shell->OnReload();
  EXPECT_EQ(Connect(alice, token), MOSQ_ERR_AUTH);
  EXPECT_TRUE(broker.Logged("session of alice:p closed"));
  for (const std::string& line : broker.log) EXPECT_EQ(line.find(token), std::string::npos);
}

TEST_F(BrokerShellTest, AChangedKeyFileIsReadAndABadOneIsNot) {
  const auto before = engine.keys;
  shell->OnTick();
  EXPECT_EQ(engine.keys, before) << "unchanged: not read again";
  WriteKeys(std::string(kOtherKeys) + "\n");
  shell->OnTick();
  const auto after = engine.keys;
  EXPECT_NE(after, before);
  WriteKeys("no keys at all");
  shell->OnTick();
  shell->OnTick();
  EXPECT_EQ(engine.keys, after);
  EXPECT_TRUE(broker.Logged("the keys read before stay in use"));
  EXPECT_EQ(std::count_if(broker.log.begin(), broker.log.end(),
                          [](const auto& line) { return line.find("stay in use") != line.npos; }),
            1)
      << "said once for each change";
}

TEST_F(BrokerShellTest, RepliesAndLinkChangesReachTheCoreOnTheTick) {
  Connect(alice);
  On<core::Published>([](const auto&, Actions& out) {
    out.list.push_back(core::AskHub{41, hub::Info{}});
  });
  Publish(alice, "s", "x");
  ASSERT_EQ(calls.size(), 1u);
  shell->hub().LinkDown("gone");
  shell->hub().LinkUp({"fsync is off"});
  calls[0](hub::Done{});
  calls.clear();
  const size_t before = engine.events.size();
  shell->OnTick();
  EXPECT_EQ(Lines(engine.events.begin() + before, engine.events.end()),
            (Lines{"down gone", "up", "replied 41"}));
  EXPECT_TRUE(broker.Logged(std::to_string(MOSQ_LOG_WARNING) + " nightjar: fsync is off"));
}

TEST_F(BrokerShellTest, WhatIsRelayedReachesTheCoreAfterLinkChangesAndReplies) {
  On<core::Tick>([](const auto&, Actions& out) {
    out.list.push_back(core::AskHub{5, hub::Info{}});
  });
  engine.deadline = 0;
  shell->OnTick();
  engine.deadline = INT64_MAX;
  engine.events.clear();
  shell->hub().Relayed(hub::RelayedKick{"alice", "p", 1, "b1#1"});
  calls[0](hub::Done{});
  calls.clear();
  shell->hub().RelayUp();
  shell->hub().LinkUp({});
  shell->OnTick();
  EXPECT_EQ(engine.events, (Lines{"up", "relay up", "replied 5", "relayed kick alice"}));
}

TEST_F(BrokerShellTest, WhoShallComeLaterGetsNoAnswer) {
  On<core::ConnectAsked>([](const auto&, Actions& out) { out.verdict = Verdict::kLater; });
  const int answer = Connect(alice);
  EXPECT_NE(answer, MOSQ_ERR_AUTH);
  EXPECT_NE(answer, MOSQ_ERR_SUCCESS);
  EXPECT_EQ(shell->sessions().size(), 0u);
}

int broker_stops = 0;  // how often the broker's own handler ran

struct StopTest : BrokerShellTest {
  struct sigaction before {};
  void SetUp() override {
    BrokerShellTest::SetUp();
    broker_stops = 0;
    struct sigaction brokers {};
    brokers.sa_handler = [](int) { ++broker_stops; };
    sigaction(SIGTERM, &brokers, &before);
    shell->OnTick();
    engine.events.clear();
  }
  void TearDown() override {
    BrokerShellTest::TearDown();
    sigaction(SIGTERM, &before, nullptr);
  }
};

TEST_F(StopTest, TheFirstSignalDrainsAndTheBrokerStopsWhenEmptied) {
  shell->OnTick();
  EXPECT_TRUE(engine.events.empty());
  raise(SIGTERM);
  shell->OnTick();
  shell->OnTick();
  EXPECT_EQ(engine.events, Lines{"drain"});
  EXPECT_EQ(broker_stops, 0);
  On<core::Tick>(
      [](const auto&, Actions& out) { out.list.emplace_back(std::in_place_type<core::Emptied>); });
  engine.deadline = 0;
  shell->OnTick();
  shell->OnTick();
  EXPECT_EQ(broker_stops, 1);
  shell->OnTick();
  EXPECT_EQ(broker_stops, 1) << "told once";
}

TEST_F(StopTest, TheSecondSignalStopsAtOnce) {
  raise(SIGTERM);
  shell->OnTick();
  raise(SIGTERM);
  EXPECT_EQ(broker_stops, 1);
  raise(SIGTERM);
  EXPECT_EQ(broker_stops, 2) << "the broker's handler is back";
}

TEST_F(StopTest, AfterTheShellTheSignalsAreTheBrokersAgain) {
  shell.reset();
  raise(SIGTERM);
  EXPECT_EQ(broker_stops, 1);
}

TEST_F(StopTest, WhatCannotGoOnStopsTheBrokerAndIsAFailure) {
  EXPECT_FALSE(shell->failed());
  On<core::Tick>([](const auto&, Actions& out) { out.list.push_back(core::CannotGoOn{"taken"}); });
  engine.deadline = 0;
  shell->OnTick();
  shell->OnTick();
  EXPECT_EQ(broker_stops, 1);
  EXPECT_TRUE(shell->failed());
  EXPECT_TRUE(broker.Logged("cannot go on: taken"));
}

TEST_F(BrokerShellTest, TheCoreTicksOnlyWhenSomethingIsDue) {
  shell->OnTick();
  EXPECT_TRUE(engine.events.empty());
  engine.deadline = 0;
  shell->OnTick();
  EXPECT_EQ(engine.events, Lines{"tick"});
}

TEST_F(BrokerShellTest, LogLinesBelowTheLevelAreNotWritten) {
  On<core::ConnectAsked>([](const auto&, Actions& out) {
    out.list.push_back(core::LogLine{core::LogLevel::kDebug, "small %s talk"});
    out.list.push_back(core::LogLine{core::LogLevel::kWarning, "50 %s off"});
  });
  Connect(alice);
  EXPECT_EQ(broker.log, Lines{std::to_string(MOSQ_LOG_WARNING) + " nightjar: 50 %s off"});
}

TEST_F(BrokerShellTest, TheWakeUpIdentityIsNobodyElses) {
  mosquitto fake{"$nightjar-wake:0000"};
  On<core::ConnectAsked>([](const auto&, Actions& out) { out.verdict = Verdict::kDeny; });
  std::string user = "$nightjar-wake", password = "guess";
  mosquitto_evt_basic_auth event{};
  event.client = &fake;
  event.username = user.data();
  event.password = password.data();
  EXPECT_EQ(shell->OnBasicAuth(event), MOSQ_ERR_AUTH);
  EXPECT_EQ(Acl(fake, MOSQ_ACL_WRITE, "$nightjar/wake"), MOSQ_ERR_ACL_DENIED);
}

TEST_F(BrokerShellTest, MissingCredentialsAreEmptyNotNull) {
  mosquitto_evt_basic_auth event{};
  event.client = &alice;
  shell->OnBasicAuth(event);
  EXPECT_EQ(engine.events, Lines{"connect 1 alice:p   clean"});
}

TEST_F(BrokerShellTest, StoppingTellsTheCoreAndTheHubIsDrained) {
  Connect(alice);
  On<core::Stopping>([](const auto&, Actions& out) {
    out.list.push_back(core::PublishTo{1, "i", "bye", 0});
    out.list.push_back(core::AskHub{5, hub::Info{}});
  });
  // A hub that never answers: bounded by hub_drain_ms, then failed by the hub's own end.
  shell->Stop();
  ASSERT_EQ(engine.events.size(), 4u);
  EXPECT_EQ(engine.events[1], "stopping");
  EXPECT_EQ(engine.events[2], "gone 1") << "the broker says nothing about it";
  EXPECT_EQ(engine.events[3], "replied 5 failure");
  EXPECT_TRUE(broker.published.empty()) << "the broker has let go of its clients";
  shell->Stop();
  EXPECT_EQ(engine.events.size(), 4u);
}

}  // namespace
}  // namespace nightjar::plugin
