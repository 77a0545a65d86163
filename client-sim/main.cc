// nightjar-sim: simulated people, load, and the judge of what they saw.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "client-sim/demo_main.h"
#include "client-sim/swarm/load.h"

namespace {

using nightjar::client::DemoOptions;
using nightjar::swarm::LoadOptions;

void AddDemo(CLI::App& app, DemoOptions& demo, std::vector<std::string>& tokens) {
  auto* command = app.add_subcommand(
      "demo",
      "Five people chat over a running stack for about 20 seconds, live in the terminal. "
      "Exit code 0 only if everything accepted reached everybody exactly once.");
  command->add_option("--stack", demo.stack, "the stack.json that ./nj up wrote")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--seed", demo.seed, "another seed, another conversation")
      ->capture_default_str();
  command
      ->add_option("--key-file", demo.key_file, "sign tokens with this key file, not the stack's")
      ->check(CLI::ExistingFile);
  command->add_option("--token", tokens, "UID=JWT: use this token for UID instead of signing one")
      ->take_all();
}

bool SplitTokens(const std::vector<std::string>& tokens, DemoOptions& demo) {
  for (const auto& token : tokens) {
    const size_t eq = token.find('=');
    if (eq == std::string::npos || eq == 0) return false;
    demo.tokens[token.substr(0, eq)] = token.substr(eq + 1);
  }
  return true;
}

CLI::App* AddLoad(CLI::App& app, LoadOptions& load, std::vector<std::string>& watched) {
  auto* command = app.add_subcommand(
      "load",
      "Pairs of users write to each other at fixed rates, open loop; tells latencies and the CPU "
      "time of the servers. Exit code 0 only if every message came through.");
  command->add_option("--mode", load.mode, "bare (plain broker, QoS 1 by hand) or nightjar")
      ->check(CLI::IsMember({"bare", "nightjar"}))
      ->capture_default_str();
  command->add_option("--host", load.host, "IPv4 address of the broker")
      ->check(CLI::ValidIPV4)
      ->capture_default_str();
  command->add_option("--port", load.port, "its TCP port")->check(CLI::Range(1, 65535))->required();
  command->add_option("--pairs", load.pairs, "pairs of users")
      ->check(CLI::Range(1, 9000))
      ->capture_default_str();
  command
      ->add_option("--rate", load.rates, "messages a second; several are run one after the other")
      ->check(CLI::Range(1, 200'000))
      ->capture_default_str();
  command->add_option("--seconds", load.seconds, "measured time of each rate")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  command->add_option("--warm-up", load.warm_up_s, "seconds before it that do not count")
      ->check(CLI::Range(0, 60))
      ->capture_default_str();
  command->add_option("--text", load.text_bytes, "bytes of a text (its first 16 are a time stamp)")
      ->check(CLI::Range(25, 16'000))
      ->capture_default_str();
  command->add_option("--key-file", load.key_file, "nightjar: tokens are signed with this key file")
      ->check(CLI::ExistingFile);
  command->add_option("--prefix", load.prefix, "uids are this and a number")->capture_default_str();
  command->add_option("--watch", watched, "NAME=PID: measure this process")->take_all();
  command
      ->add_option("--idle", load.idle,
                   "no talk: connect this many clients, tell memory per client")
      ->check(CLI::Range(1, 19'000));
  command
      ->add_option("--settle", load.settle_s, "seconds that idle clients sit before memory is read")
      ->check(CLI::Range(1, 120))
      ->capture_default_str();
  command->add_option("--seed", load.seed, "who writes when")->capture_default_str();
  command->add_option("--json", load.json, "write the figures there");
  return command;
}

bool ReadWatched(const std::vector<std::string>& texts, LoadOptions& load) {
  for (const auto& text : texts) {
    auto watched = nightjar::swarm::ParseWatched(text);
    if (!watched.ok()) {
      std::cerr << "nightjar-sim: --watch: " << watched.status().message() << "\n";
      return false;
    }
    load.watched.push_back(*watched);
  }
  return true;
}

int Run(int argc, char** argv) {
  CLI::App app{"Simulated people, load, and the judge of what they saw.", "nightjar-sim"};
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("nightjar-sim: ") + error.what() + " (--help tells more)\n";
  });
  DemoOptions demo;
  std::vector<std::string> tokens;
  AddDemo(app, demo, tokens);
  LoadOptions load;
  std::vector<std::string> watched;
  const CLI::App* load_command = AddLoad(app, load, watched);
  CLI11_PARSE(app, argc, argv);
  if (load_command->parsed()) {
    if (load.mode == "nightjar" && load.key_file.empty()) {
      std::cerr << "nightjar-sim: --mode nightjar needs --key-file\n";
      return 2;
    }
    return ReadWatched(watched, load) ? nightjar::swarm::RunLoad(load) : 2;
  }
  if (!SplitTokens(tokens, demo)) {
    std::cerr << "nightjar-sim: --token wants UID=JWT\n";
    return 2;
  }
  return nightjar::client::RunDemo(demo);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "nightjar-sim: " << e.what() << "\n";
    return 1;
  }
}
