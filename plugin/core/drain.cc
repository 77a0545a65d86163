#include "plugin/core/drain.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "plugin/core/leases.h"
#include "plugin/core/membership.h"
#include "plugin/core/tell.h"

namespace nightjar::core::drain {
namespace {

constexpr int64_t kStepMs = 50, kJitterMs = 100;
constexpr int64_t kAnswerMs = 2000;  // what a session has under way may take, from its turn on
constexpr int64_t kRestMs = 5000;    // of drain_ms, for logouts after the last is closed

// Spreads neighbours; the same every time, as everything here.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ULL;
  return x ^ (x >> 32);
}

void Finish(State& s, const char* how) {
  if (std::exchange(s.drain.emptied, true)) return;
  Log(s, LogLevel::kNotice, fmt::format("drained: {}", how));
  s.out->list.emplace_back(Emptied{});
}

// True: it is to be asked about again.
bool Waits(State& s, const Session& session) {
  if (session.sends == 0 && session.requests == 0) return false;
  const auto since = s.drain.waits.emplace(session.id, s.now.mono_ms).first->second;
  return s.now.mono_ms - since < kAnswerMs && s.now.mono_ms < s.drain.kicks_until;
}

void MoveSome(State& s) {
  DrainState& drain = s.drain;
  const auto left = static_cast<double>(drain.line.size());
  const auto time = static_cast<double>(std::max(drain.kicks_until - s.now.mono_ms, kStepMs));
  const double per_ms = std::max(s.config.drain_per_s / 1000.0, left / time);
  drain.allowance += per_ms * static_cast<double>(s.now.mono_ms - drain.stepped_at);
  drain.stepped_at = s.now.mono_ms;
  if (s.now.mono_ms >= drain.kicks_until) drain.allowance = left;
  for (size_t looked = drain.line.size(); looked > 0 && drain.allowance >= 1; --looked) {
    const SessionId id = drain.line.front();
    drain.line.pop_front();
    Session* session = s.directory.Find(id);
    if (session == nullptr || session->closing) continue;
    if (Waits(s, *session)) {
      drain.line.push_back(id);
      continue;
    }
    drain.allowance -= 1;
    TellNotice(s, *session, v1::Notice::SHUTTING_DOWN, "the broker is stopping");
    Close(s, *session);
  }
  drain.allowance = std::min(drain.allowance, 1.0);
}

void Leave(State& s) {
  s.drain.leaving = true;
  const bool known = s.membership.registered;
  membership::Leave(s);
  leases::GiveBackAll(s);
  if (!known) return Finish(s, "nobody is left");
  const bool clean = s.directory.size() == 0 && s.logouts == 0 && s.presence.empty() &&
                     !s.clearing.wanted && s.clearing.at.empty();
  Ask(s, hub::Gone{s.broker, clean}, PendingGone{});
}

}  // namespace

void Start(State& s) {
  DrainState& drain = s.drain;
  if (std::exchange(drain.on, true)) return;
  Log(s, LogLevel::kNotice, fmt::format("draining {} sessions", s.directory.size()));
  drain.until = s.now.mono_ms + s.config.drain_ms;
  drain.kicks_until =
      drain.until - std::min(s.config.drain_ms / 3, s.config.offline_after_ms + kRestMs);
  drain.stepped_at = s.now.mono_ms;
  // Persisters go last: others' requests need them.
  std::vector<std::pair<uint64_t, SessionId>> order;
  for (const auto& [id, session] : s.directory.all()) {
    order.emplace_back((Mix(id) >> 1) | (session.service ? uint64_t{1} << 63 : 0), id);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [rank, id] : order) drain.line.push_back(id);
  OnTimer(s);
}

void OnTimer(State& s) {
  DrainState& drain = s.drain;
  if (drain.emptied) return;
  if (s.now.mono_ms >= drain.until) {
    if (!drain.leaving) Leave(s);
    return Finish(s, "its time is over");
  }
  if (!drain.leaving) {
    MoveSome(s);
    // Who comes back elsewhere within the grace never shows as offline: it is waited out here.
    if (s.directory.size() == 0 && s.logouts == 0 && s.presence.empty()) Leave(s);
  }
  const auto jitter = static_cast<int64_t>(Mix(++drain.steps) % kJitterMs);
  s.timers.Add(std::min(drain.until, s.now.mono_ms + kStepMs + jitter), TimerKind::kDrain, 0);
}

void OnGone(State& s) { Finish(s, "nobody is left"); }

}  // namespace nightjar::core::drain
