#include "plugin/core/clearing.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/hub/keys.h"
#include "plugin/core/tell.h"

namespace nightjar::core::clearing {
namespace {

constexpr int64_t kAfterGraceMs = 500;

constexpr size_t kPagesAtOnce = 16, kEndsAtOnce = 1024;

// A page after the other, of several partitions at once.
void AskPages(State& s) {
  ClearingState& c = s.clearing;
  while (!c.pages.empty() && c.asked < kPagesAtOnce && c.under_way < kEndsAtOnce) {
    ClearingState::Page page = std::move(c.pages.front());
    c.pages.pop_front();
    hub::ListSessions call;
    call.broker = c.at;
    call.partition = page.partition;
    call.after = page.after;
    ++c.asked;
    Ask(s, std::move(call), PendingListSessions{c.run, page.partition, std::move(page.after)});
  }
}

std::vector<uint32_t> AllPartitions(const State& s) {
  std::vector<uint32_t> all(s.config.partitions);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

// What is listed from now on is all that there will ever be of who is dead.
void AskFences(State& s) {
  ClearingState& c = s.clearing;
  const std::vector<hub::BrokerName> own = c.predecessors;
  for (const hub::BrokerName& dead : c.at == s.broker ? own : std::vector{c.at}) {
    ++c.asked;
    Ask(s, hub::Fence{dead, AllPartitions(s)}, PendingFence{c.run});
  }
}

void Run(State& s, hub::BrokerName broker) {
  ClearingState& c = s.clearing;
  c.at = std::move(broker);
  ++c.run;
  c.failed = c.again = false;
  c.ended = c.left = 0;
  if (c.at == s.broker) c.wanted = false;
  for (const uint32_t p : AllPartitions(s)) c.pages.push_back({p, ""});
  c.fenced = c.at == s.broker && c.predecessors.empty();
  if (!c.fenced) return AskFences(s);
  AskPages(s);
}

void Arm(State& s, int64_t at) {
  ClearingState& c = s.clearing;
  if (c.armed_at > s.now.mono_ms && c.armed_at <= at) return;
  c.armed_at = at;
  s.timers.Add(at, TimerKind::kClearing, 0);
}

// Begins the next run, or sees to it that it begins in time.
void Plan(State& s) {
  ClearingState& c = s.clearing;
  if (!c.at.empty()) return;
  int64_t next = INT64_MAX;
  if (!c.line.empty()) {
    if (c.others_at <= s.now.mono_ms) return Run(s, c.line.front());
    next = c.others_at;
  }
  if (c.wanted) {
    if (c.own_at <= s.now.mono_ms) return Run(s, s.broker);
    next = std::min(next, c.own_at);
  }
  if (next != INT64_MAX) Arm(s, next);
}

// Is this record of the broker being cleared, and nobody here who goes by it? A session without an
// inbox has logged out.
bool IsOver(State& s, const hub::SessionRecord& record) {
  if (s.clearing.at != s.broker) return record.broker == s.clearing.at;
  if (record.broker != s.broker) return true;
  if (record.device.empty()) {
    const User* user = s.directory.FindUser(record.uid);
    return user == nullptr || user->tails == 0;
  }
  const Session* session = s.directory.Find(record.session);
  return session == nullptr || !session->inbox;
}

void End(State& s, const hub::SessionRecord& record) {
  ClearingState& c = s.clearing;
  ++c.under_way;
  if (record.broker != s.broker) ++c.left;
  if (record.device.empty()) {
    return Ask(s, hub::Tail{record.uid, record.broker, 0}, PendingTail{record.uid, c.run});
  }
  hub::Logout call{record.uid, record.device, record.broker, record.session, s.now.unix_ms};
  PendingLogout pending{call, c.run};
  Ask(s, std::move(call), std::move(pending));
}

void SayGone(State& s, const hub::BrokerName& broker) {
  Log(s, LogLevel::kNotice, fmt::format("{} is cleared", broker));
  Ask(s, hub::Gone{broker, true}, PendingIgnored{});
}

void OwnDone(State& s) {
  ClearingState& c = s.clearing;
  if (c.failed) {
    c.wanted = true;
  } else if (c.left == 0) {
    for (const hub::BrokerName& name : std::exchange(c.predecessors, {})) SayGone(s, name);
  } else if (!c.predecessors.empty() && !c.wanted) {  // looked at again when their grace is over
    c.wanted = true;
    c.own_at = s.now.mono_ms + s.config.offline_after_ms + kAfterGraceMs;
    return;
  }
  if (c.wanted) c.own_at = s.now.mono_ms + RetryDelay(c.tries++);
}

void OtherDone(State& s, const hub::BrokerName& broker) {
  ClearingState& c = s.clearing;
  c.line.pop_front();
  if (!c.failed && c.left == 0) return SayGone(s, broker);
  c.line.push_back(broker);  // seen through again, until nothing more is found
  if (c.failed) {
    c.others_at = s.now.mono_ms + RetryDelay(c.tries++);
  } else if (!GraceOver(s)) {
    c.others_at = c.grace_until;
  }
}

void Retry(State& s, const std::string& why) {
  LogSome(s, "clearing", LogLevel::kWarning,
          fmt::format("ending of sessions left over waits: {}", why));
  s.clearing.again = true;
  Arm(s, s.now.mono_ms + RetryDelay(s.clearing.tries++));
}

// Something is answered: what is next?
void GoOn(State& s) {
  ClearingState& c = s.clearing;
  if (c.again) return;
  AskPages(s);
  if (c.asked > 0 || c.under_way > 0) return;
  const hub::BrokerName broker = std::exchange(c.at, {});
  if (c.ended > 0) {
    // Under this broker's id they are of any of its lives, most often of an earlier one.
    const std::string& whose = broker == s.broker ? s.config.broker_id : broker;
    Log(s, LogLevel::kNotice, fmt::format("ended {} sessions left over of {}", c.ended, whose));
  }
  const bool failed = c.failed;
  if (broker == s.broker) {
    OwnDone(s);
  } else {
    OtherDone(s, broker);
  }
  if (!failed && !c.wanted) c.tries = 0;
  Plan(s);
}

// What failed is asked for again, once all that was asked with it is answered.
void Again(State& s) {
  ClearingState& c = s.clearing;
  if (c.at.empty() || !c.again) return;
  if (c.asked > 0) return Arm(s, s.now.mono_ms + kAfterGraceMs);
  c.again = false;
  if (!c.fenced) return AskFences(s);
  GoOn(s);
}

}  // namespace

bool GraceOver(const State& s) { return s.now.mono_ms >= s.clearing.grace_until; }

void Begin(State& s) {
  s.clearing.wanted = true;
  s.clearing.own_at = s.now.mono_ms;
  Plan(s);
}

void Take(State& s, std::vector<hub::BrokerName> brokers) {
  ClearingState& c = s.clearing;
  for (hub::BrokerName& name : brokers) {
    if (hub::keys::BrokerId(name) == s.config.broker_id) {
      if (std::find(c.predecessors.begin(), c.predecessors.end(), name) != c.predecessors.end()) {
        continue;
      }
      c.predecessors.push_back(std::move(name));
      c.wanted = true;
    } else if (std::find(c.line.begin(), c.line.end(), name) == c.line.end()) {
      Log(s, LogLevel::kWarning, fmt::format("{} is dead; ending its sessions", name));
      c.line.push_back(std::move(name));
      const int64_t rest = s.config.offline_after_ms - s.config.broker_ttl_ms;
      if (rest > 0) c.grace_until = s.now.mono_ms + rest;
    }
  }
  Plan(s);
}

void OnHubUp(State& s) {
  ClearingState& c = s.clearing;
  c.tries = 0;
  c.own_at = c.others_at = s.now.mono_ms;
  Again(s);
  Plan(s);
}

void Want(State& s) {
  ClearingState& c = s.clearing;
  if (!std::exchange(c.wanted, true)) c.own_at = s.now.mono_ms + RetryDelay(c.tries++);
  Plan(s);
}

void OnFenced(State& s, const PendingFence& pending, hub::Reply& reply) {
  ClearingState& c = s.clearing;
  if (pending.run != c.run || c.at.empty()) return;
  --c.asked;
  hub::Failure failure;
  if (Expect<hub::Done>(reply, failure) == nullptr) return Retry(s, failure.message);
  if (c.asked > 0 || c.again) return;
  c.fenced = true;
  AskPages(s);
}

void OnList(State& s, const PendingListSessions& pending, hub::Reply& reply) {
  ClearingState& c = s.clearing;
  if (pending.run != c.run || c.at.empty()) return;
  --c.asked;
  hub::Failure failure;
  auto* list = Expect<hub::ListSessionsReply>(reply, failure);
  if (list == nullptr) {
    c.pages.push_front({pending.partition, pending.after});
    return Retry(s, failure.message);
  }
  if (!list->next.empty()) c.pages.push_back({pending.partition, std::move(list->next)});
  for (const hub::SessionRecord& record : list->sessions) {
    if (IsOver(s, record)) End(s, record);
  }
  GoOn(s);
}

void OnEnded(State& s, uint64_t run, bool done) {
  ClearingState& c = s.clearing;
  if (run != c.run || c.at.empty()) return;
  if (done) {
    ++c.ended;
  } else {
    c.failed = true;
  }
  --c.under_way;
  GoOn(s);
}

void OnTimer(State& s) {
  Again(s);
  Plan(s);
}

void Forget(State& s) {
  ClearingState fresh;
  fresh.run = s.clearing.run + 1;
  s.clearing = std::move(fresh);
}

}  // namespace nightjar::core::clearing
