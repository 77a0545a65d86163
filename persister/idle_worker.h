// The thread of the IdleKeeper.
//
// Threads: the keeper belongs to the worker's own. `held` is called, and what is worth telling is
// logged, there; Stop: any one thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "persister/idle_keeper.h"

namespace nightjar::persist {

class IdleWorker {
 public:
  // The partitions whose journal is this persister's, now.
  using Held = std::function<std::vector<uint32_t>()>;

  // `hub` and `store` must outlive the worker.
  IdleWorker(IdleKeeper::Options options, hub::Hub& hub, Store& store, Held held);
  ~IdleWorker();  // Stop()

  // Waits for the step under way. Repeatable.
  void Stop();

 private:
  void Run();

  IdleKeeper keeper_;
  const Held held_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace nightjar::persist
