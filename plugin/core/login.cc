#include "plugin/core/login.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "plugin/core/session_line.h"
#include "plugin/core/tell.h"

namespace nightjar::core::login {
namespace {

constexpr int64_t kLineMs = 5;  // at least, between two looks at the allowance

void AskLogin(State& s, Session& session) {
  ++s.logins.under_way;
  hub::Login call;
  call.uid = *session.user->uid;
  call.device = session.device;
  call.broker = s.broker;
  call.session = session.id;
  call.now_ms = s.now.unix_ms;
  if (session.extra) {
    call.name = session.extra->name;
    call.email = session.extra->email;
  }
  Ask(s, std::move(call), PendingLogin{session.id, session.inbox->generation});
}

void Refill(State& s) {
  LoginLine& line = s.logins;
  const double rate = s.config.logins_per_s;
  if (line.filled_at == INT64_MIN) line.tokens = rate;
  const auto passed =
      static_cast<double>(s.now.mono_ms - std::max(line.filled_at, s.now.mono_ms - 1000));
  line.tokens = std::min(rate, line.tokens + passed * rate / 1000);
  line.filled_at = s.now.mono_ms;
}

// As many of those that wait as may go now.
void Pump(State& s) {
  LoginLine& line = s.logins;
  if (line.waiting.empty()) return;
  Refill(s);
  while (!line.waiting.empty() && line.under_way < s.config.logins_at_once) {
    Session* session = s.directory.Find(line.waiting.front());
    const bool wants =
        session != nullptr && session->inbox && !session->inbox->live && !session->replaced;
    if (wants && line.tokens < 1) break;
    line.waiting.pop_front();
    if (session != nullptr) session->login_waits = false;
    if (!wants) continue;
    line.tokens -= 1;
    AskLogin(s, *session);
  }
  if (line.waiting.empty() || line.tokens >= 1 || std::exchange(line.armed, true)) return;
  const double wait = (1 - line.tokens) * 1000 / std::max(s.config.logins_per_s, 1U);
  s.timers.Add(s.now.mono_ms + std::max(kLineMs, static_cast<int64_t>(wait) + 1),
               TimerKind::kLogins, 0);
}

void Submit(State& s, Session& session) {
  if (std::exchange(session.login_waits, true)) return;
  s.logins.waiting.push_back(session.id);
  Pump(s);
}

void StartOver(Session& session) {
  const Inbox& old = *session.inbox;
  auto fresh = std::make_unique<Inbox>();
  fresh->encoding = old.encoding;
  fresh->brief = old.brief;
  fresh->qos = old.qos;
  fresh->generation = ++session.generations;
  session.inbox = std::move(fresh);
}

}  // namespace

void TellSync(State& s, Session& session) {
  Inbox& in = *session.inbox;
  v1::ServerFrame frame;
  v1::Sync& sync = *frame.mutable_sync();
  sync.set_epoch(in.epoch);
  sync.set_start(in.acked);
  sync.set_head(in.head);
  sync.set_resync(in.resync);
  std::vector<std::string> held;
  held.swap(in.held);
  Tell(s, session, frame);
  for (std::string& payload : held) TellEncoded(s, session, std::move(payload));
}

void Open(State& s, Session& session, const Topic& topic, std::string_view filter, int qos) {
  if (!session.inbox) {
    session.inbox = std::make_unique<Inbox>();
  }
  std::vector<std::string> held;  // encoded for the subscription before; better than nothing
  if (session.inbox->encoding == topic.encoding) held.swap(session.inbox->held);
  session.inbox->encoding = topic.encoding;
  session.inbox->brief = filter == "i";
  session.inbox->qos = qos > 0 ? 1 : 0;
  StartOver(session);
  session.inbox->held = std::move(held);
  Submit(s, session);
}

bool Ends(const Session& session, const Topic& topic) {
  return session.inbox && session.inbox->encoding == topic.encoding &&
         session.inbox->brief == topic.uid.empty();
}

void Again(State& s, Session& session) {
  StartOver(session);
  Submit(s, session);
}

namespace {

void TryAgain(State& s, Session& session) {
  s.timers.Add(s.now.mono_ms + RetryDelay(session.inbox->login_tries++), TimerKind::kLogin,
               session.id);
}

Outcome Take(State& s, const PendingLogin& pending, hub::Reply& reply) {
  Session* session = s.directory.Find(pending.session);
  if (session == nullptr || !session->inbox || session->inbox->generation != pending.generation ||
      session->inbox->live) {
    return {};
  }
  Inbox& in = *session->inbox;
  hub::Failure failure;
  const auto* known = Expect<hub::LoginReply>(reply, failure);
  if (known == nullptr) {
    LogSome(s, "login", LogLevel::kWarning,
            fmt::format("{}: login: {}", Name(*session), failure.message));
    TryAgain(s, *session);
    return {};
  }
  if (known->cleared) {
    TryAgain(s, *session);
    Outcome fenced;
    fenced.fenced = true;
    return fenced;
  }
  in.live = true;
  in.epoch = known->epoch;
  in.acked = in.sent = known->start;
  in.head = std::max({in.head, known->head, known->start});
  if (session->extra) {
    session->extra->name.clear();
    session->extra->email.clear();
  }
  in.resync = known->resync;
  TellSync(s, *session);
  Outcome outcome{session, known->online, nullptr, false};
  if (known->previous_broker == s.broker && known->previous_session != session->id) {
    outcome.replaced = s.directory.Find(known->previous_session);
  }
  return outcome;
}

}  // namespace

Outcome OnReply(State& s, const PendingLogin& pending, hub::Reply& reply) {
  --s.logins.under_way;
  const Outcome outcome = Take(s, pending, reply);
  Pump(s);
  return outcome;
}

void OnLineTimer(State& s) {
  s.logins.armed = false;
  Pump(s);
}

void OnTimer(State& s, SessionId id) {
  Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox || session->inbox->live || session->replaced) return;
  Submit(s, *session);
}

void Shut(State& s, Session& session) {
  if (!session.inbox) return;
  session.inbox.reset();
  ++s.logouts;
  session_line::Put(
      s, PendingLogout{{*session.user->uid, session.device, s.broker, session.id, s.now.unix_ms}});
}

void Drop(State& s, Session& session) {
  if (!session.replaced) {
    TellNotice(s, session, v1::Notice::SHUTTING_DOWN, "the broker begins anew");
    session.replaced = true;
  }
  session.inbox.reset();
  session.login_waits = false;
  Close(s, session);
}

void Replace(State& s, Session& session) {
  if (session.replaced) return;
  TellNotice(s, session, v1::Notice::SESSION_REPLACED, "connected again with the same client id");
  session.replaced = true;
  Log(s, LogLevel::kInfo, fmt::format("{}: taken over by a newer connection", Name(session)));
  Close(s, session);
}

}  // namespace nightjar::core::login
