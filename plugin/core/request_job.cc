#include "plugin/core/request_job.h"

#include <algorithm>

#include "common/wire/codec.h"
#include "plugin/core/tell.h"

namespace nightjar::core {
namespace {

constexpr uint32_t kRetryMs = 1000;

KeepMessages Keep(const v1::Request& request) {
  const v1::GetHistory& history = request.history();
  return history.after_msg_id() != 0 && history.before_msg_id() == 0 ? KeepMessages::kOldest
                                                                     : KeepMessages::kNewest;
}

}  // namespace

void Answer(State& s, RequestJob& job) {
  Session* session = s.directory.Find(job.session);
  if (session == nullptr) return;
  if (session->requests > 0) --session->requests;
  job.response.set_request_id(job.request.request_id());
  TellEncoded(s, *session,
              EncodeResponseFitted(std::move(job.response), AnswerRoute(*session).encoding,
                                   session->max_frame, Keep(job.request)));
}

void AnswerError(State& s, RequestJob& job, Code code, const std::string& message,
                 uint32_t retry_after_ms) {
  v1::Error& error = *job.response.mutable_error();
  error.set_code(static_cast<v1::Code>(code));
  error.set_message(message);
  error.set_retry_after_ms(retry_after_ms);
  Answer(s, job);
}

void AnswerFailure(State& s, RequestJob& job, const hub::Failure& failure) {
  switch (failure.kind) {
    case hub::Failure::Kind::kUnavailable:
      return AnswerError(s, job, Code::kUnavailable, "not possible at the moment", kRetryMs);
    case hub::Failure::Kind::kFull:
      return AnswerError(s, job, Code::kResourceExhausted, "no room at the moment", kRetryMs);
    case hub::Failure::Kind::kInternal:
      break;
  }
  LogSome(s, "request", LogLevel::kError, "a request failed in the hub: " + failure.message);
  AnswerError(s, job, Code::kInternal, "something is wrong here; it is logged");
}

void AnswerDenied(State& s, RequestJob& job) {
  AnswerError(s, job, Code::kPermissionDenied, "not a member of this chat");
}

bool IsPresent(const std::vector<hub::Member>& members, const std::string& uid) {
  return std::any_of(members.begin(), members.end(), [&](const hub::Member& member) {
    return member.left == 0 && member.uid == uid;
  });
}

v1::Chat ToChat(const hub::ChatRecord& record, const std::vector<hub::Member>& members) {
  v1::Chat chat;
  chat.set_chat_id(record.chat);
  chat.set_kind(record.direct ? v1::Chat::DIRECT : v1::Chat::GROUP);
  chat.set_title(record.title);
  chat.set_created_ms(record.created_ms);
  chat.set_created_by(record.created_by);
  chat.set_last_msg_id(record.last_msg_id);
  chat.set_member_count(record.member_count);
  for (const hub::Member& member : members) {
    if (member.left != 0) continue;
    if (static_cast<size_t>(chat.members_size()) >= limits::kFirstMembers) break;
    chat.add_members(member.uid);
  }
  return chat;
}

}  // namespace nightjar::core
