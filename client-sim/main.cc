// nightjar-sim: simulated people, load, and the judge of what they saw.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "client-sim/demo_main.h"

namespace {

using nightjar::client::DemoOptions;

void AddDemo(CLI::App& app, DemoOptions& demo, std::vector<std::string>& tokens) {
  auto* command = app.add_subcommand(
      "demo", "Five people chat over a running stack for about 20 seconds, live in the terminal. "
              "Exit code 0 only if everything accepted reached everybody exactly once.");
  command->add_option("--stack", demo.stack, "the stack.json that ./nj up wrote")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--seed", demo.seed, "another seed, another conversation")->capture_default_str();
  command->add_option("--key-file", demo.key_file, "sign tokens with this key file, not the stack's")
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

int Run(int argc, char** argv) {
  CLI::App app{"Simulated people, load, and the judge of what they saw.", "nightjar-sim"};
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("nightjar-sim: ") + error.what() + " (--help tells more)\n";
  });
  DemoOptions demo;
  std::vector<std::string> tokens;
  AddDemo(app, demo, tokens);
  CLI11_PARSE(app, argc, argv);
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
