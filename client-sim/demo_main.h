// `nightjar-sim demo`.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace nightjar::client {

struct DemoOptions {
  std::string stack;
  std::string key_file;                       // instead of the stack's
  std::map<std::string, std::string> tokens;  // uid -> token, instead of signing
  uint64_t seed = 0;
};

// The program's exit code: 0 only if all promises held.
int RunDemo(const DemoOptions& options);

}  // namespace nightjar::client
