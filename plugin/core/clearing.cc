#include "plugin/core/clearing.h"

#include <fmt/format.h>

#include <utility>

#include "plugin/core/tell.h"

namespace nightjar::core::clearing {
namespace {

void Page(State& s, std::string after) {
  hub::ListSessions call;
  call.broker = s.broker;
  call.after = std::move(after);
  s.clearing.after = call.after;
  Ask(s, std::move(call), PendingListSessions{});
}

void Run(State& s) {
  s.clearing.started = s.clearing.running = true;
  s.clearing.wanted = false;
  s.clearing.ended = 0;
  Page(s, "");
}

void Arm(State& s) {
  if (s.clearing.armed) return;
  s.clearing.armed = true;
  s.timers.Add(s.now.mono_ms + RetryDelay(s.clearing.tries++), TimerKind::kClearing, 0);
}

// Is nobody here who goes by this record? A session without an inbox has logged out.
bool IsOver(State& s, const hub::SessionRecord& record) {
  if (record.broker != s.broker) return true;
  if (record.device.empty()) {
    const User* user = s.directory.FindUser(record.uid);
    return user == nullptr || user->tails == 0;
  }
  const Session* session = s.directory.Find(record.session);
  return session == nullptr || !session->inbox;
}

void End(State& s, const hub::SessionRecord& record) {
  ++s.clearing.under_way;
  if (record.device.empty()) {
    return Ask(s, hub::Tail{record.uid, record.broker, 0}, PendingTail{record.uid, true});
  }
  hub::Logout call{record.uid, record.device, record.broker, record.session, s.now.unix_ms};
  PendingLogout pending{call, true};
  Ask(s, std::move(call), std::move(pending));
}

// Behind a page whose calls are all answered: one page is under way at a time.
void GoOn(State& s) {
  ClearingState& c = s.clearing;
  if (!c.next.empty()) return Page(s, std::exchange(c.next, {}));
  c.running = false;
  if (c.ended > 0) Log(s, LogLevel::kNotice, fmt::format("ended {} sessions left over", c.ended));
  if (c.wanted) return Arm(s);
  c.tries = 0;
}

}  // namespace

void OnHubUp(State& s) {
  s.clearing.tries = 0;
  if (!s.clearing.started) return Run(s);
  if (s.clearing.armed) OnTimer(s);
}

void Want(State& s) {
  s.clearing.wanted = true;
  if (!s.clearing.running) Arm(s);
}

void OnList(State& s, hub::Reply& reply) {
  hub::Failure failure;
  auto* list = Expect<hub::ListSessionsReply>(reply, failure);
  if (list == nullptr) {
    LogSome(s, "clearing", LogLevel::kWarning,
            fmt::format("ending of sessions left over waits: {}", failure.message));
    return Arm(s);
  }
  s.clearing.next = std::move(list->next);
  for (const hub::SessionRecord& record : list->sessions) {
    if (IsOver(s, record)) End(s, record);
  }
  if (s.clearing.under_way == 0) GoOn(s);
}

void OnEnded(State& s, bool done) {
  if (done) {
    ++s.clearing.ended;
  } else {
    s.clearing.wanted = true;
  }
  if (--s.clearing.under_way == 0) GoOn(s);
}

void OnTimer(State& s) {
  if (!s.clearing.armed) return;  // the hub came up meanwhile, and it went on then
  s.clearing.armed = false;
  if (s.clearing.running) return Page(s, s.clearing.after);
  if (s.clearing.wanted) Run(s);
}

}  // namespace nightjar::core::clearing
