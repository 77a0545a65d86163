// The program's subcommands, one source file each. A command adds itself, with its options, to the
// program and says how it is run once the command line is read.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <functional>
#include <string>

namespace nightjar::commands {

struct Command {
  CLI::App* app = nullptr;  // parsed() if it was chosen
  std::function<int()>
      run;  // the program's exit code: 0 good, 1 failed, 2 bad use or a broken promise
};

// Of a --seed. CLI11 alone would take -1 for a very large one.
inline CLI::Validator IsSeed() {
  const auto check = [](const std::string& text) {
    uint64_t seed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
    const bool good = error == std::errc() && end == text.data() + text.size();
    return good ? std::string() : "'" + text + "' is not a whole number of 64 bits, from 0 on";
  };
  return {check, "SEED"};
}

Command AddChat(CLI::App& program);
Command AddCompare(CLI::App& program);
Command AddDemo(CLI::App& program);
Command AddHtml(CLI::App& program);
Command AddLoad(CLI::App& program);
Command AddVerify(CLI::App& program);

}  // namespace nightjar::commands
