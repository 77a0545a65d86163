// Drives an HttpSender from outside, for tests/integration/test_push_sender.py. The first line of
// standard input is a JSON object of options; each other one {"url", "n"} is a batch of n requests,
// all of the batches side by side. A line of output for each batch when its last answer is there:
//   {"url", "ms", "after_ms" (the longest), "body", "results": {"answered 200": 3, ...}}
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/clock.h"
#include "notifier/http/http_sender.h"

namespace {

using namespace nightjar;
using namespace nightjar::notify;
using nlohmann::json;

HttpSender::Options OptionsOf(const json& given) {
  HttpSender::Options options;
  options.public_only = given.value("public_only", true);
  options.ca_file = given.value("ca", "");
  options.connect_ms = given.value("connect_ms", options.connect_ms);
  options.answer_ms = given.value("answer_ms", options.answer_ms);
  options.waiting_ms = given.value("waiting_ms", options.waiting_ms);
  options.waiting = given.value("waiting", options.waiting);
  options.in_flight = given.value("in_flight", options.in_flight);
  options.host.in_flight = given.value("host_in_flight", options.host.in_flight);
  options.host.failures = given.value("failures", options.host.failures);
  options.hold_on_429 = given.value("hold_on_429", false);
  return options;
}

std::string ResultOf(const Carried& carried) {
  switch (carried.kind) {
    case Carried::Kind::kAnswered:
      return "answered " + std::to_string(carried.answer.status);
    case Carried::Kind::kRefused:
      return "refused: " + carried.reason;
    case Carried::Kind::kUnreachable:
      return "unreachable: " + carried.reason;
    case Carried::Kind::kHeld:
      return "held";
  }
  return "";
}

struct Batch {
  std::string url, body;
  int left = 0;
  int64_t after_ms = 0, began_ms = 0;
  std::map<std::string, int> results;
};

class Probe {
 public:
  explicit Probe(const json& options) : sender_(OptionsOf(options)) {}

  void Run(const json& line) {
    auto batch = std::make_shared<Batch>();
    batch->url = line.at("url");
    batch->left = line.value("n", 1);
    batch->began_ms = SystemNow().mono_ms;
    for (int i = line.value("n", 1); i > 0; --i) {
      while (!sender_.Submit({batch->url, {{"x-test", "1"}}, std::string(400, 'x')},
                             [this, batch](const Carried& carried) { Note(*batch, carried); })) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    std::lock_guard lock(mutex_);
    ++begun_;
  }
  void WaitForAll() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ == begun_; });
  }

 private:
  void Note(Batch& batch, const Carried& carried) {
    std::lock_guard lock(mutex_);
    ++batch.results[ResultOf(carried)];
    batch.after_ms = std::max(batch.after_ms, carried.after_ms);
    batch.body = carried.answer.body;
    if (--batch.left > 0) return;
    std::cout << json{{"url", batch.url},
                      {"ms", SystemNow().mono_ms - batch.began_ms},
                      {"after_ms", batch.after_ms},
                      {"body", batch.body},
                      {"results", batch.results}}
                     .dump()
              << std::endl;
    ++ended_;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int begun_ = 0, ended_ = 0;
  HttpSender sender_;  // last: its thread ends before the rest
};

}  // namespace

int main() {
  std::string line;
  std::getline(std::cin, line);
  Probe probe(json::parse(line));
  while (std::getline(std::cin, line)) probe.Run(json::parse(line));
  probe.WaitForAll();
  return 0;
}
