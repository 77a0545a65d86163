// nightjar-sim load: a crowd of users on real brokers, measured and judged.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "client-sim/commands/command.h"
#include "client-sim/load/processes.h"
#include "client-sim/load/progress.h"
#include "client-sim/load/run.h"
#include "client-sim/load/summary.h"
#include "client-sim/report/file.h"
#include "client-sim/report/html.h"
#include "client-sim/report/json.h"
#include "client-sim/report/report.h"
#include "client-sim/stack.h"
#include "client-sim/swarm/probe.h"

namespace nightjar::commands {
namespace {

struct Asked {
  std::string profile = "smoke";
  std::vector<std::pair<std::string, std::string>> fields;  // key, text: in the order of the table
  std::string stack, key_file, prefix, json, html, title;
  std::vector<std::string> brokers, watched;
  std::string host = "127.0.0.1";
  int port = 0;
  int64_t processes = 1;
  uint64_t seed = 1;
  bool bare = false, quiet = false;
  std::string command;
};

volatile std::sig_atomic_t g_interrupts = 0;

void OnInterrupt(int) {
  g_interrupts = g_interrupts + 1;
  if (g_interrupts > 2) std::_Exit(130);  // somebody means it
}

Result<load::Broker> ParseBroker(const std::string& text) {
  load::Broker broker;
  const size_t colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto [at, error] = std::from_chars(port.data(), port.data() + port.size(), broker.port);
  if (colon == 0 || error != std::errc() || at != port.data() + port.size() || broker.port < 1 ||
      broker.port > 65535) {
    return Status(Code::kInvalidArgument, "--broker wants HOST:PORT, not '" + text + "'");
  }
  broker.host = text.substr(0, colon);
  broker.id = text;
  return broker;
}

// From the stack and the flags to what a run wants.
Status Gather(const Asked& asked, load::RunOptions& run) {
  auto profile = crowd::ReadProfile(asked.profile);
  if (!profile.ok()) return profile.status();
  for (const auto& [key, text] : asked.fields) {
    if (text.empty()) continue;
    if (auto set = crowd::SetField(*profile, key, text); !set.ok()) {
      return {set.code(), "--" + set.message()};
    }
  }
  if (auto good = crowd::Check(*profile); !good.ok()) {
    return {good.code(), asked.profile + ": " + good.message()};
  }
  run.profile = std::move(*profile);
  run.key_file = asked.key_file;
  run.bare = asked.bare;
  run.seed = asked.seed;
  run.title = asked.title;
  run.command = asked.command;
  for (const auto& text : asked.brokers) {
    auto broker = ParseBroker(text);
    if (!broker.ok()) return broker.status();
    run.brokers.push_back(std::move(*broker));
  }
  if (asked.port > 0) run.brokers.push_back({"broker", asked.host, asked.port});
  if (!asked.stack.empty()) {
    auto stack = client::ReadStack(asked.stack);
    if (!stack.ok()) return stack.status();
    for (const auto& broker : stack->brokers) {
      run.brokers.push_back({broker.id, broker.host, broker.mqtt});
    }
    if (run.key_file.empty()) run.key_file = stack->key_file;
  }
  if (run.brokers.empty()) {
    return {Code::kInvalidArgument, "where to? Give --stack FILE, or --port and --key-file"};
  }
  if (run.key_file.empty() && !asked.bare) {
    return {Code::kInvalidArgument, "tokens need --key-file (or --stack)"};
  }
  std::vector<load::WatchedProcess> watched;
  for (const auto& text : asked.watched) {
    auto process = swarm::ParseWatched(text);
    if (!process.ok()) return {process.status().code(), "--watch: " + process.status().message()};
    watched.push_back({process->name, process->pid});
  }
  run.watched = [watched, stack_file = asked.stack] {
    auto all = watched;
    if (stack_file.empty()) return all;
    const auto stack = client::ReadStack(stack_file);  // anew: pids change
    if (!stack.ok()) return all;
    for (const auto& process : stack->processes) all.push_back({process.name, process.pid});
    return all;
  };
  // Two runs on one stack shall not meet each other's users: a stack remembers.
  run.prefix = asked.prefix;
  if (run.prefix.empty()) {
    std::random_device entropy;
    for (int i = 0; i < 3; ++i) run.prefix += static_cast<char>('a' + entropy() % 26);
  }
  return Status::Ok();
}

int RunLoad(const Asked& asked) {
  load::RunOptions options;
  if (auto good = Gather(asked, options); !good.ok()) {
    std::cerr << "nightjar-sim: " << good.message() << "\n";
    return 1;
  }
  for (const auto& path : {asked.json, asked.html}) {
    if (path.empty()) continue;
    if (auto good = report::CheckWritable(path); !good.ok()) {
      std::cerr << "nightjar-sim: " << good.message() << "\n";
      return 1;
    }
  }
  std::signal(SIGINT, OnInterrupt);
  std::signal(SIGTERM, OnInterrupt);
  options.stop = [] { return g_interrupts > 0; };
  options.live_line = !asked.quiet && load::Progress::Wanted();

  report::Report report;
  int code = 1;
  const Status ran = load::RunProcesses(std::move(options), asked.processes, report, code);
  if (!ran.ok()) {
    std::cerr << "nightjar-sim: " << ran.message() << "\n";
    return 1;
  }
  if (!asked.quiet) load::PrintSummary(std::cout, report);
  for (const auto& [path, text] :
       {std::pair{asked.json, asked.json.empty() ? "" : report::ToJson(report)},
        std::pair{asked.html, asked.html.empty() ? "" : report::ToHtml(report)}}) {
    if (path.empty()) continue;
    if (auto wrote = report::WriteFile(path, text); !wrote.ok()) {
      std::cerr << "nightjar-sim: " << wrote.message() << "\n";
      if (code == 0) code = 1;
    }
  }
  return code;
}

}  // namespace

Command AddLoad(CLI::App& program) {
  auto asked = std::make_shared<Asked>();
  std::string names;
  for (const auto& name : crowd::ProfileNames()) names += (names.empty() ? "" : ", ") + name;
  auto* app = program.add_subcommand(
      "load",
      "A crowd of users chats over running brokers, open loop: latencies from the intended send "
      "time, what the servers cost, and whether every promise was kept.\n"
      "Exit code 0: all good; 1: it did not work, or not everything came through; 2: a promise was "
      "broken.\n"
      "Example: nightjar-sim load --stack .nj/stack.json --profile groups --seconds 30 --html "
      "r.html");
  app->add_option("--profile", asked->profile,
                  "a named profile (" + names + ") or the path of a TOML file")
      ->capture_default_str();
  auto* where = app->add_option_group("Where");
  where->add_option("--stack", asked->stack,
                    "the stack.json that ./nj up wrote: brokers, keys, processes to watch");
  where->add_option("--host", asked->host, "IPv4 address of the broker")->capture_default_str();
  where->add_option("--port", asked->port, "its TCP port")->check(CLI::Range(1, 65535));
  where->add_option("--broker", asked->brokers, "HOST:PORT, for several brokers")->take_all();
  where->add_option("--key-file", asked->key_file, "tokens are signed with this key file");
  where->add_option("--watch", asked->watched, "NAME=PID: measure this process too")->take_all();
  where->add_flag("--bare", asked->bare,
                  "a plain broker: pairs, QoS 1 by hand (the yardstick of ./nj bench)");
  auto* how = app->add_option_group("How");
  how->add_option("--seed", asked->seed, "who writes to whom and when")
      ->check(IsSeed())
      ->capture_default_str();
  how->add_option("--processes", asked->processes, "load processes; the people are split")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  how->add_option("--prefix", asked->prefix,
                  "uids are this and a number (default: three letters, others in every run)");
  how->add_option("--json", asked->json, "write the report there (nightjar-sim-report/1)");
  how->add_option("--html", asked->html, "write the report there as one page with charts");
  how->add_option("--title", asked->title, "of the report");
  how->add_flag("--quiet", asked->quiet, "no live line, no summary");
  auto* fields = app->add_option_group("Profile fields", "Each is also a key of a profile");
  const auto& all = crowd::Fields();
  asked->fields.resize(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    asked->fields[i].first = all[i].key;
    std::string flag = std::string("--") + all[i].key;
    std::replace(flag.begin(), flag.end(), '_', '-');
    fields->add_option(flag, asked->fields[i].second, all[i].help);
  }
  app->callback([asked, &program] {
    asked->command = "nightjar-sim load";
    for (const auto* option : program.get_subcommand("load")->get_options()) {
      if (option->count() == 0) continue;
      for (const auto& text : option->results()) {
        asked->command +=
            " " + option->get_name() + (option->get_items_expected() == 0 ? "" : " " + text);
      }
    }
  });
  return {app, [asked] { return RunLoad(*asked); }};
}

}  // namespace nightjar::commands
