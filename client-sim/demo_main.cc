#include "client-sim/demo_main.h"

#include <algorithm>
#include <iostream>

#include "client-sim/device/paho_link.h"
#include "client-sim/people/demo.h"
#include "client-sim/stack.h"
#include "common/base/clock.h"
#include "common/wire/jwt.h"

namespace nightjar::client {
namespace {
constexpr int64_t kTokenMs = 24LL * 3600 * 1000;
constexpr int64_t kLongestWaitMs = 100;
}  // namespace

int RunDemo(const DemoOptions& options) {
  auto stack = ReadStack(options.stack);
  if (!stack.ok()) {
    std::cerr << "nightjar-sim: " << stack.status().message() << "\n";
    return 1;
  }
  const std::string key_file = options.key_file.empty() ? stack->key_file : options.key_file;
  const auto token = [&](const std::string& uid) -> Result<std::string> {
    if (const auto given = options.tokens.find(uid); given != options.tokens.end()) {
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
    paho.host = stack->brokers.front().host;
    paho.port = stack->brokers.front().mqtt;
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

}  // namespace nightjar::client
