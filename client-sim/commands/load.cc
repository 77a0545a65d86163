// nightjar-sim load: many users, open loop.
#include "client-sim/swarm/load.h"

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "client-sim/commands/command.h"

namespace nightjar::commands {
namespace {

using swarm::LoadOptions;

int Run(LoadOptions& load, const std::vector<std::string>& watched) {
  if (load.mode == "nightjar" && load.key_file.empty()) {
    std::cerr << "nightjar-sim: --mode nightjar needs --key-file\n";
    return 2;
  }
  for (const auto& text : watched) {
    auto process = swarm::ParseWatched(text);
    if (!process.ok()) {
      std::cerr << "nightjar-sim: --watch: " << process.status().message() << "\n";
      return 2;
    }
    load.watched.push_back(*process);
  }
  return swarm::RunLoad(load);
}

}  // namespace

Command AddLoad(CLI::App& program) {
  auto load = std::make_shared<LoadOptions>();
  auto watched = std::make_shared<std::vector<std::string>>();
  auto* app = program.add_subcommand(
      "load",
      "Pairs of users write to each other at fixed rates, open loop; tells latencies and the CPU "
      "time of the servers. Exit code 0 only if every message came through.");
  app->add_option("--mode", load->mode, "bare (plain broker, QoS 1 by hand) or nightjar")
      ->check(CLI::IsMember({"bare", "nightjar"}))
      ->capture_default_str();
  app->add_option("--host", load->host, "IPv4 address of the broker")
      ->check(CLI::ValidIPV4)
      ->capture_default_str();
  app->add_option("--port", load->port, "its TCP port")->check(CLI::Range(1, 65535))->required();
  app->add_option("--pairs", load->pairs, "pairs of users")
      ->check(CLI::Range(1, 9000))
      ->capture_default_str();
  app->add_option("--rate", load->rates, "messages a second; several are run one after the other")
      ->check(CLI::Range(1, 200'000))
      ->capture_default_str();
  app->add_option("--seconds", load->seconds, "measured time of each rate")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  app->add_option("--warm-up", load->warm_up_s, "seconds before it that do not count")
      ->check(CLI::Range(0, 60))
      ->capture_default_str();
  app->add_option("--text", load->text_bytes, "bytes of a text (its first 16 are a time stamp)")
      ->check(CLI::Range(25, 16'000))
      ->capture_default_str();
  app->add_option("--key-file", load->key_file, "nightjar: tokens are signed with this key file")
      ->check(CLI::ExistingFile);
  app->add_option("--prefix", load->prefix, "uids are this and a number")->capture_default_str();
  app->add_option("--watch", *watched, "NAME=PID: measure this process")->take_all();
  app->add_option("--idle", load->idle,
                  "no talk: connect this many clients, tell memory per client")
      ->check(CLI::Range(1, 19'000));
  app->add_option("--settle", load->settle_s, "seconds that idle clients sit before memory is read")
      ->check(CLI::Range(1, 120))
      ->capture_default_str();
  app->add_option("--seed", load->seed, "who writes when")->capture_default_str();
  app->add_option("--json", load->json, "write the figures there");
  return {app, [load, watched] { return Run(*load, *watched); }};
}

}  // namespace nightjar::commands
