// The only switch of the core: each event goes to the stages that have something to say to it, one
// after another. docs/life-of-a-message.md follows one message through here.
#include "plugin/core/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/wire/codec.h"
#include "plugin/core/admit.h"
#include "plugin/core/clearing.h"
#include "plugin/core/deliver.h"
#include "plugin/core/drain.h"
#include "plugin/core/fan_out.h"
#include "plugin/core/login.h"
#include "plugin/core/membership.h"
#include "plugin/core/presence.h"
#include "plugin/core/receipts.h"
#include "plugin/core/relay.h"
#include "plugin/core/replies.h"
#include "plugin/core/requests.h"
#include "plugin/core/send.h"
#include "plugin/core/state.h"
#include "plugin/core/sweep.h"
#include "plugin/core/tell.h"
#include "plugin/core/watch.h"

namespace nightjar::core {

State::State(Config c, std::shared_ptr<const KeySet> k)
    : config(std::move(c)),
      incarnation(config.incarnation),
      broker(fmt::format("{}#{}", config.broker_id, incarnation)),
      reply_topic("svc/reply/" + config.broker_id),
      keys(std::move(k)),
      chats(config.chat_cache) {}
State::~State() = default;

namespace {

void CloseInbox(State& s, Session& session) {
  if (session.inbox) presence::DeviceGoes(s, session);
  receipts::Flush(s, session);
  login::Shut(s, session);
}

// ---- packets ----------------------------------------------------------------------------------

void OnSend(State& s, Session& session, std::string_view payload) {
  Result<v1::Send> send = DecodeSend(payload);
  if (!send.ok()) {
    const uint64_t id = SalvageClientMsgId(payload);
    if (id == 0) return TellBadFrame(s, session, send.status().message());
    ++s.stats.bad_frames;
    return TellRejected(s, session, id, "", Code::kInvalidArgument, send.status().message(), 0);
  }
  if (send->ack() != 0) {
    v1::Ack ack;
    ack.set_seq(send->ack());
    ack.set_epoch(send->epoch());
    replies::Act(s, session.id, receipts::OnAck(s, session, ack));
  }
  if (const Status valid = ValidateSend(*send); !valid.ok()) {
    return TellRejected(s, session, send->client_msg_id(), "", valid.code(), valid.message(), 0);
  }
  if (const uint32_t wait = admit::TakeSend(s, session); wait > 0) {
    return TellRejected(s, session, send->client_msg_id(), send->chat_id(),
                        Code::kResourceExhausted, "sending too fast", wait);
  }
  send::Start(s, session, *send);
}

void OnAck(State& s, Session& session, std::string_view payload) {
  const Result<v1::Ack> ack = DecodeAck(payload);
  if (!ack.ok()) return TellBadFrame(s, session, ack.status().message());
  replies::Act(s, session.id, receipts::OnAck(s, session, *ack));
}

void OnRequest(State& s, Session& session, std::string_view payload) {
  Result<v1::Request> request = DecodeRequest(payload);
  Status status = request.ok() ? ValidateRequest(*request) : request.status();
  if (status.ok()) return requests::Start(s, session, std::move(request.value()));
  const std::string id = request.ok() ? request->request_id() : SalvageRequestId(payload);
  if (id.empty() || id.size() > limits::kRequestId) {
    return TellBadFrame(s, session, status.message());
  }
  v1::ServerFrame frame;
  frame.mutable_response()->set_request_id(id);
  frame.mutable_response()->mutable_error()->set_code(static_cast<v1::Code>(status.code()));
  frame.mutable_response()->mutable_error()->set_message(status.message());
  Tell(s, session, frame);
}

// Answers of persisters come from service accounts' sessions.
void OnService(State& s, std::string_view topic, std::string_view payload) {
  if (topic != s.reply_topic) return;
  v1::StoreReply reply;
  if (!reply.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return LogSome(s, "store_reply", LogLevel::kWarning, "a persister's answer cannot be decoded");
  }
  requests::OnStoreReply(s, std::move(reply));
}

// ---- events -----------------------------------------------------------------------------------

// This broker has nothing to give for the time being: another one may.
bool SendElsewhere(const State& s) {
  const bool cut_off = s.hub_down_at && s.now.mono_ms - *s.hub_down_at >= s.config.hub_away_ms;
  return !s.membership.registered || s.drain.on || cut_off;
}

void On(State& s, const ConnectAsked& event) {
  if (SendElsewhere(s)) {
    s.out->verdict = Verdict::kLater;
    return;
  }
  Session* session = admit::Connect(s, event);
  s.out->verdict = session != nullptr ? Verdict::kAllow : Verdict::kDeny;
  if (session == nullptr) return;
  if (Session* old = s.directory.Twin(*session)) {
    login::Replace(s, *old);  // told as its inbox was subscribed
    CloseInbox(s, *old);
  }
}

void On(State& s, const SubscribeAsked& event) {
  Session* session = s.directory.Find(event.session);
  const Topic topic = ParseTopic(event.filter);
  if (session == nullptr || !admit::MaySubscribe(*session, topic, event.filter)) {
    s.out->verdict = Verdict::kDeny;
    return;
  }
  s.out->verdict = Verdict::kAllow;
  switch (topic.kind) {
    case TopicKind::kInbox:
      receipts::Flush(s, *session);
      login::Open(s, *session, topic, event.filter, event.qos);
      break;
    case TopicKind::kTail:
      presence::TailOn(s, *session, topic.encoding, event.qos);
      break;
    case TopicKind::kPresence:
      if (!watch::On(s, *session, topic, event.qos)) s.out->verdict = Verdict::kDeny;
      break;
    default:
      break;  // a service's
  }
}

void On(State& s, const Unsubscribed& event) {
  Session* session = s.directory.Find(event.session);
  if (session == nullptr) return;
  const Topic topic = ParseTopic(event.filter);
  switch (topic.kind) {
    case TopicKind::kInbox:
      if (login::Ends(*session, topic)) CloseInbox(s, *session);
      break;
    case TopicKind::kTail:
      presence::TailOff(s, *session, topic.encoding);
      break;
    case TopicKind::kPresence:
      watch::Off(s, *session, topic);
      break;
    default:
      break;
  }
}

void On(State& s, const PublishAsked& event) {
  const Session* session = s.directory.Find(event.session);
  const bool may =
      session != nullptr && admit::MayPublish(*session, ParseTopic(event.topic), event.topic);
  s.out->verdict = may ? Verdict::kAllow : Verdict::kDeny;
}

void On(State& s, const Published& event) {
  Session* session = s.directory.Find(event.session);
  const Topic topic = ParseTopic(event.topic);
  if (session == nullptr || !admit::MayPublish(*session, topic, event.topic)) {
    s.out->verdict = Verdict::kDeny;
    return;
  }
  s.out->verdict = Verdict::kAllow;
  if (topic.kind == TopicKind::kService) return OnService(s, event.topic, event.payload);
  if (topic.kind == TopicKind::kPresenceWill) return CloseInbox(s, *session);
  session->form = DetectEncoding(event.payload);
  switch (topic.kind) {
    case TopicKind::kSend:
      return OnSend(s, *session, event.payload);
    case TopicKind::kAck:
      return OnAck(s, *session, event.payload);
    case TopicKind::kRequest:
      return OnRequest(s, *session, event.payload);
    default:
      break;
  }
}

void On(State& s, const Disconnected& event) {
  Session* session = s.directory.Find(event.session);
  if (session == nullptr) return;
  CloseInbox(s, *session);
  watch::Forget(s, *session);
  presence::Forget(s, *session);
  admit::Forget(s, *session);
  Log(s, LogLevel::kDebug, fmt::format("{}: disconnected", Name(*session)));
  s.directory.Remove(*session);
}

void On(State& s, const HubUp&) {
  s.hub_up = true;
  s.hub_partly = false;
  s.hub_down_at.reset();
  membership::OnHubUp(s);
  clearing::OnHubUp(s);
  fan_out::Start(s);
  fan_out::Suspect(s);
  sweep::Start(s);
  sweep::All(s);
  watch::All(s);
  Log(s, LogLevel::kNotice, "hub: connected");
}

void On(State& s, const HubDown& event) {
  const bool was_there = std::exchange(s.hub_up, false) || s.hub_partly;
  s.hub_partly = event.partly;
  if (event.partly) {
    s.hub_down_at.reset();
  } else if (was_there) {
    s.hub_down_at = s.now.mono_ms;
  }
  if (event.partly) return;
  Log(s, LogLevel::kWarning, fmt::format("hub: connection lost: {}", event.reason));
}

void On(State& s, const Relayed& event) { relay::OnRelayed(s, event.what); }

void On(State& s, const RelayUp&) { relay::OnUp(s); }

void On(State& s, const Drain&) { drain::Start(s); }

void On(State& s, HubReplied& event) { replies::On(s, event); }

void On(State& s, const Stopping&) {
  if (std::exchange(s.stopping, true)) return;
  for (auto& [id, session] : s.directory.all()) {
    TellNotice(s, session, v1::Notice::SHUTTING_DOWN, "the broker is stopping");
  }
}

void OnTimer(State& s, const Timer& timer) {
  switch (timer.kind) {
    case TimerKind::kSilent:
      return deliver::OnSilentTimer(s, timer.key);
    case TimerKind::kCloseSequence:
      return deliver::OnCloseTimer(s, timer.key);
    case TimerKind::kLogin:
      return login::OnTimer(s, timer.key);
    case TimerKind::kRead:
      return deliver::OnReadTimer(s, timer.key);
    case TimerKind::kAckAgain:
      return receipts::OnAckTimer(s, timer.key);
    case TimerKind::kOnline:
      return presence::OnOnlineTimer(s, timer.key);
    case TimerKind::kPresence:
      return presence::OnPresenceTimer(s, timer.uid);
    case TimerKind::kTail:
      if (!presence::OnTailTimer(s, timer.uid)) clearing::Want(s);
      return;
    case TimerKind::kDelivered:
      return receipts::OnDeliveredTimer(s, timer.uid);
    case TimerKind::kStore:
      return requests::OnStoreTimer(s, timer.key);
    case TimerKind::kLease:
      return fan_out::OnLeaseTimer(s);
    case TimerKind::kTasks:
      return fan_out::OnPollTimer(s);
    case TimerKind::kTaskAgain:
      return fan_out::OnAgainTimer(s, timer.key);
    case TimerKind::kSweep:
      return sweep::OnTimer(s);
    case TimerKind::kClearing:
      return clearing::OnTimer(s);
    case TimerKind::kBeat:
      return membership::OnTimer(s);
    case TimerKind::kLogins:
      return login::OnLineTimer(s);
    case TimerKind::kRoutes:
      return sweep::OnRoutesTimer(s);
    case TimerKind::kWatches:
      return watch::OnTimer(s);
    case TimerKind::kShow:
      return watch::OnShowTimer(s);
    case TimerKind::kDrain:
      return drain::OnTimer(s);
  }
}

void On(State& s, const Tick&) {
  Timer timer;
  while (s.timers.Pop(s.now.mono_ms, timer)) OnTimer(s, timer);
  admit::CloseExpired(s);
}

}  // namespace

struct Engine::State : core::State {
  using core::State::State;
};

Engine::Engine(Config config, std::shared_ptr<const KeySet> keys)
    : state_(std::make_unique<State>(std::move(config), std::move(keys))) {}
Engine::~Engine() = default;

void Engine::Handle(Event event, Now now, Actions& out) {
  core::State& s = *state_;
  out.clear();
  s.now = now;
  s.out = &out;
  std::visit([&](auto& it) { On(s, it); }, event);
  s.out = nullptr;
}

void Engine::SetKeys(std::shared_ptr<const KeySet> keys) { state_->keys = std::move(keys); }

int64_t Engine::NextDeadline() const {
  return std::min(state_->timers.Next(), admit::NextExpiry(*state_));
}

bool Engine::Unfinished() const { return state_->watches.show_armed; }

Engine::Stats Engine::stats() const {
  Stats stats = state_->stats;
  stats.sessions = state_->directory.size();
  stats.devices = state_->directory.devices();
  stats.hub_calls = state_->calls.size();
  stats.store_requests = state_->store.size();
  stats.timers = state_->timers.size();
  stats.logins_waiting = state_->logins.waiting.size();
  stats.brokers = state_->membership.brokers.size();
  stats.registered = state_->membership.registered;
  stats.draining = state_->drain.on;
  return stats;
}

}  // namespace nightjar::core
