#include "plugin/stop_signals.h"

#include <atomic>
#include <csignal>

namespace nightjar::plugin {
namespace {

constexpr int kSignals[] = {SIGTERM, SIGINT};

// What the handler touches: lock-free, and set before the handler is.
std::atomic<int> came{0};
struct sigaction before[2];
static_assert(std::atomic<int>::is_always_lock_free);

void Restore() {
  for (int i = 0; i < 2; ++i) sigaction(kSignals[i], &before[i], nullptr);
}

void OnSignal(int number) {
  if (came.exchange(number) == 0) return;
  Restore();
  raise(number);  // comes when this handler has returned
}

}  // namespace

void StopSignals::Take() {
  if (taken_) return;
  taken_ = true;
  came = 0;
  for (int i = 0; i < 2; ++i) sigaction(kSignals[i], nullptr, &before[i]);
  struct sigaction ours {};
  ours.sa_handler = OnSignal;
  ours.sa_flags = SA_RESTART;
  sigemptyset(&ours.sa_mask);
  for (const int number : kSignals) {
    sigaddset(&ours.sa_mask, SIGTERM);
    sigaddset(&ours.sa_mask, SIGINT);
    sigaction(number, &ours, nullptr);
  }
}

bool StopSignals::Asked() const { return taken_ && came != 0; }

void StopSignals::GiveBack() {
  if (!taken_) return;
  taken_ = false;
  Restore();
}

void StopSignals::Pass() {
  const int number = Asked() ? came.load() : SIGTERM;
  GiveBack();
  raise(number);
}

}  // namespace nightjar::plugin
