#include "plugin/core/session_line.h"

#include <utility>

#include "plugin/core/tell.h"

namespace nightjar::core::session_line {
namespace {

constexpr size_t kAtOnce = 16;

void Submit(State& s, PendingLogout pending) {
  hub::Logout call = pending.call;
  Ask(s, std::move(call), std::move(pending));
}
void Submit(State& s, PendingSetPresence pending) {
  pending.words = s.presence_words;
  hub::SetPresence call = pending.call;
  Ask(s, std::move(call), std::move(pending));
}

void Pump(State& s) {
  SessionLine& line = s.session_line;
  while (!line.waiting.empty() && line.under_way < kAtOnce) {
    auto next = std::move(line.waiting.front());
    line.waiting.pop_front();
    ++line.under_way;
    std::visit([&](auto& pending) { Submit(s, std::move(pending)); }, next);
  }
}

}  // namespace

void Put(State& s, PendingLogout pending) {
  s.session_line.waiting.emplace_back(std::move(pending));
  Pump(s);
}

void Put(State& s, PendingSetPresence pending) {
  s.session_line.waiting.emplace_back(std::move(pending));
  Pump(s);
}

void Answered(State& s) {
  --s.session_line.under_way;
  Pump(s);
}

}  // namespace nightjar::core::session_line
