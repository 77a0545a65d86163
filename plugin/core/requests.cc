#include "plugin/core/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/wire/names.h"
#include "plugin/core/group_requests.h"
#include "plugin/core/tell.h"

namespace nightjar::core::requests {
namespace {

constexpr uint16_t kUnderWay = 64;  // of one session
constexpr uint32_t kRetryMs = 1000;
constexpr uint32_t kBackTries = 5;  // of one request, with those that were stale

using Body = v1::Request::BodyCase;

void AskFor(State& s, JobPtr job, hub::Call call) {
  Ask(s, std::move(call), PendingRequest{std::move(job)});
}

// ---- persisters -------------------------------------------------------------------------------

std::string ChatOf(const RequestJob& job) {
  switch (job.request.body_case()) {
    case Body::kOpenChat:
      return job.request.open_chat().has_to() ? DirectChatId(job.uid, job.request.open_chat().to())
                                              : job.request.open_chat().chat_id();
    case Body::kHistory:
      return job.request.history().chat_id();
    case Body::kUpdateChat:
      return job.request.update_chat().chat_id();
    case Body::kListMembers:
      return job.request.list_members().chat_id();
    case Body::kMuteChat:
      return job.request.mute_chat().chat_id();
    default:
      return {};
  }
}

void AskStore(State& s, JobPtr job, const v1::Request& request) {
  if (s.store.size() >= s.config.store_requests) {
    return AnswerError(s, *job, Code::kResourceExhausted, "too much is under way", kRetryMs);
  }
  const uint64_t attempt = ++s.last_attempt;
  v1::StoreRequest ask;
  ask.set_session(job->session);
  ask.set_uid(job->uid);
  *ask.mutable_request() = request;
  ask.set_reply_topic(s.reply_topic);
  ask.set_attempt(attempt);
  const std::string& about = job->chat.empty() ? job->uid : job->chat;
  StoreWait wait;
  wait.partition = PartitionOf(about, s.config.partitions);
  wait.payload = ask.SerializeAsString();
  wait.job = std::move(job);
  s.out->list.emplace_back(PublishAll{fmt::format("svc/store/{}", wait.partition), wait.payload});
  s.store.emplace(attempt, std::move(wait));
  s.timers.Add(s.now.mono_ms + s.config.store_retry_ms, TimerKind::kStore, attempt);
}

bool IsRead(const v1::Request& request) {
  return request.has_open_chat() || request.has_list_chats() || request.has_history();
}

// The hub has let go of the chat's title: a persister that is asked for the chat brings it back,
// and then the hub is asked again.
void BringBack(State& s, JobPtr job) {
  v1::Request open;
  open.set_request_id(job->request.request_id());
  open.mutable_open_chat()->set_chat_id(job->chat);
  open.mutable_open_chat()->set_limit(1);
  AskStore(s, std::move(job), open);
}

void OnBroughtBack(State& s, JobPtr job, const v1::Response& response) {
  if (response.error().code() == v1::PERMISSION_DENIED) return AnswerDenied(s, *job);
  if (response.has_error() || ++job->tries >= kBackTries) {
    return AnswerError(s, *job, Code::kUnavailable, "not possible at the moment", kRetryMs);
  }
  AskChat(s, std::move(job));
}

// ---- push settings ----------------------------------------------------------------------------

void PutPush(State& s, JobPtr job) {
  hub::PutPush call{job->uid, job->device, "", ""};
  v1::JournalRecord record;
  v1::PushRegistered& push = *record.mutable_push();
  push.set_uid(job->uid);
  push.set_device(job->device);
  push.set_at_ms(s.now.unix_ms);
  if (job->request.has_register_push()) {
    *push.mutable_registration() = job->request.register_push();
    call.registration = push.registration().SerializeAsString();
  }
  call.journal = record.SerializeAsString();
  AskFor(s, std::move(job), std::move(call));
}

void PutMute(State& s, JobPtr job) {
  const v1::MuteChat& ask = job->request.mute_chat();
  v1::JournalRecord record;
  v1::Muted& mute = *record.mutable_mute();
  mute.set_uid(job->uid);
  mute.set_device(job->device);
  mute.set_chat_id(ask.chat_id());
  mute.set_until_ms(ask.until_ms());
  mute.set_at_ms(s.now.unix_ms);
  hub::PutMute call{job->uid, job->device, ask.chat_id(), ask.until_ms(),
                    record.SerializeAsString()};
  AskFor(s, std::move(job), std::move(call));
}

// ---- replies ----------------------------------------------------------------------------------

void AnswerMembers(State& s, RequestJob& job, const std::vector<hub::Member>& members) {
  const v1::ListMembers& ask = job.request.list_members();
  const uint32_t limit = ask.limit() == 0 ? limits::kListMembersDefault
                                          : std::min(ask.limit(), limits::kListMembersMost);
  v1::MemberList& list = *job.response.mutable_members();
  for (const hub::Member& member : members) {  // in uid order
    if (member.left != 0 || member.uid <= ask.after()) continue;
    if (static_cast<uint32_t>(list.uids_size()) == limit) {
      list.set_more(true);
      break;
    }
    list.add_uids(member.uid);
  }
  Answer(s, job);
}

FreshEntry OnChat(State& s, JobPtr job, hub::GetChatReply& reply) {
  if (!reply.found || !IsPresent(reply.members, job->uid)) {
    AnswerDenied(s, *job);
    return {};
  }
  const bool titled = job->request.has_update_chat() || job->request.has_create_chat();
  if (titled && reply.record.retired) {
    BringBack(s, std::move(job));
    return {};
  }
  switch (job->request.body_case()) {
    case Body::kUpdateChat:
      UpdateGroup(s, std::move(job), reply);
      break;
    case Body::kListMembers:
      AnswerMembers(s, *job, reply.members);
      break;
    case Body::kMuteChat:
      PutMute(s, std::move(job));
      break;
    default:  // create_chat that found its chat
      *job->response.mutable_chat() = ToChat(reply.record, reply.members);
      Answer(s, *job);
  }
  return {};
}

FreshEntry OnChange(State& s, JobPtr job, hub::ChangeReply& reply) {
  return job->request.has_create_chat() ? OnCreated(s, std::move(job), reply)
                                        : OnUpdated(s, std::move(job), reply);
}

FreshEntry OnReceipts(State& s, JobPtr job, hub::GetReceiptsReply& reply) {
  v1::Receipts& receipts = *job->response.mutable_receipts();
  for (const auto& chat : reply.chats) {
    v1::ChatReceipts& out = *receipts.add_chats();
    out.set_chat_id(chat.chat);
    for (const hub::Mark& mark : chat.marks) {
      v1::DeliveredMark& delivered = *out.add_delivered();
      delivered.set_uid(mark.uid);
      delivered.set_msg_id(mark.msg_id);
    }
  }
  Answer(s, *job);
  return {};
}

FreshEntry OnPresence(State& s, JobPtr job, hub::GetPresenceReply& reply) {
  v1::PresenceList& list = *job->response.mutable_presence();
  for (const hub::PresenceState& state : reply.states) {
    v1::Presence& presence = *list.add_presence();
    presence.set_uid(state.uid);
    presence.set_online(state.online);
    presence.set_last_active_ms(state.last_active_ms);
  }
  Answer(s, *job);
  return {};
}

FreshEntry OnDevice(State& s, JobPtr job, const hub::GetDeviceReply& reply) {
  v1::Identity& identity = *job->response.mutable_identity();
  identity.set_uid(job->uid);
  identity.set_device(job->device);
  identity.set_server_time_ms(s.now.unix_ms);
  identity.set_head(reply.head);
  identity.set_acked(reply.acked);
  identity.set_version(s.config.version);
  Answer(s, *job);
  return {};
}

FreshEntry OnFailure(State& s, JobPtr job, const hub::Failure& failure) {
  const bool change = job->request.has_create_chat() || job->request.has_update_chat();
  AnswerFailure(s, *job, failure);
  FreshEntry entry;
  entry.look_all = change && failure.kind != hub::Failure::Kind::kFull;  // it may have been done
  return entry;
}

void Dispatch(State& s, JobPtr job) {
  RequestJob& it = *job;
  switch (it.request.body_case()) {
    case Body::kOpenChat:
    case Body::kListChats:
    case Body::kHistory:
      return AskStore(s, std::move(job), it.request);
    case Body::kCreateChat:
      return CreateGroup(s, std::move(job));
    case Body::kUpdateChat:
    case Body::kListMembers:
      return AskChat(s, std::move(job));
    case Body::kMuteChat:
      return it.chat.empty() ? PutMute(s, std::move(job)) : AskChat(s, std::move(job));
    case Body::kRegisterPush:
    case Body::kUnregisterPush:
      return PutPush(s, std::move(job));
    case Body::kWhoami:
      return AskFor(s, std::move(job), hub::GetDevice{it.uid, it.device});
    case Body::kReceipts: {
      hub::GetReceipts call;
      call.uid = it.uid;
      std::set<std::string> seen;
      for (const std::string& chat : it.request.receipts().chat_ids()) {
        if (seen.insert(chat).second) call.chats.push_back(chat);
      }
      return AskFor(s, std::move(job), std::move(call));
    }
    case Body::kGetPresence: {
      const auto& uids = it.request.get_presence().uids();
      return AskFor(s, std::move(job), hub::GetPresence{{uids.begin(), uids.end()}});
    }
    case Body::BODY_NOT_SET:
      break;
  }
  AnswerError(s, it, Code::kInvalidArgument, "no request is set");
}

}  // namespace

void Start(State& s, Session& session, v1::Request request) {
  auto job = std::make_unique<RequestJob>();
  job->session = session.id;
  job->uid = *session.user->uid;
  job->device = session.device;
  job->request = std::move(request);
  job->chat = ChatOf(*job);
  const bool busy = session.requests >= kUnderWay || HubBusy(s);
  ++session.requests;
  if (busy) {
    return AnswerError(s, *job, Code::kResourceExhausted, "too much is under way", kRetryMs);
  }
  Dispatch(s, std::move(job));
}

FreshEntry OnReply(State& s, PendingRequest& pending, hub::Reply& reply) {
  JobPtr job = std::move(pending.job);
  if (auto* it = std::get_if<hub::Failure>(&reply)) return OnFailure(s, std::move(job), *it);
  if (auto* it = std::get_if<hub::GetChatReply>(&reply)) return OnChat(s, std::move(job), *it);
  if (auto* it = std::get_if<hub::ChangeReply>(&reply)) return OnChange(s, std::move(job), *it);
  if (auto* it = std::get_if<hub::GetReceiptsReply>(&reply)) {
    return OnReceipts(s, std::move(job), *it);
  }
  if (auto* it = std::get_if<hub::GetPresenceReply>(&reply)) {
    return OnPresence(s, std::move(job), *it);
  }
  if (auto* it = std::get_if<hub::GetDeviceReply>(&reply)) return OnDevice(s, std::move(job), *it);
  if (std::holds_alternative<hub::Done>(reply)) {
    job->response.mutable_done();
    Answer(s, *job);
    return {};
  }
  AnswerFailure(s, *job, {hub::Failure::Kind::kInternal, "a reply of another kind"});
  return {};
}

void OnStoreReply(State& s, v1::StoreReply reply) {
  const auto it = s.store.find(reply.attempt());
  if (it == s.store.end() || it->second.job->session != reply.session()) return;  // too late
  JobPtr job = std::move(it->second.job);
  s.store.erase(it);
  if (!IsRead(job->request)) return OnBroughtBack(s, std::move(job), reply.response());
  job->response = std::move(*reply.mutable_response());
  Answer(s, *job);
}

void OnStoreTimer(State& s, uint64_t attempt) {
  const auto it = s.store.find(attempt);
  if (it == s.store.end()) return;
  StoreWait& wait = it->second;
  if (s.directory.Find(wait.job->session) == nullptr) {
    s.store.erase(it);
    return;
  }
  if (!wait.repeated) {
    wait.repeated = true;
    // To all of them: whose turn it was may be stopped or cut off, and its turn comes again.
    s.out->list.emplace_back(PublishAll{fmt::format("svc/again/{}", wait.partition), wait.payload});
    s.timers.Add(s.now.mono_ms + s.config.store_give_up_ms, TimerKind::kStore, attempt);
    return;
  }
  const JobPtr job = std::move(wait.job);
  s.store.erase(it);
  LogSome(s, "store", LogLevel::kWarning, "no persister answers");
  AnswerError(s, *job, Code::kUnavailable, "history is not available at the moment", kRetryMs);
}

}  // namespace nightjar::core::requests
