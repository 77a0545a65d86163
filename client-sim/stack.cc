#include "client-sim/stack.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace nightjar::client {

Result<Stack> ReadStack(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Status(Code::kNotFound, "cannot read " + path + " (is the stack up? try ./nj up)");
  }
  const auto json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Status(Code::kInvalidArgument, path + " is not a stack.json");
  Stack stack;
  try {
    for (const auto& broker : json.at("brokers")) {
      stack.brokers.push_back({broker.value("id", std::string()),
                               broker.value("host", std::string("127.0.0.1")),
                               broker.at("mqtt").get<int>()});
    }
    if (const auto all = json.find("processes"); all != json.end()) {
      for (const auto& process : *all) {
        stack.processes.push_back({process.at("name").get<std::string>(), process.value("pid", 0)});
      }
    }
    stack.key_file = json.value("key_file", std::string());
  } catch (const nlohmann::json::exception& e) {
    return Status(Code::kInvalidArgument, path + ": " + e.what());
  }
  if (stack.brokers.empty()) return Status(Code::kInvalidArgument, path + " names no broker");
  return stack;
}

}  // namespace nightjar::client
