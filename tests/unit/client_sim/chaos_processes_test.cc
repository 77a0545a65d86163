// Real processes, but harmless ones: shells that wait. What is tested is who is signalled, what is
// written down, and that everything is left well.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <thread>

#include "client-sim/chaos/injector.h"
#include "client-sim/chaos/processes.h"
#include "common/base/clock.h"

extern char** environ;

namespace nightjar::chaos {
namespace {

using nlohmann::json;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Fields of /proc/PID/stat after the name: [0] is the state, [19] the start.
std::vector<std::string> StatOf(int pid) {
  const std::string text = ReadAll("/proc/" + std::to_string(pid) + "/stat");
  if (text.empty()) return {};
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  return {std::istream_iterator<std::string>(fields), {}};
}
std::string StateOf(int pid) {
  const auto stat = StatOf(pid);
  return stat.empty() ? "" : stat[0];
}

bool Ignores(int pid, int signal) {
  const std::string text = ReadAll("/proc/" + std::to_string(pid) + "/status");
  const size_t at = text.find("SigIgn:");
  return at != std::string::npos &&
         (std::stoull(text.substr(at + 8), nullptr, 16) >> (signal - 1)) & 1;
}

// Until the condition holds; false after ten seconds.
template <typename F>
bool Until(F&& condition) {
  const int64_t until_ms = SystemNow().mono_ms + 10'000;
  while (!condition()) {
    if (SystemNow().mono_ms > until_ms) return false;
    poll(nullptr, 0, 1);
  }
  return true;
}

class ChaosProcesses : public testing::Test {
 protected:
  ChaosProcesses() {
    char pattern[] = "/tmp/nightjar-chaos-XXXXXX";
    folder_ = mkdtemp(pattern);
    document_ = {{"brokers", json::array({{{"id", "b1"}, {"mqtt", 0}, {"pid", 0}}})},
                 {"redis", {{"port", 0}, {"pid", 0}}},
                 {"persister", {{"pid", 0}}},
                 {"processes", json::array()}};
  }
  ~ChaosProcesses() override {
    std::set<int> pids(started_.begin(), started_.end());
    const json document = Document();
    if (document.contains("processes")) {
      for (const auto& process : document["processes"]) pids.insert(process.value("pid", 0));
    }
    for (const int pid : pids) {
      if (pid <= 0 || waitpid(pid, nullptr, WNOHANG) != 0)
        continue;  // ended and reaped, or not our child
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }

  // Runs `script` now; after a restart `again`.
  void Add(const std::string& name, const std::string& script = "exec sleep 600",
           const std::string& again = "") {
    std::vector<std::string> argv = {"/bin/sh", "-c", script};
    std::vector<char*> words;
    for (auto& word : argv) words.push_back(word.data());
    words.push_back(nullptr);
    int pid = 0;
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    ASSERT_EQ(posix_spawn(&pid, "/bin/sh", nullptr, &attributes, words.data(), environ), 0);
    posix_spawnattr_destroy(&attributes);
    started_.push_back(pid);
    if (!again.empty()) argv[2] = again;
    document_["processes"].push_back({{"name", name},
                                      {"pid", pid},
                                      {"start", std::stoull(StatOf(pid).at(19))},
                                      {"argv", argv},
                                      {"cwd", folder_},
                                      {"env", {{"PATH", "/usr/bin:/bin"}, {"WORD", "kept"}}},
                                      {"log", folder_ + "/" + name + ".log"}});
  }
  std::string File() const { return folder_ + "/stack.json"; }
  void Write() { std::ofstream(File()) << document_.dump(); }
  json Document() const { return json::parse(ReadAll(File()), nullptr, false); }
  std::unique_ptr<Processes> Open() {
    Write();
    auto opened = Processes::Open(File());
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    return opened.ok() ? std::move(opened).value() : nullptr;
  }

  std::string folder_;
  json document_;
  std::vector<int> started_;
};

TEST_F(ChaosProcesses, AKilledOneIsNoticedAndStartedAsItWas) {
  Add("redis");
  Add("persister", "exec sleep 600", "echo $WORD $PWD; exec sleep 600");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  ASSERT_TRUE(stack->Kill(1).ok());
  std::vector<Processes::Ended> ended;
  ASSERT_TRUE(Until([&] { return !(ended = stack->Watch()).empty(); }));
  EXPECT_EQ(ended[0].process, 1u);
  EXPECT_TRUE(ended[0].wanted);
  EXPECT_FALSE(ended[0].crashed);
  EXPECT_FALSE(stack->running(1));
  EXPECT_TRUE(stack->running(0));

  ASSERT_TRUE(stack->Start(1).ok());
  EXPECT_TRUE(Until([&] { return ReadAll(stack->log(1)) == "kept " + folder_ + "\n"; }));
  const json document = Document();
  EXPECT_EQ(document["processes"][1]["pid"], stack->pid(1));
  EXPECT_EQ(document["processes"][1]["start"], std::stoull(StatOf(stack->pid(1)).at(19)));
  EXPECT_EQ(document["persister"]["pid"], stack->pid(1));
  EXPECT_EQ(document["processes"][0]["pid"], started_[0]);
  EXPECT_EQ(std::filesystem::status(File()).permissions() & std::filesystem::perms::all,
            std::filesystem::perms(0600));
  // In a session of its own, and with our standard input closed to it.
  EXPECT_EQ(StatOf(stack->pid(1)).at(3), std::to_string(stack->pid(1)));
}

TEST_F(ChaosProcesses, PausedAndContinued) {
  Add("b1");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  EXPECT_TRUE(stack->Listens(0));
  ASSERT_TRUE(stack->Pause(0).ok());
  EXPECT_TRUE(Until([&] { return StateOf(stack->pid(0)) == "T"; }));
  EXPECT_FALSE(stack->Listens(0));
  ASSERT_TRUE(stack->Continue(0).ok());
  EXPECT_TRUE(Until([&] { return StateOf(stack->pid(0)) == "S"; }));
  EXPECT_TRUE(stack->Listens(0));
}

TEST_F(ChaosProcesses, LeavesEverythingWell) {
  Add("redis");
  Add("b1");
  Add("persister");
  auto stack = Open();
  ASSERT_TRUE(stack);
  ASSERT_TRUE(stack->Pause(0).ok());
  ASSERT_TRUE(stack->Kill(1).ok());
  ASSERT_TRUE(stack->Stop(2).ok());
  ASSERT_TRUE(Until([&] { return StateOf(started_[0]) == "T"; }));
  stack.reset();
  const json left = Document();
  EXPECT_TRUE(Until([&] { return StateOf(started_[0]) == "S"; }));
  for (const int i : {1, 2}) {
    const int pid = left["processes"][i]["pid"];
    EXPECT_NE(pid, started_[i]);
    EXPECT_FALSE(StateOf(pid).empty());
  }
}

TEST_F(ChaosProcesses, HealWaitsForThePort) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  document_["brokers"][0]["mqtt"] = ntohs(address.sin_port);
  Add("b1");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  EXPECT_FALSE(stack->Listens(0));
  const Status status = stack->Heal(0);
  EXPECT_NE(status.message().find("b1 did not come back"), std::string::npos) << status.message();
  ASSERT_EQ(listen(listener, 8), 0);
  EXPECT_TRUE(stack->Heal(0).ok());
  close(listener);
}

TEST_F(ChaosProcesses, RedisIsBackOnlyWhenItAnswers) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ASSERT_EQ(listen(listener, 64), 0);
  document_["redis"]["port"] = ntohs(address.sin_port);
  Add("redis");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  EXPECT_FALSE(stack->Listens(0)) << "connected, but no answer";
  std::atomic<bool> loading = true, over = false;
  std::thread server([&] {
    while (!over) {
      const int fd = accept(listener, nullptr, nullptr);
      const std::string_view answer = loading ? "-LOADING still\r\n" : "+PONG\r\n";
      EXPECT_GE(write(fd, answer.data(), answer.size()), 0);
      close(fd);
    }
  });
  EXPECT_FALSE(stack->Listens(0)) << "still loading";
  loading = false;
  EXPECT_TRUE(Until([&] { return stack->Listens(0); }));
  over = true;
  stack->Listens(0);  // wakes the server
  server.join();
  close(listener);
}

TEST_F(ChaosProcesses, ABrokerThatGaveUpOnAHubThatWasAwayIsNoFinding) {
  Add("redis");
  Add("b1", "exec sleep 600", "exit 3");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  Injector injector(stack.get(),
                    {{.at_ms = 0, .lasts_ms = 100, .process = 0, .hurt = Hurt::kPause},
                     {.at_ms = 0, .lasts_ms = 0, .process = 1, .hurt = Hurt::kKill}},
                    [](const Incident&) {});
  injector.Begin(0);
  ASSERT_TRUE(Until([&] { return injector.Turn(0), injector.counts(1).ended_by_itself == 1; }));
  EXPECT_TRUE(injector.findings().empty());
  injector.Turn(100);
  injector.Turn(101);
  // The next start falls into a time in which nobody else is away.
  ASSERT_TRUE(Until([&] { return injector.Turn(600), injector.counts(1).ended_by_itself == 2; }));
  EXPECT_EQ(injector.findings().size(), 1u);
}

TEST_F(ChaosProcesses, StrangersAreLeftAlone) {
  Add("redis");
  document_["processes"][0]["start"] = document_["processes"][0]["start"].get<uint64_t>() + 1;
  Write();
  const auto opened = Processes::Open(File());
  EXPECT_EQ(opened.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(opened.status().message().find("redis"), std::string::npos);
  EXPECT_EQ(StateOf(started_[0]).empty(), false);
}

TEST_F(ChaosProcesses, OneOwnerAtATime) {
  Add("redis");
  auto stack = Open();
  ASSERT_TRUE(stack);
  EXPECT_EQ(Processes::Open(File()).status().code(), Code::kFailedPrecondition);
  stack.reset();
  EXPECT_TRUE(Processes::Open(File()).ok());
}

TEST_F(ChaosProcesses, BadFilesGetOneClearLine) {
  EXPECT_EQ(Processes::Open("/no/such/stack.json").status().code(), Code::kNotFound);
  EXPECT_EQ(Processes::Open(File()).status().code(), Code::kNotFound);
  for (const char* text : {"", "{", "[]", "{}", R"({"processes":[]})", R"({"processes":[{}]})",
                           R"({"processes":[{"name":1}]})"}) {
    std::ofstream(File()) << text;
    const Status status = Processes::Open(File()).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << text;
    EXPECT_NE(status.message().find("stack.json"), std::string::npos) << text;
  }
}

TEST_F(ChaosProcesses, InjectorCarriesOutTheScheduleAndSaysSo) {
  Add("redis");
  Add("b1");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  std::vector<std::string> told;
  Injector injector(stack.get(),
                    {{.at_ms = 100, .lasts_ms = 50, .process = 0, .hurt = Hurt::kPause},
                     {.at_ms = 100, .lasts_ms = 500, .process = 1, .hurt = Hurt::kKill},
                     {.at_ms = 700, .lasts_ms = 0, .process = 1, .hurt = Hurt::kStop}},
                    [&](const Incident& incident) {
                      told.push_back(incident.process + " " + incident.what +
                                     (incident.kind == Incident::Kind::kBack ? " back" : ""));
                    });
  injector.Turn(4'999);
  injector.Begin(5'000);
  injector.Turn(5'000);
  EXPECT_FALSE(injector.Quiet());
  EXPECT_TRUE(told.empty());
  injector.Turn(5'100);
  EXPECT_EQ(told, (std::vector<std::string>{"redis pause", "b1 kill -9"}));
  EXPECT_TRUE(stack->paused(0));
  ASSERT_TRUE(Until([&] { return injector.Turn(5'140), !stack->running(1); }));
  EXPECT_TRUE(stack->paused(0));
  injector.Turn(5'150);
  EXPECT_FALSE(stack->paused(0));
  injector.Turn(5'160);
  EXPECT_EQ(told.back(), "redis pause back");
  injector.Turn(5'599);
  EXPECT_FALSE(stack->running(1));
  injector.Turn(5'600);
  EXPECT_TRUE(stack->running(1));
  injector.Turn(5'610);
  EXPECT_EQ(told.back(), "b1 kill -9 back");
  injector.Turn(5'700);
  ASSERT_TRUE(Until([&] { return injector.Turn(5'700), injector.Quiet(); }));
  EXPECT_EQ(told.back(), "b1 clean stop back");
  EXPECT_EQ(injector.counts(0).pauses, 1u);
  EXPECT_EQ(injector.counts(1).kills, 1u);
  EXPECT_EQ(injector.counts(1).stops, 1u);
  EXPECT_TRUE(injector.findings().empty()) << injector.findings()[0];
}

TEST_F(ChaosProcesses, CalledOffEverythingComesBackAtOnce) {
  Add("redis");
  Add("b1");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  Injector injector(stack.get(),
                    {{.at_ms = 0, .lasts_ms = 9'000, .process = 0, .hurt = Hurt::kPause},
                     {.at_ms = 0, .lasts_ms = 9'000, .process = 1, .hurt = Hurt::kKill},
                     {.at_ms = 9'500, .lasts_ms = 0, .process = 1, .hurt = Hurt::kStop}},
                    [](const Incident&) {});
  injector.Begin(0);
  ASSERT_TRUE(Until([&] { return injector.Turn(1), !stack->running(1); }));
  EXPECT_TRUE(stack->paused(0));
  injector.CallOff();
  injector.Turn(2);
  injector.Turn(3);
  EXPECT_TRUE(injector.Quiet());
  EXPECT_EQ(injector.counts(1).stops, 0u);
}

TEST_F(ChaosProcesses, WhoEndsByHimselfIsFoundAndStartedAgain) {
  Add("b1", "exec sleep 600", "kill -SEGV $$");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  Injector injector(stack.get(), {{.at_ms = 0, .lasts_ms = 0, .process = 0, .hurt = Hurt::kKill}},
                    [](const Incident&) {});
  injector.Begin(0);
  ASSERT_TRUE(Until([&] { return injector.Turn(0), injector.counts(0).ended_by_itself == 1; }));
  ASSERT_FALSE(injector.findings().empty());
  EXPECT_EQ(injector.findings()[0], "b1 ended by itself: signal 11");
  EXPECT_FALSE(stack->running(0));
  injector.Turn(499);
  EXPECT_FALSE(stack->running(0));
  injector.Turn(500);
  EXPECT_TRUE(stack->running(0));
}

TEST_F(ChaosProcesses, WhoDoesNotEndWhenToldIsFoundAndKilled) {
  Add("b1", "trap '' TERM; exec sleep 600");
  const auto stack = Open();
  ASSERT_TRUE(stack);
  // The shell has to get as far as its trap.
  ASSERT_TRUE(Until([&] { return Ignores(stack->pid(0), SIGTERM); }));
  Injector injector(stack.get(), {{.at_ms = 0, .lasts_ms = 0, .process = 0, .hurt = Hurt::kStop}},
                    [](const Incident&) {});
  injector.Begin(0);
  injector.Turn(0);
  injector.Turn(9'999);
  EXPECT_TRUE(injector.findings().empty());
  injector.Turn(10'000);
  EXPECT_EQ(injector.findings().size(), 1u);
  EXPECT_TRUE(Until([&] { return injector.Turn(10'001), injector.Quiet(); }));
}

}  // namespace
}  // namespace nightjar::chaos
