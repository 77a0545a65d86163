#include "plugin/core/sweep.h"

#include <set>
#include <utility>

#include "plugin/core/tell.h"

namespace nightjar::core::sweep {
namespace {

constexpr size_t kBatch = 256;
constexpr int64_t kAgainMs = 1000;

void AskHeads(State& s, PendingHeads pending) {
  if (pending.sessions.empty()) return;
  hub::Heads call;
  call.broker = s.broker;
  for (const auto& asked : pending.sessions) {
    const Session& session = *s.directory.Find(asked.session);
    call.sessions.push_back({*session.user->uid, session.device, session.id});
  }
  Ask(s, std::move(call), std::move(pending));
}

void Note(PendingHeads& pending, const Session* session) {
  if (session == nullptr || !session->inbox || !session->inbox->live || session->replaced) return;
  pending.sessions.push_back({session->id, session->inbox->generation, session->inbox->head});
}

void Step(State& s) {
  SweepState& sweep = s.sweep;
  PendingHeads pending;
  pending.sweep = true;
  while (!sweep.line.empty() && pending.sessions.size() < kBatch) {
    Note(pending, s.directory.Find(sweep.line.back()));
    sweep.line.pop_back();
  }
  if (!pending.sessions.empty()) return AskHeads(s, std::move(pending));
  sweep.running = false;
  std::vector<SessionId>().swap(sweep.line);
  if (sweep.again) {
    sweep.again = false;
    sweep.running = true;
    s.timers.Add(s.now.mono_ms + kAgainMs, TimerKind::kSweep, 0);
  }
}

// A hub that was set up anew knows no tails; telling one that knows does no harm.
void TellTails(State& s) {
  std::set<std::string> uids;
  for (const auto& [id, session] : s.directory.all()) {
    if (session.user->tails > 0) uids.insert(*session.user->uid);
  }
  for (const std::string& uid : uids) Ask(s, hub::Tail{uid, s.broker, 1}, PendingTail{uid});
}

void Line(State& s) {
  s.sweep.running = true;
  s.sweep.line.clear();
  for (const auto& [id, session] : s.directory.all()) {
    if (session.inbox) s.sweep.line.push_back(id);
  }
}

}  // namespace

void All(State& s) {
  if (s.sweep.running) {
    s.sweep.again = true;
    return;
  }
  TellTails(s);
  Line(s);
  Step(s);
}

void Start(State& s) {
  if (std::exchange(s.sweep.started, true)) return;
  s.timers.Add(s.now.mono_ms + s.config.route_check_ms, TimerKind::kRoutes, 0);
}

void OnRoutesTimer(State& s) {
  s.timers.Add(s.now.mono_ms + s.config.route_check_ms, TimerKind::kRoutes, 0);
  if (!s.hub_up || s.sweep.running) return;
  Line(s);
  Step(s);
}

void Some(State& s, const std::vector<std::string>& uids) {
  PendingHeads pending;
  for (const std::string& uid : uids) {
    User* user = s.directory.FindUser(uid);
    if (user == nullptr) continue;
    for (const Session* session : user->sessions) Note(pending, session);
  }
  AskHeads(s, std::move(pending));
}

std::vector<Finding> OnHeads(State& s, const PendingHeads& pending, hub::Reply& reply) {
  hub::Failure failure;
  const auto* heads = Expect<hub::HeadsReply>(reply, failure);
  if (heads == nullptr || heads->sessions.size() != pending.sessions.size()) {
    if (!pending.sweep) {
      All(s);
    } else {  // these and the rest, after a while
      for (const auto& asked : pending.sessions) s.sweep.line.push_back(asked.session);
      s.timers.Add(s.now.mono_ms + kAgainMs, TimerKind::kSweep, 1);
    }
    return {};
  }
  std::vector<Finding> findings;
  for (size_t i = 0; i < pending.sessions.size(); ++i) {
    const auto& asked = pending.sessions[i];
    const Session* session = s.directory.Find(asked.session);
    if (session == nullptr || !session->inbox) continue;
    const Inbox& in = *session->inbox;
    if (in.generation != asked.generation || session->replaced) continue;
    const hub::HeadsReply::Stand& stand = heads->sessions[i];
    using Route = hub::HeadsReply::Route;
    const bool elsewhere = stand.route == Route::kOther;
    const bool anew =
        stand.epoch != in.epoch || stand.head < asked.head || stand.route == Route::kNone;
    if (elsewhere || anew || stand.head > in.head) {
      findings.push_back({asked.session, stand.head, anew, elsewhere});
    }
  }
  if (pending.sweep) Step(s);
  return findings;
}

void OnTimer(State& s) {
  if (s.sweep.line.empty()) {
    TellTails(s);
    Line(s);
  }
  Step(s);
}

}  // namespace nightjar::core::sweep
