#include "plugin/core/send.h"

#include <algorithm>

#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "plugin/core/tell.h"

namespace nightjar::core::send {
namespace {

constexpr uint32_t kRetryMs = 1000;
constexpr uint32_t kStaleTries = 8;
constexpr size_t kLaneWaiting = 1000;  // the sending rate holds it far below

SendLane* FindLane(Session& session, const std::string& chat) {
  if (!session.extra) return nullptr;
  for (SendLane& lane : session.extra->lanes) {
    if (lane.chat == chat) return &lane;
  }
  return nullptr;
}

std::vector<std::string> DirectMembers(const std::string& chat) {
  const std::optional<ChatName> name = ParseChatId(chat);
  return name && name->direct ? name->Members() : std::vector<std::string>{};
}

void Submit(State& s, SendJob job) {
  hub::Send call;
  call.chat = job.chat;
  call.author = job.author;
  call.device = job.device;
  call.client_msg_id = job.client_msg_id;
  call.received_ms = job.received_ms;
  call.text_bytes = job.text_bytes;
  call.shared = job.shared;
  call.own = job.own;
  call.broker = s.broker;
  if (!job.group) {
    call.members = DirectMembers(job.chat);
  } else if (const CachedChat* known = s.chats.Find(job.chat)) {
    call.version = known->version;
    call.members = known->present;
  }
  Ask(s, std::move(call), PendingSend{std::move(job)});
}

void SubmitInOrder(State& s, Session& session, SendJob job) {
  if (!job.group) return Submit(s, std::move(job));
  SendLane* lane = FindLane(session, job.chat);
  if (lane == nullptr) {
    session.more().lanes.push_back({job.chat, 0, false, {}, 0});
    lane = &session.extra->lanes.back();
  }
  if (lane->stale) {
    lane->waiting.push_back(std::move(job));
    return;
  }
  ++lane->under_way;
  Submit(s, std::move(job));
}

void DropLane(Session& session, const SendLane* lane) {
  auto& lanes = session.extra->lanes;
  lanes.erase(lanes.begin() + (lane - lanes.data()));
}

// A send of this lane is answered. Once all are, those that were stale are asked again, with what
// waited behind them.
void Answered(State& s, Session& session, const std::string& chat, SendJob* stale) {
  SendLane* lane = FindLane(session, chat);
  if (lane == nullptr) return;
  --lane->under_way;
  if (stale != nullptr) {
    lane->stale = true;
    lane->waiting.insert(lane->waiting.begin() + static_cast<ptrdiff_t>(lane->again++),
                         std::move(*stale));
  }
  if (lane->under_way > 0) return;
  if (lane->waiting.empty()) return DropLane(session, lane);
  std::deque<SendJob> jobs;
  jobs.swap(lane->waiting);
  lane->stale = false;
  lane->again = 0;
  lane->under_way = static_cast<uint32_t>(jobs.size());
  for (SendJob& job : jobs) Submit(s, std::move(job));
}

void TellAccepted(State& s, Session& session, const SendJob& job, MsgId msg_id) {
  v1::ServerFrame frame;
  v1::Accepted& accepted = *frame.mutable_accepted();
  accepted.set_client_msg_id(job.client_msg_id);
  accepted.set_msg_id(msg_id);
  if (job.used_to) accepted.set_chat_id(job.chat);
  Tell(s, session, frame);
}

void Reject(State& s, Session* session, const SendJob& job, Code code, const std::string& why,
            uint32_t retry_ms = 0) {
  if (session != nullptr) {
    TellRejected(s, *session, job.client_msg_id, job.chat, code, why, retry_ms);
  }
}

void TellOutcome(State& s, Session* session, const SendJob& job, const hub::SendReply& reply) {
  using Outcome = hub::SendReply::Outcome;
  switch (reply.outcome) {
    case Outcome::kAccepted:
      ++s.stats.accepted;
      break;
    case Outcome::kRepeat:
      ++s.stats.repeats;
      break;
    case Outcome::kStale:
      return Reject(s, session, job, Code::kUnavailable, "the chat is changing", kRetryMs);
    case Outcome::kDenied:
      return Reject(s, session, job, Code::kPermissionDenied, "not a member of this chat");
    case Outcome::kBelowWindow:
      return Reject(s, session, job, Code::kFailedPrecondition,
                    "client_msg_id is below what is remembered; see history");
    case Outcome::kTooLong:
      return Reject(s, session, job, Code::kInvalidArgument,
                    "text is too long for a chat of this size");
    case Outcome::kFull:
      return Reject(s, session, job, Code::kResourceExhausted, "no room at the moment", kRetryMs);
  }
  if (session != nullptr) TellAccepted(s, *session, job, reply.msg_id);
}

void FillTemplates(SendJob& job, const v1::Send& send) {
  v1::Message message;
  message.set_chat_id(job.chat);
  message.set_author(job.author);
  message.set_text(send.text());
  message.set_content_url(send.content_url());
  message.set_content_type(send.content_type());
  job.shared = MessageTemplate(message);
  message.set_client_msg_id(job.client_msg_id);
  message.set_device(job.device);
  job.own = MessageTemplate(message);
}

}  // namespace

void Start(State& s, Session& session, const v1::Send& send) {
  SendJob job;
  job.session = session.id;
  job.author = *session.user->uid;
  job.device = session.device;
  job.client_msg_id = send.client_msg_id();
  job.used_to = send.target_case() == v1::Send::kTo;
  job.chat = job.used_to ? DirectChatId(job.author, send.to()) : send.chat_id();
  job.group = !job.chat.starts_with("d:");
  job.received_ms = s.now.unix_ms;
  job.text_bytes = static_cast<uint32_t>(send.text().size());
  if (HubBusy(s)) {
    return Reject(s, &session, job, Code::kResourceExhausted, "too much is under way", kRetryMs);
  }
  if (job.group) {
    const SendLane* lane = FindLane(session, job.chat);
    if (lane != nullptr && lane->waiting.size() >= kLaneWaiting) {
      return Reject(s, &session, job, Code::kResourceExhausted, "too much is under way", kRetryMs);
    }
  }
  FillTemplates(job, send);
  ++session.sends;
  SubmitInOrder(s, session, std::move(job));
}

Outcome OnReply(State& s, PendingSend& pending, hub::Reply& reply) {
  SendJob& job = pending.job;
  Session* session = s.directory.Find(job.session);
  Outcome outcome;
  hub::Failure failure;
  auto* done = Expect<hub::SendReply>(reply, failure);
  const auto answered = [&] {
    if (session != nullptr) --session->sends;
  };
  if (done == nullptr) {
    answered();
    const bool full = failure.kind == hub::Failure::Kind::kFull;
    Reject(s, session, job, full ? Code::kResourceExhausted : Code::kUnavailable,
           full ? "no room at the moment" : "not possible at the moment", kRetryMs);
    // It may have taken effect, and then nobody has been told of the entries.
    outcome.look_all = !full;
    if (session != nullptr && job.group) Answered(s, *session, job.chat, nullptr);
    return outcome;
  }
  using Kind = hub::SendReply::Outcome;
  if (done->outcome == Kind::kStale) {
    std::sort(done->members.begin(), done->members.end());
    s.chats.Put({job.chat, done->version, std::move(done->members), {}, false});
    if (++job.tries < kStaleTries) {
      const std::string chat = job.chat;
      if (session != nullptr) {
        Answered(s, *session, chat, &job);
      } else {
        Submit(s, std::move(job));
      }
      return outcome;
    }
  }
  answered();
  TellOutcome(s, session, job, *done);
  if (done->outcome == Kind::kRepeat) {
    // The first try's reply may have been lost, and with it the news for who is connected here.
    outcome.look = DirectMembers(job.chat);
    if (const CachedChat* known = job.group ? s.chats.Find(job.chat) : nullptr) {
      outcome.look = known->present;
    }
  }
  if (session != nullptr && job.group) Answered(s, *session, job.chat, nullptr);
  if (done->outcome == Kind::kAccepted) {
    outcome.entry = {job.chat,
                     done->msg_id,
                     job.author,
                     true,
                     std::move(job.shared),
                     std::move(job.own),
                     session != nullptr ? job.session : 0,
                     std::move(done->deliveries),
                     done->task};
  }
  return outcome;
}

}  // namespace nightjar::core::send
