// nightjar-sim verify: load on a stack, with its processes killed and paused meanwhile, and the
// judge's verdict.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "client-sim/chaos/injector.h"
#include "client-sim/chaos/processes.h"
#include "client-sim/chaos/schedule.h"
#include "client-sim/chaos/summary.h"
#include "client-sim/commands/command.h"
#include "client-sim/crowd/profile.h"
#include "client-sim/judge/oracle.h"
#include "client-sim/load/run.h"
#include "client-sim/report/file.h"
#include "client-sim/report/html.h"
#include "client-sim/report/json.h"
#include "client-sim/report/report.h"
#include "client-sim/stack.h"

namespace nightjar::commands {
namespace {

constexpr int kHeld = 0, kNotRun = 1, kBroken = 2;
constexpr size_t kMostStories = 10;

struct Options {
  std::string stack, profile = "chaos", json, html;
  bool kill = false;
  double seconds = 0;  // 0: what the profile says
  uint64_t seed = 1;
  std::vector<std::string> set;  // "key=value" of the profile
};

volatile std::sig_atomic_t interrupted = 0;

// Ends the run in good order, so that nothing of the stack stays paused or dead.
void HearSignals() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
}

int Refuse(const Status& status) {
  std::cerr << "nightjar-sim: " << status.message() << "\n";
  return kNotRun;
}

Result<crowd::Profile> ProfileOf(const Options& options) {
  auto profile = crowd::ReadProfile(options.profile);
  if (!profile.ok()) return profile;
  for (const std::string& pair : options.set) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) {
      return Status(Code::kInvalidArgument, "--set: '" + pair + "' is not KEY=VALUE");
    }
    Status status =
        crowd::SetField(profile.value(), pair.substr(0, equals), pair.substr(equals + 1));
    if (!status.ok()) return status;
  }
  if (options.seconds > 0) profile->seconds = options.seconds;
  profile->judge = true;
  if (Status status = crowd::Check(*profile); !status.ok()) return status;
  return profile;
}

std::string CommandLine(const Options& options, const crowd::Profile& profile) {
  std::ostringstream line;
  line << "nightjar-sim verify --stack FILE" << (options.kill ? " --kill" : "") << " --seconds "
       << profile.seconds << " --seed " << options.seed << " --profile " << options.profile;
  for (const std::string& pair : options.set) line << " --set " << pair;
  return line.str();
}

// Faults come while messages are measured, and are all undone before the drain may end.
class Trial {
 public:
  Trial(const Options& options, const crowd::Profile& profile, const client::Stack& stack,
        chaos::Processes* processes)
      : processes_(processes),
        injector_(processes, Faults(options, profile, processes->size()),
                  [this](const chaos::Incident& incident) { Tell(incident); }),
        run_(RunOptionsFor(options, profile, stack)) {
    for (const auto& broker : stack.brokers) brokers_.push_back(broker.id);
  }

  Status Go() { return run_.Go(); }

  // The program's exit code.
  int Conclude(const Options& options) {
    report::Report& report = run_.report();
    for (const std::string& finding : injector_.findings()) {
      report.troubles.push_back(finding);
      ++report.trouble_count;
    }
    std::vector<chaos::Victim> victims;
    for (size_t i = 0; i < processes_->size(); ++i) {
      victims.push_back({processes_->name(i), injector_.counts(i)});
    }
    if (options.kill) std::cout << chaos::FaultTable(victims, report.faults);
    std::cout << chaos::MessageLines(report) << chaos::VerdictLines(report, kMostStories)
              << (interrupted ? "interrupted before its end\n" : "") << std::flush;
    const bool held = run_.exit_code() == 0 && injector_.findings().empty();
    const bool json = Write(options.json, report::ToJson(report));
    const bool html = Write(options.html, report::ToHtml(report));
    return !held ? kBroken : json && html ? kHeld : kNotRun;
  }

 private:
  static std::vector<chaos::Fault> Faults(const Options& options, const crowd::Profile& profile,
                                          size_t processes) {
    if (!options.kill) return {};
    return chaos::MakeSchedule({.processes = processes,
                                .length_ms = static_cast<int64_t>(profile.seconds * 1000),
                                .seed = options.seed});
  }

