#include "plugin/core/tell.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/wire/codec.h"

namespace nightjar::core {
namespace {

constexpr size_t kHeldFrames = 256;
constexpr int64_t kGateMs = 10'000;
constexpr uint32_t kGateLines = 5;

}  // namespace

Route AnswerRoute(const Session& session) {
  const Inbox* inbox = session.inbox.get();
  const Encoding encoding = inbox ? inbox->encoding : session.form;
  if (inbox && inbox->brief) return {"i", encoding, inbox->qos};
  return {(encoding == Encoding::kJson ? "json/inbox/" : "inbox/") + *session.user->uid, encoding,
          inbox ? inbox->qos : 0};
}

void Publish(State& s, SessionId session, std::string topic, std::string payload, int qos) {
  s.out->list.push_back(PublishTo{session, std::move(topic), std::move(payload), qos});
}

void TellEncoded(State& s, Session& session, std::string payload) {
  if (session.replaced) return;
  if (session.inbox && !session.inbox->live && session.inbox->held.size() < kHeldFrames) {
    session.inbox->held.push_back(std::move(payload));
    return;
  }
  Route route = AnswerRoute(session);
  Publish(s, session.id, std::move(route.topic), std::move(payload), route.qos);
}

void Tell(State& s, Session& session, const v1::ServerFrame& frame) {
  TellEncoded(s, session, EncodeFitted(frame, AnswerRoute(session).encoding, session.max_frame));
}

void TellNotice(State& s, Session& session, v1::Notice::Kind kind, const std::string& message) {
  v1::ServerFrame frame;
  frame.mutable_notice()->set_kind(kind);
  frame.mutable_notice()->set_message(message);
  Route route = AnswerRoute(session);
  Publish(s, session.id, std::move(route.topic),
          EncodeFitted(frame, route.encoding, session.max_frame), route.qos);
}

void TellBadFrame(State& s, Session& session, const std::string& reason) {
  ++s.stats.bad_frames;
  v1::ServerFrame frame;
  frame.mutable_notice()->set_kind(v1::Notice::BAD_FRAME);
  frame.mutable_notice()->set_message(reason);
  Tell(s, session, frame);
  LogSome(s, "bad_frame", LogLevel::kInfo, fmt::format("{}: bad frame: {}", Name(session), reason));
}

void TellRejected(State& s, Session& session, uint64_t client_msg_id, const std::string& chat,
                  Code code, const std::string& message, uint32_t retry_after_ms) {
  ++s.stats.rejected;
  v1::ServerFrame frame;
  v1::Rejected& rejected = *frame.mutable_rejected();
  rejected.set_client_msg_id(client_msg_id);
  rejected.set_chat_id(chat);
  rejected.mutable_error()->set_code(static_cast<v1::Code>(code));
  rejected.mutable_error()->set_message(message);
  rejected.mutable_error()->set_retry_after_ms(retry_after_ms);
  Tell(s, session, frame);
}

void Close(State& s, Session& session) {
  if (session.closing) return;
  session.closing = true;
  s.out->list.emplace_back(Kick{session.id});
}

void Ask(State& s, hub::Call call, Pending pending) {
  const uint64_t token = ++s.last_token;
  s.calls.emplace(token, std::move(pending));
  s.out->list.push_back(AskHub{token, std::move(call)});
}

int64_t RetryDelay(uint32_t tries) {
  return std::min<int64_t>(500LL << std::min(tries, 5U), 10'000);
}

bool HubBusy(const State& s) { return s.calls.size() >= s.config.hub_calls; }

void Log(State& s, LogLevel level, std::string text) {
  s.out->list.push_back(LogLine{level, std::move(text)});
}

void LogSome(State& s, std::string_view kind, LogLevel level, std::string text) {
  auto it = s.gates.find(kind);
  if (it == s.gates.end()) it = s.gates.emplace(std::string(kind), LogGate{}).first;
  LogGate& gate = it->second;
  if (s.now.mono_ms - gate.since >= kGateMs) {
    if (gate.dropped > 0) {
      Log(s, level, fmt::format("{}: {} more lines left out", kind, gate.dropped));
    }
    gate = {s.now.mono_ms, 0, 0};
  }
  if (++gate.lines > kGateLines) {
    ++gate.dropped;
    return;
  }
  Log(s, level, std::move(text));
}

std::string Name(const Session& session) {
  return fmt::format("{}:{}", *session.user->uid, session.device);
}

}  // namespace nightjar::core
