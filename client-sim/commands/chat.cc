// nightjar-sim chat: one person at this terminal.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>

#include "client-sim/commands/command.h"
#include "client-sim/device/paho_link.h"
#include "client-sim/people/chat.h"
#include "client-sim/people/text.h"
#include "client-sim/stack.h"
#include "common/base/clock.h"
#include "common/wire/jwt.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::commands {
namespace {

using namespace client;  // NOLINT(google-build-using-namespace): its people and devices

constexpr int64_t kTokenMs = 24LL * 3600 * 1000;
constexpr int64_t kLongestWaitMs = 60'000;
constexpr size_t kReadAtOnce = 4096;

struct ChatOptions {
  std::string user, device = "terminal", to;
  std::string stack, broker, host, token, key_file;
  int port = 0;
  int wait_s = 5;
};

volatile std::sig_atomic_t interrupts = 0;
Bell* interrupt_bell = nullptr;

void OnInterrupt(int) {
  if (interrupts > 0) _exit(130);  // who insists does not want to wait
  interrupts = 1;
  interrupt_bell->Ring();
}

// Where to connect and how to get in, checked. The message of an error is for people.
Result<PahoOptions> Prepare(const ChatOptions& options) {
  const auto bad = [](std::string why) { return Status(Code::kInvalidArgument, std::move(why)); };
  if (!ValidUid(options.user)) return bad("--user: letters, digits, _ . -, up to 64");
  if (!ValidDevice(options.device)) return bad("--device: letters, digits, _ -, up to 32");
  if (!options.to.empty() && !ValidUid(options.to)) return bad("--to: no user id");
  if (options.stack.empty() && options.port == 0)
    return bad("--stack FILE or --port PORT is needed");
  PahoOptions paho;
  paho.uid = options.user;
  paho.device = options.device;
  std::string key_file = options.key_file;
  if (!options.stack.empty()) {
    auto stack = ReadStack(options.stack);
    if (!stack.ok()) return stack.status();
    for (const auto& broker : stack->brokers) {
      if (!options.broker.empty() && broker.id != options.broker) continue;
      paho.brokers.push_back({broker.host, broker.mqtt});
    }
    if (paho.brokers.empty()) return bad("--broker: the stack has no " + options.broker);
    if (key_file.empty()) key_file = stack->key_file;
  }
  if (!options.host.empty() || options.port != 0) {  // instead of the stack's
    PahoOptions::Broker broker =
        paho.brokers.empty() ? PahoOptions::Broker() : paho.brokers.front();
    if (!options.host.empty()) broker.host = options.host;
    if (options.port != 0) broker.port = options.port;
    paho.brokers = {broker};
  }
  if (options.token.empty() && key_file.empty())
    return bad("--token JWT or --key-file FILE is needed");
  paho.token = [token = options.token, key_file, uid = options.user]() -> Result<std::string> {
    if (!token.empty()) return token;
    Claims claims;
    claims.uid = uid;
    claims.expires_ms = SystemNow().unix_ms + kTokenMs;
    return SignToken(key_file, claims);
  };
  if (auto token = paho.token(); !token.ok()) return token.status();
  return paho;
}

// Standard input: its lines go to the chat as fast as that takes them.
class Typing {
 public:
  explicit Typing(Chat* chat) : chat_(chat) {}

  // The file to wait for; -1 while the chat takes no lines, or after the end.
  int file() const { return over_ || !chat_->wants_lines() ? -1 : STDIN_FILENO; }
  // REQUIRES: the file can be read.
  void Read() {
    char bytes[kReadAtOnce];
    const ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    over_ = got <= 0;
    if (got > 0) lines_.Put({bytes, static_cast<size_t>(got)});
  }
  void HandOver(Now now) {
    while (chat_->wants_lines()) {
      auto line = lines_.Next();
      if (!line && over_) line = lines_.Rest();
      if (!line) break;
      line->too_long ? chat_->TooLongLine() : chat_->Line(std::move(line->text));
    }
    if (over_ && chat_->wants_lines()) chat_->EndOfInput(now);
  }

 private:
  Chat* chat_;
  LineSplitter lines_{limits::kText + 1};  // a text beginning with // is one longer
  bool over_ = false;
};

bool Readable(int file) {
  pollfd one{file, POLLIN, 0};
  return file >= 0 && poll(&one, 1, 0) > 0;
}

int Run(const ChatOptions& options) {
  auto paho = Prepare(options);
  if (!paho.ok()) {
    std::cerr << "nightjar-sim: " << paho.status().message() << "\n";
    return 2;
  }
  Bell bell;
  interrupt_bell = &bell;
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  Terminal terminal(std::cout, Terminal::WantsColours());
  Chat::Options chat_options{options.user, options.device, 0, options.wait_s * 1000LL};
  chat_options.seed = static_cast<uint64_t>(SystemNow().unix_ms) ^ static_cast<uint64_t>(getpid());
  Chat chat(std::move(chat_options), MakePahoLink(std::move(*paho), &bell), &terminal);
  if (!options.to.empty()) chat.Line("/to " + options.to);
  Typing typing(&chat);
  while (!chat.done()) {
    if (interrupts > 0 || !std::cout) chat.EndOfInput(SystemNow());
    if (Readable(typing.file())) typing.Read();
    typing.HandOver(SystemNow());
    chat.Step(SystemNow());
    if (chat.done()) break;
    const int64_t wait = chat.NextDeadline() - SystemNow().mono_ms;
    bell.WaitFor(std::clamp<int64_t>(wait, 0, kLongestWaitMs), typing.file());
  }
  return chat.good() ? 0 : 1;
}

}  // namespace

Command AddChat(CLI::App& program) {
  auto chat = std::make_shared<ChatOptions>();
  auto* app = program.add_subcommand(
      "chat",
      "One person at this terminal: lines you type are sent to the open chat, /help lists the "
      "commands; ✓ is accepted, ✓✓ delivered. Reads a pipe as well. Exit code 0 only if there "
      "was a connection and everything typed was sent and answered.");
  app->add_option("--user", chat->user, "who you are")->required();
  app->add_option("--device", chat->device, "the name of this device")->capture_default_str();
  app->add_option("--to", chat->to, "begin by talking to this user");
  auto* stack = app->add_option("--stack", chat->stack, "the stack.json that ./nj up wrote")
                    ->check(CLI::ExistingFile);
  app->add_option("--broker", chat->broker, "only this broker of the stack (any of them)")
      ->needs(stack);
  app->add_option("--host", chat->host, "a broker's name or address (127.0.0.1)");
  app->add_option("--port", chat->port, "its TCP port")->check(CLI::Range(1, 65535));
  auto* token = app->add_option("--token", chat->token, "get in with this JWT");
  app->add_option("--key-file", chat->key_file, "sign a token with this key file, not the stack's")
      ->check(CLI::ExistingFile)
      ->excludes(token);
  app->add_option("--wait", chat->wait_s, "seconds that the end waits for answers")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  return {app, [chat] { return Run(*chat); }};
}

}  // namespace nightjar::commands