  load::RunOptions RunOptionsFor(const Options& options, const crowd::Profile& profile,
                                 const client::Stack& stack) {
    load::RunOptions run;
    run.profile = profile;
    for (const auto& broker : stack.brokers) {
      run.brokers.push_back({.id = broker.id, .host = broker.host, .port = broker.mqtt});
    }
    run.key_file = stack.key_file;
    // Users of its own, however often it is run on one stack.
    run.prefix = "v" + std::to_string(SystemNow().unix_ms % 1'000'000'000) + ".";
    run.seed = options.seed;
    run.title = options.kill ? "Promises under kill -9" : "Promises";
    run.command = CommandLine(options, profile);
    run.every_100_ms = [this](int64_t now_ns) { Turn(now_ns); };
    run.watched = [this] { return Watched(); };
    run.stop = [] { return interrupted != 0; };
    run.whole = [this] { return injector_.Quiet(); };
    run.live_line = isatty(STDERR_FILENO) == 1;
    return run;
  }

  void Turn(int64_t now_ns) {
    const int64_t now_ms = now_ns / 1'000'000;
    if (run_.phase() == load::Phase::kMeasure && !begun_) {
      begun_ = true;
      injector_.Begin(now_ms);
    }
    if (run_.phase() > load::Phase::kMeasure || interrupted) injector_.CallOff();
    injector_.Turn(now_ms);
  }

  void Tell(const chaos::Incident& incident) {
    using Kind = chaos::Incident::Kind;
    const bool back = incident.kind == Kind::kBack;
    const int64_t at_ms = back ? incident.to_ms : incident.from_ms;
    const bool broker =
        std::find(brokers_.begin(), brokers_.end(), incident.process) != brokers_.end();
    run_.judge().Disturbed(run_.NowAt(at_ms * 1'000'000),
                           incident.process + (back ? " is back after " : ": ") + incident.what,
                           /*sessions_may_die=*/broker);
    if (!back) return;
    run_.report().faults.push_back({.from_s = run_.SecondsAt(incident.from_ms * 1'000'000),
                                    .to_s = run_.SecondsAt(incident.to_ms * 1'000'000),
                                    .process = incident.process,
                                    .what = incident.what});
  }

  std::vector<load::WatchedProcess> Watched() const {
    std::vector<load::WatchedProcess> watched;
    for (size_t i = 0; i < processes_->size(); ++i) {
      if (processes_->running(i)) watched.push_back({processes_->name(i), processes_->pid(i)});
    }
    return watched;
  }

  static bool Write(const std::string& path, const std::string& text) {
    if (path.empty()) return true;
    const Status status = report::WriteFile(path, text);
    if (!status.ok()) std::cerr << "nightjar-sim: " << status.message() << "\n";
    return status.ok();
  }

  chaos::Processes* processes_;
  chaos::Injector injector_;
  load::Run run_;
  std::vector<std::string> brokers_;
  bool begun_ = false;
};

int Verify(const Options& options) {
  const auto stack = client::ReadStack(options.stack);
  if (!stack.ok()) return Refuse(stack.status());
  const auto profile = ProfileOf(options);
  if (!profile.ok()) return Refuse(profile.status());
  if (options.kill && profile->seconds * 1000 < chaos::kShortestMs) {
    return Refuse({Code::kInvalidArgument,
                   "--seconds: faults take at least " + std::to_string(chaos::kShortestMs / 1000)});
  }
  auto processes = chaos::Processes::Open(options.stack);
  if (!processes.ok()) return Refuse(processes.status());
  for (const std::string& path : {options.json, options.html}) {
    if (path.empty()) continue;
    if (Status status = report::CheckWritable(path); !status.ok()) return Refuse(status);
  }
  HearSignals();

  std::cout << "seed        " << options.seed << "\n" << std::flush;
  Trial trial(options, *profile, *stack, processes->get());
  if (Status status = trial.Go(); !status.ok()) return Refuse(status);
  return trial.Conclude(options);
}

}  // namespace

Command AddVerify(CLI::App& program) {
  auto* command = program.add_subcommand(
      "verify",
      "Load a stack made by ./nj up, hurt its processes (--kill), and judge whether every promise "
      "of docs/guarantees.md held. Exit code 0: all held; 2: one was broken, its story is printed; "
      "1: it could not be run.");
  auto options = std::make_shared<Options>();
  command->add_option("--stack", options->stack, "the stack.json that ./nj up wrote")->required();
  command->add_flag("--kill", options->kill,
                    "kill -9, pause and stop the stack's processes by a seeded schedule, and start "
                    "them again");
  command
      ->add_option("--seconds", options->seconds,
                   "how long (default: what the profile says; every process is killed at least "
                   "ten times in 120)")
      ->check(CLI::Range(1.0, 86'400.0));
  command->add_option("--seed", options->seed, "of people, messages and faults")
      ->check(IsSeed())
      ->capture_default_str();
  command->add_option("--profile", options->profile, "who there is and what they do: name or file")
      ->capture_default_str();
  command->add_option("--set", options->set, "KEY=VALUE of the profile; repeatable")
      ->allow_extra_args(false);
  command->add_option("--json", options->json, "write the report there");
  command->add_option("--html", options->html, "write the report there, as a page");
  return {command, [options] { return Verify(*options); }};
}

}  // namespace nightjar::commands
