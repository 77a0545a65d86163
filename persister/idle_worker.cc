#include "persister/idle_worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/clock.h"
#include "common/base/log.h"

namespace nightjar::persist {

IdleWorker::IdleWorker(IdleKeeper::Options options, hub::Hub& hub, Store& store, Held held)
    : keeper_(options, hub, store), held_(std::move(held)), thread_([this] { Run(); }) {}

IdleWorker::~IdleWorker() { Stop(); }

void IdleWorker::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void IdleWorker::Run() {
  IdleKeeper::Counters told;
  bool failing = false;
  for (int64_t wait_ms = 0;;) {
    {
      std::unique_lock lock(mutex_);
      stop_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopping_; });
      if (stopping_) return;
    }
    wait_ms = keeper_.Step(SystemNow(), held_());
    if (!keeper_.failed().ok() && !failing) {
      log::Warning("idle: looked for in vain, and again: {}", keeper_.failed().message());
    }
    failing = !keeper_.failed().ok();
    const IdleKeeper::Counters& all = keeper_.counters();
    if (all.walks == told.walks) continue;
    log::Info("idle: looked at names={}, let go of chats={} users={} entries={}",
              all.names - told.names, all.chats - told.chats, all.users - told.users,
              all.entries - told.entries);
    told = all;
  }
}

}  // namespace nightjar::persist
