// SIGTERM and SIGINT, taken over from the broker so that it can empty itself before it stops. The
// first one is only noted; the second one is the broker's own again, at once.
//
// Signals belong to the process: one object at a time does anything. Threads: one owner; the
// signals may come on any thread.
#pragma once

namespace nightjar::plugin {

class StopSignals {
 public:
  StopSignals() = default;
  ~StopSignals() { GiveBack(); }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // From now on. The broker sets its handlers after it has loaded its plugins: not before its first
  // tick.
  void Take();
  bool taken() const { return taken_; }

  // Has one come since Take()?
  bool Asked() const;

  // The broker's handlers are in force again.
  void GiveBack();

  // Gives back, and has the broker stop: sends the signal that came, or SIGTERM, to this thread.
  void Pass();

 private:
  bool taken_ = false;
};

}  // namespace nightjar::plugin
