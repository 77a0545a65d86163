#include "plugin/core/login.h"

#include <fmt/format.h>

#include "plugin/core/tell.h"

namespace nightjar::core::login {
namespace {

void Submit(State& s, Session& session) {
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

void SendSync(State& s, Session& session, const hub::LoginReply& reply) {
  Inbox& in = *session.inbox;
  v1::ServerFrame frame;
  v1::Sync& sync = *frame.mutable_sync();
  sync.set_epoch(reply.epoch);
  sync.set_start(reply.start);
  sync.set_head(in.head);
  sync.set_resync(reply.resync);
  std::vector<std::string> held;
  held.swap(in.held);
  Tell(s, session, frame);
  for (std::string& payload : held) TellEncoded(s, session, std::move(payload));
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

Outcome OnReply(State& s, const PendingLogin& pending, hub::Reply& reply) {
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
    s.timers.Add(s.now.mono_ms + RetryDelay(in.login_tries++), TimerKind::kLogin, session->id);
    return {};
  }
  in.live = true;
  in.epoch = known->epoch;
  in.acked = in.sent = known->start;
  in.head = std::max({in.head, known->head, known->start});
  std::erase_if(in.own_told, [&](uint64_t seq) { return seq <= in.acked; });
  if (session->extra) {
    session->extra->name.clear();
    session->extra->email.clear();
  }
  SendSync(s, *session, *known);
  Outcome outcome{session, known->online, nullptr};
  if (known->previous_broker == s.broker && known->previous_session != session->id) {
    outcome.replaced = s.directory.Find(known->previous_session);
  }
  return outcome;
}

void OnTimer(State& s, SessionId id) {
  Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox || session->inbox->live || session->replaced) return;
  Submit(s, *session);
}

void Shut(State& s, Session& session) {
  if (!session.inbox) return;
  session.inbox.reset();
  hub::Logout call{*session.user->uid, session.device, s.broker, session.id, s.now.unix_ms};
  PendingLogout pending{call};
  Ask(s, std::move(call), std::move(pending));
}

void Replace(State& s, Session& session) {
  if (session.replaced) return;
  TellNotice(s, session, v1::Notice::SESSION_REPLACED, "connected again with the same client id");
  session.replaced = true;
  Log(s, LogLevel::kInfo, fmt::format("{}: taken over by a newer connection", Name(session)));
  Close(s, session);
}

}  // namespace nightjar::core::login
