// The desk where brokers ask for history: takes StoreRequests, has a few threads answer them
// through the ChatReader, and hands the encoded StoreReply back to whoever brought the request.
//
// Threads: Take from any thread; never waits. `reply` functions run on the service's threads, or
// inside Take when the service is full.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "nightjar/v1/hub.pb.h"
#include "persister/chat_reader.h"
#include "persister/mailbox.h"

namespace nightjar::persist {

class HistoryService {
 public:
  // Publishes an encoded StoreReply.
  using ReplyFn = std::function<void(const std::string& topic, const std::string& payload)>;

  struct Options {
    int threads = 4;
    size_t queue = 1000;        // requests that wait; beyond it: RESOURCE_EXHAUSTED
    int64_t too_old_ms = 3000;  // waited longer: the broker has given up, no answer
    uint32_t retry_after_ms = 1000;
  };
  struct Counters {
    uint64_t taken = 0, answered = 0, failed = 0, refused = 0, bad = 0, too_old = 0;
    uint64_t repeated = 0;  // of taken: nobody had answered within a second
  };

  // `reader` must outlive the service.
  HistoryService(Options options, ChatReader& reader);
  ~HistoryService();  // Stop()

  // `payload`: a serialized StoreRequest, from outside: anything. A repeat has been told to every
  // persister, and the first answer counts: it is answered only with what was asked for, so that no
  // persister that cannot outruns one that can; and not if it still is to be answered here.
  void Take(std::string_view payload, bool repeat, const ReplyFn& reply);
  // Answers what is queued, then joins the threads. Repeatable.
  void Stop();

  Counters counters() const;

 private:
  struct Job {
    v1::StoreRequest request;
    ReplyFn reply;
    int64_t taken_ms = 0;  // mono
    bool repeat = false;
  };
  using Key = std::pair<std::string, uint64_t>;  // where the answer goes, attempt
  static Key KeyOf(const v1::StoreRequest& request);
  bool Enter(const Key& key);  // false: it is waiting or being answered
  void Leave(const Key& key);
  void Run();
  void Answer(const v1::StoreRequest& request, v1::Response response, const ReplyFn& reply);

  const Options options_;
  ChatReader& reader_;
  Mailbox<Job> jobs_;
  std::atomic<uint64_t> taken_{0}, answered_{0}, failed_{0}, refused_{0}, bad_{0}, too_old_{0},
      repeated_{0};
  std::mutex inside_mutex_;
  std::set<Key> inside_;  // bounded by the queue and the threads
  std::vector<std::thread> threads_;
};

}  // namespace nightjar::persist
