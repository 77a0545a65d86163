#include "client-sim/load/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

namespace nightjar::load {

const char* NameOf(Phase phase) {
  switch (phase) {
    case Phase::kConnect:
      return "connecting";
    case Phase::kIntroduce:
      return "introducing";
    case Phase::kWarmUp:
      return "warming up";
    case Phase::kMeasure:
      return "measuring";
    case Phase::kDrain:
      return "draining";
    case Phase::kJudge:
      return "judging";
    case Phase::kOver:
      return "over";
  }
  return "";
}

bool Progress::Wanted() { return isatty(STDERR_FILENO) == 1; }

void Progress::Begin(Phase phase) {
  phase_ = phase;
  if (phase == Phase::kOver && open_) {
    std::cerr << "\r\033[K" << std::flush;
    open_ = false;
  }
}

void Progress::Show(const report::Second& second) {
  sent_ += second.sent;
  accepted_ += second.accepted;
  received_ += second.received;
  rejected_ += second.rejected;
  std::cerr << fmt::format(
                   "\r{:>4} s {:<11} {} connected, {} sent ({}/s), {} accepted, {} delivered, "
                   "{} rejected, p50 {:.1f} p99 {:.1f} ms, backlog {}\033[K",
                   second.t_s, NameOf(phase_), second.connected, sent_, second.sent, accepted_,
                   received_, rejected_, second.received_latency.p50_ms,
                   second.received_latency.p99_ms, second.backlog)
            << std::flush;
  open_ = true;
}

Progress::~Progress() {
  if (open_) std::cerr << "\n";
}

}  // namespace nightjar::load
