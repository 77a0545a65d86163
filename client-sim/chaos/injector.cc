#include "client-sim/chaos/injector.h"

#include <algorithm>

namespace nightjar::chaos {
namespace {

constexpr int64_t kStopMs = 10'000;      // a clean stop takes no longer
constexpr int64_t kComeBackMs = 20'000;  // nor does a start
constexpr int64_t kSupervisorMs = 500;   // between an end that nobody wanted and the next start
constexpr size_t kMostFindings = 100;

}  // namespace

Injector::Injector(Processes* processes, const std::vector<Fault>& faults, Listener listener)
    : processes_(processes), listener_(std::move(listener)), lives_(processes->size()) {
  for (const Fault& fault : faults) lives_[fault.process].ahead.push_back(fault);
}

bool Injector::Quiet() const {
  return std::all_of(lives_.begin(), lives_.end(), [](const Life& life) {
    return life.state == State::kWell && life.ahead.empty();
  });
}

void Injector::Begin(int64_t now_ms) { start_ms_ = now_ms; }

void Injector::CallOff() {
  for (Life& life : lives_) {
    life.ahead.clear();
    life.until_ms = 0;
  }
}

void Injector::Turn(int64_t now_ms) {
  for (const Processes::Ended& end : processes_->Watch()) Ended(end, now_ms);
  for (size_t i = 0; i < lives_.size(); ++i) Step(i, now_ms);
}

void Injector::Step(size_t i, int64_t now_ms) {
  Life& life = lives_[i];
  switch (life.state) {
    case State::kPaused:
      if (now_ms < life.until_ms) return;
      Check(processes_->Continue(i));
      life.state = State::kStarting;
      life.give_up_ms = now_ms + kComeBackMs;
      return;
    case State::kDying:
      if (now_ms < life.give_up_ms) return;
      Find(processes_->name(i) + " did not end within " + std::to_string(kStopMs / 1000) +
           " s of SIGTERM");
      life.give_up_ms = INT64_MAX;
      Check(processes_->Kill(i));
      return;
    case State::kDead:
      if (now_ms >= life.until_ms) Restart(i, now_ms);
      return;
    case State::kStarting:
      if (processes_->Listens(i)) {
        life.state = State::kWell;
        life.well_ms = now_ms;
        listener_({.kind = Incident::Kind::kBack,
                   .process = processes_->name(i),
                   .what = life.what,
                   .from_ms = life.from_ms,
                   .to_ms = now_ms});
      } else if (now_ms >= life.give_up_ms) {
        Find(processes_->name(i) + " was not back " + std::to_string(kComeBackMs / 1000) +
             " s after " + life.what);
        life.give_up_ms = INT64_MAX;
      }
      break;
    case State::kWell:
      break;
  }
  // A process that is only just starting may well be hurt again.
  if (start_ms_ >= 0 && !life.ahead.empty() && now_ms - start_ms_ >= life.ahead.front().at_ms) {
    const Fault fault = life.ahead.front();
    life.ahead.pop_front();
    Hurt(i, fault, now_ms);
  }
}

void Injector::Hurt(size_t i, const Fault& fault, int64_t now_ms) {
  Life& life = lives_[i];
  life.what = NameOf(fault.hurt);
  life.from_ms = now_ms;
  life.until_ms = now_ms + fault.lasts_ms;
  life.state = State::kDying;
  life.give_up_ms = INT64_MAX;
  switch (fault.hurt) {
    case Hurt::kKill:
      ++life.counts.kills;
      Check(processes_->Kill(i));
      break;
    case Hurt::kStop:
      ++life.counts.stops;
      life.give_up_ms = now_ms + kStopMs;
      Check(processes_->Stop(i));
      break;
    case Hurt::kPause:
      ++life.counts.pauses;
      life.state = State::kPaused;
      Check(processes_->Pause(i));
      break;
  }
  listener_({.kind = Incident::Kind::kHurt,
             .process = processes_->name(i),
             .what = life.what,
             .ends_it = fault.hurt != Hurt::kPause,
             .from_ms = now_ms,
             .to_ms = 0});
}

void Injector::Ended(const Processes::Ended& end, int64_t now_ms) {
  Life& life = lives_[end.process];
  if (end.wanted) {
    if (end.crashed)
      Find(processes_->name(end.process) + " crashed while it was stopped: " + end.how);
    life.state = State::kDead;
    return;
  }
  ++life.counts.ended_by_itself;
  const std::string what = "ended by itself: " + end.how;
  // A broker that does not find the hub at its start gives up, and is started again: that is known.
  const bool explained = !end.crashed && life.state == State::kStarting &&
                         SomebodyElseWasAway(end.process, life.started_ms);
  if (!explained) Find(processes_->name(end.process) + " " + what);
  if (life.state == State::kWell) life.from_ms = now_ms;
  life.what = what;
  life.state = State::kDead;
  life.until_ms = now_ms + kSupervisorMs;
  listener_({.kind = Incident::Kind::kEndedByItself,
             .process = processes_->name(end.process),
             .what = what,
             .ends_it = true,
             .from_ms = now_ms,
             .to_ms = 0});
}

bool Injector::SomebodyElseWasAway(size_t i, int64_t since_ms) const {
  for (size_t other = 0; other < lives_.size(); ++other) {
    const Life& life = lives_[other];
    if (other != i && (life.state != State::kWell || life.well_ms >= since_ms)) return true;
  }
  return false;
}

void Injector::Restart(size_t i, int64_t now_ms) {
  Life& life = lives_[i];
  Check(processes_->Start(i));
  life.started_ms = now_ms;
  life.state = State::kStarting;
  life.give_up_ms = now_ms + kComeBackMs;
}

void Injector::Check(const Status& status) {
  if (!status.ok()) Find(status.message());
}

void Injector::Find(std::string what) {
  if (findings_.size() < kMostFindings) findings_.push_back(std::move(what));
}

}  // namespace nightjar::chaos
