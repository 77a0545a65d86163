// nightjar-sim demo: five people chat over a running stack.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client-sim/commands/command.h"
#include "client-sim/device/paho_link.h"
#include "client-sim/people/demo.h"
#include "client-sim/stack.h"
#include "common/base/clock.h"
#include "common/wire/jwt.h"

namespace nightjar::commands {
namespace {

using namespace client;  // NOLINT(google-build-using-namespace): its people and devices

constexpr int64_t kTokenMs = 24LL * 3600 * 1000;
constexpr int64_t kLongestWaitMs = 100;

struct DemoOptions {
  std::string stack;
  std::string key_file;             // instead of the stack's
  std::vector<std::string> tokens;  // UID=JWT, instead of signing
  uint64_t seed = 0;
};

// Nothing if a text is not UID=JWT.
std::optional<std::map<std::string, std::string>> SplitTokens(
    const std::vector<std::string>& texts) {
  std::map<std::string, std::string> tokens;
  for (const auto& text : texts) {
    const size_t eq = text.find('=');
    if (eq == std::string::npos || eq == 0) return std::nullopt;
    tokens[text.substr(0, eq)] = text.substr(eq + 1);
  }
  return tokens;
}

int RunDemo(const DemoOptions& options) {
  const auto tokens = SplitTokens(options.tokens);
  if (!tokens) {
    std::cerr << "nightjar-sim: --token wants UID=JWT\n";
    return 2;
  }
  auto stack = ReadStack(options.stack);
  if (!stack.ok()) {
    std::cerr << "nightjar-sim: " << stack.status().message() << "\n";
    return 1;
  }
  const std::string key_file = options.key_file.empty() ? stack->key_file : options.key_file;
  const auto token = [&](const std::string& uid) -> Result<std::string> {
    if (const auto given = tokens->find(uid); given != tokens->end()) {
      return given->second;
    }
    Claims claims;
    claims.uid = uid;
    claims.expires_ms = SystemNow().unix_ms + kTokenMs;
    return SignToken(key_file, claims);
  };

  Bell bell;
  const auto make_link = [&](const std::string& uid, const std::string& device) {
    PahoOptions paho;
    for (const auto& broker : stack->brokers) paho.brokers.push_back({broker.host, broker.mqtt});
    paho.uid = uid;
    paho.device = device;
    paho.token = [&token, uid] { return token(uid); };
    return MakePahoLink(std::move(paho), &bell);
  };
  Terminal terminal(std::cout, Terminal::WantsColours());
  Demo demo(WriteScript(options.seed), options.seed, make_link, &terminal);
  while (!demo.done()) {
    demo.Step(SystemNow());
    const int64_t wait = demo.NextDeadline() - SystemNow().mono_ms;
    bell.WaitFor(std::clamp<int64_t>(wait, 0, kLongestWaitMs));
  }
  return demo.Conclude(SystemNow()) ? 0 : 1;
}

}  // namespace

Command AddDemo(CLI::App& program) {
  auto demo = std::make_shared<DemoOptions>();
  auto* app = program.add_subcommand(
      "demo",
      "Five people chat over a running stack for about 20 seconds, live in the terminal. "
      "Exit code 0 only if everything accepted reached everybody exactly once.");
  app->add_option("--stack", demo->stack, "the stack.json that ./nj up wrote")
      ->required()
      ->check(CLI::ExistingFile);
  app->add_option("--seed", demo->seed, "another seed, another conversation")
      ->check(IsSeed())
      ->capture_default_str();
  app->add_option("--key-file", demo->key_file, "sign tokens with this key file, not the stack's")
      ->check(CLI::ExistingFile);
  app->add_option("--token", demo->tokens, "UID=JWT: use this token for UID instead of signing one")
      ->take_all();
  return {app, [demo] { return RunDemo(*demo); }};
}

}  // namespace nightjar::commands
