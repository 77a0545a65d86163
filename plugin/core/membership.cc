#include "plugin/core/membership.h"

#include <fmt/format.h>

#include <utility>

#include "plugin/core/tell.h"

namespace nightjar::core::membership {
namespace {

// Whether others may be judged by their silence: only who has been heard itself all the time can
// tell their silence from the hub's.
bool MayClear(const State& s) {
  const MembershipState& m = s.membership;
  return !m.first && m.good_since >= 0 && s.now.mono_ms - m.good_since >= s.config.broker_ttl_ms &&
         s.now.mono_ms - m.good_at <= s.config.broker_ttl_ms / 2;
}

void Succeeded(State& s, int64_t asked_at) {
  MembershipState& m = s.membership;
  const int64_t gap = s.config.broker_ttl_ms / 2;
  const bool late = s.now.mono_ms - asked_at > gap || s.now.mono_ms - m.good_at > gap;
  if (m.good_since < 0 || late) m.good_since = s.now.mono_ms;
  m.good_at = s.now.mono_ms;
}

void Submit(State& s) {
  MembershipState& m = s.membership;
  m.asking = true;
  hub::Beat call;
  call.broker = s.broker;
  call.first = m.first;
  call.may_clear = MayClear(s);
  call.ttl_ms = s.config.broker_ttl_ms;
  call.epoch = m.epoch;
  call.known = m.version;
  call.clearing.assign(s.clearing.line.begin(), s.clearing.line.end());
  call.clearing.insert(call.clearing.end(), s.clearing.predecessors.begin(),
                       s.clearing.predecessors.end());
  Ask(s, std::move(call), PendingBeat{s.broker, s.now.mono_ms});
}

void TakeList(State& s, hub::BeatReply& beat, Outcome& outcome) {
  MembershipState& m = s.membership;
  const bool other_hub = m.epoch != 0 && beat.epoch != m.epoch;
  m.epoch = beat.epoch;
  if (!beat.brokers.empty()) {
    outcome.changed = beat.brokers != m.brokers;
    m.brokers = std::move(beat.brokers);
    m.version = beat.version;
  } else if (other_hub || beat.version != m.version) {
    m.version = 0;  // versions of another hub mean nothing: the next beat brings the list
  }
  if (outcome.changed) {
    Log(s, LogLevel::kInfo, fmt::format("{} brokers live", m.brokers.size()));
  }
}

}  // namespace

void OnHubUp(State& s) {
  MembershipState& m = s.membership;
  if (!std::exchange(m.started, true)) {
    s.timers.Add(s.now.mono_ms + s.config.beat_ms, TimerKind::kBeat, 0);
  }
  BeatNow(s);
}

void BeatNow(State& s) {
  if (s.membership.over) return;
  if (s.membership.asking) {
    s.membership.again = true;
  } else {
    Submit(s);
  }
}

void OnTimer(State& s) {
  if (s.membership.over) return;
  s.timers.Add(s.now.mono_ms + s.config.beat_ms, TimerKind::kBeat, 0);
  if (!s.membership.asking) Submit(s);
}

Outcome OnBeat(State& s, const PendingBeat& pending, hub::Reply& reply) {
  MembershipState& m = s.membership;
  Outcome outcome;
  if (pending.broker != s.broker || m.over) return outcome;
  m.asking = false;
  const bool again = std::exchange(m.again, false);
  hub::Failure failure;
  auto* beat = Expect<hub::BeatReply>(reply, failure);
  if (beat == nullptr) {
    m.good_since = -1;
    if (again) Submit(s);
    return outcome;
  }
  switch (beat->outcome) {
    case hub::BeatReply::Outcome::kTaken:
      m.over = true;
      m.registered = false;
      s.out->list.emplace_back(
          CannotGoOn{fmt::format("another broker goes by the id {}", s.config.broker_id)});
      return outcome;
    case hub::BeatReply::Outcome::kCleared:
      outcome.lost = true;
      return outcome;
    case hub::BeatReply::Outcome::kAlive:
      break;
  }
  Succeeded(s, pending.asked_at);
  outcome.began = std::exchange(m.first, false);
  m.registered = true;
  TakeList(s, *beat, outcome);
  for (hub::BrokerName& name : beat->clear) {
    if (name != s.broker) outcome.clear.push_back(std::move(name));
  }
  if (again) Submit(s);
  return outcome;
}

void BeginAnew(State& s) {
  ++s.incarnation;
  s.broker = fmt::format("{}#{}", s.config.broker_id, s.incarnation);
  MembershipState fresh;
  fresh.registered = false;
  fresh.started = s.membership.started;
  fresh.epoch = s.membership.epoch;
  s.membership = std::move(fresh);
  BeatNow(s);
}

void Leave(State& s) {
  s.membership.over = true;
  s.membership.registered = false;
}

}  // namespace nightjar::core::membership
