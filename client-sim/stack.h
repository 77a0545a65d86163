// The stack.json that `./nj up` writes: where a running stack is to be found.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"

namespace nightjar::client {

struct Stack {
  struct Broker {
    std::string id;
    std::string host;
    int mqtt = 0;  // TCP port
  };
  struct Process {
    std::string name;
    int pid = 0;
  };
  std::vector<Broker> brokers;  // at least one
  std::vector<Process> processes;
  std::string key_file;
};

// kNotFound or kInvalidArgument with a message for people.
Result<Stack> ReadStack(const std::string& path);

}  // namespace nightjar::client
