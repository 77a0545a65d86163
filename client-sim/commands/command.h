// The program's subcommands, one source file each. A command adds itself, with its options, to the
// program and says how it is run once the command line is read.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace nightjar::commands {

struct Command {
  CLI::App* app = nullptr;  // parsed() if it was chosen
  std::function<int()>
      run;  // the program's exit code: 0 good, 1 failed, 2 bad use or a broken promise
};

Command AddChat(CLI::App& program);
Command AddCompare(CLI::App& program);
Command AddDemo(CLI::App& program);
Command AddHtml(CLI::App& program);
Command AddLoad(CLI::App& program);
Command AddVerify(CLI::App& program);

}  // namespace nightjar::commands
