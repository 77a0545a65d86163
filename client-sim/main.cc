// nightjar-sim: simulated people, load, and the judge of what they saw.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "client-sim/commands/command.h"

namespace {

int Run(int argc, char** argv) {
  CLI::App app{"Simulated people, load, and the judge of what they saw.", "nightjar-sim"};
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("nightjar-sim: ") + error.what() + " (--help tells more)\n";
  });
  const std::vector<nightjar::commands::Command> commands = {
      nightjar::commands::AddChat(app),    nightjar::commands::AddDemo(app),
      nightjar::commands::AddLoad(app),    nightjar::commands::AddVerify(app),
      nightjar::commands::AddCompare(app), nightjar::commands::AddHtml(app),
  };
  const auto known = [argv](const auto& command) { return command.app->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), known)) {
    std::cerr << "nightjar-sim: no command '" << argv[1] << "' (--help lists them)\n";
    return static_cast<int>(CLI::ExitCodes::ExtrasError);
  }
  CLI11_PARSE(app, argc, argv);
  for (const auto& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  return 2;  // not reached: one is required
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
