#include "plugin/core/clearing.h"

#include <fmt/format.h>

#include "plugin/core/tell.h"

namespace nightjar::core::clearing {
namespace {

constexpr int64_t kAgainMs = 1000;

void Page(State& s, std::string after) {
  hub::ListSessions call;
  call.broker = s.broker;
  call.after = std::move(after);
  s.clearing.after = call.after;
  Ask(s, std::move(call), PendingListSessions{});
}

void Clear(State& s, const hub::SessionRecord& record) {
  if (record.device.empty()) {
    hub::Tail call{record.uid, record.broker, false};
    PendingTail pending{call, 0};
    return Ask(s, std::move(call), std::move(pending));
  }
  hub::Logout call{record.uid, record.device, record.broker, record.session, s.now.unix_ms};
  PendingLogout pending{call, 0};
  Ask(s, std::move(call), std::move(pending));
}

}  // namespace

void Start(State& s) {
  if (s.clearing.started) return;
  s.clearing.started = true;
  Page(s, "");
}

void OnList(State& s, hub::Reply& reply) {
  hub::Failure failure;
  auto* list = Expect<hub::ListSessionsReply>(reply, failure);
  if (list == nullptr) {
    LogSome(s, "clearing", LogLevel::kWarning,
            fmt::format("clearing of earlier sessions waits: {}", failure.message));
    s.timers.Add(s.now.mono_ms + kAgainMs, TimerKind::kClearing, 0);
    return;
  }
  for (const hub::SessionRecord& record : list->sessions) {
    if (record.broker == s.broker) continue;
    ++s.clearing.cleared;
    Clear(s, record);
  }
  if (!list->next.empty()) return Page(s, std::move(list->next));
  if (s.clearing.cleared > 0) {
    Log(s, LogLevel::kNotice,
        fmt::format("cleared {} sessions of this broker's earlier life", s.clearing.cleared));
  }
}

void OnTimer(State& s) { Page(s, s.clearing.after); }

}  // namespace nightjar::core::clearing
