#include "persister/hub_reader.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace nightjar::persist {
namespace {

// Shared with the callbacks: answers may come when nobody waits any more.
struct Gathering {
  std::mutex mutex;
  std::condition_variable complete;
  std::vector<hub::Reply> replies;
  size_t missing = 0;
};

}  // namespace

Result<std::vector<hub::Reply>> HubReader::Ask(std::vector<hub::Call> calls) {
  auto gathering = std::make_shared<Gathering>();
  gathering->replies.resize(calls.size());
  gathering->missing = calls.size();
  for (size_t i = 0; i < calls.size(); ++i) {
    hub_.Submit(std::move(calls[i]), [gathering, i](hub::Reply reply) {
      std::lock_guard lock(gathering->mutex);
      gathering->replies[i] = std::move(reply);
      if (--gathering->missing == 0) gathering->complete.notify_one();
    });
  }
  std::unique_lock lock(gathering->mutex);
  if (!gathering->complete.wait_for(lock, std::chrono::milliseconds(timeout_ms_),
                                    [&] { return gathering->missing == 0; })) {
    return Status(Code::kUnavailable, "the hub does not answer");
  }
  for (const hub::Reply& reply : gathering->replies) {
    if (const auto* failure = std::get_if<hub::Failure>(&reply)) {
      return Status(Code::kUnavailable, "hub: " + failure->message);
    }
  }
  return std::move(gathering->replies);
}

}  // namespace nightjar::persist
