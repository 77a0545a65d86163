#include "plugin/core/sweep.h"

#include <set>

#include "plugin/core/tell.h"

namespace nightjar::core::sweep {
namespace {

constexpr size_t kBatch = 256;
constexpr int64_t kAgainMs = 1000;

void AskHeads(State& s, PendingHeads pending) {
  if (pending.sessions.empty()) return;
  hub::Heads call;
  for (const auto& asked : pending.sessions) {
    call.uids.push_back(*s.directory.Find(asked.session)->user->uid);
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
  TellTails(s);
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
  if (heads == nullptr || heads->heads.size() != pending.sessions.size()) {
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
    if (in.generation != asked.generation) continue;
    const uint64_t head = heads->heads[i];
    const bool anew = heads->epoch != in.epoch || head < asked.head;
    if (anew || head > in.head) findings.push_back({asked.session, head, anew});
  }
  if (pending.sweep) Step(s);
  return findings;
}

void OnTimer(State& s) {
  if (s.sweep.line.empty()) Line(s);
  Step(s);
}

}  // namespace nightjar::core::sweep
