#include "plugin/core/group_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "plugin/core/tell.h"

namespace nightjar::core::requests {
namespace {

constexpr uint32_t kStaleTries = 5;
constexpr uint32_t kRetryMs = 1000;

template <typename Uids>
void AddUids(const Uids& uids, google::protobuf::RepeatedPtrField<std::string>& to) {
  for (const std::string& uid : uids) *to.Add() = uid;
}

bool TooMany(State& s, RequestJob& job, size_t members) {
  if (members <= s.config.group_members) return false;
  AnswerError(s, job, Code::kInvalidArgument,
              fmt::format("{} members; at most {}", members, s.config.group_members));
  return true;
}

// The membership after a change with this id.
std::vector<hub::Member> Changed(const std::vector<hub::Member>& before,
                                 const std::vector<std::string>& add,
                                 const std::vector<std::string>& remove, MsgId id) {
  std::vector<hub::Member> after;
  const std::set<std::string> added(add.begin(), add.end());
  const std::set<std::string> removed(remove.begin(), remove.end());
  for (hub::Member member : before) {
    if (added.contains(member.uid)) continue;
    if (member.left == 0 && removed.contains(member.uid)) member.left = id;
    after.push_back(std::move(member));
  }
  for (const std::string& uid : added) after.push_back({uid, id, 0});
  std::sort(after.begin(), after.end(),
            [](const hub::Member& a, const hub::Member& b) { return a.uid < b.uid; });
  return after;
}

size_t CountPresent(const std::vector<hub::Member>& members) {
  return static_cast<size_t>(std::count_if(members.begin(), members.end(),
                                           [](const auto& member) { return member.left == 0; }));
}

// What everybody in the chat is told. `record` and `members` are as they will be.
EntryTemplate Change(const RequestJob& job, v1::ChatChange::Kind kind, hub::ChatRecord record,
                     const std::vector<hub::Member>& members) {
  v1::ChatChange change;
  record.member_count = static_cast<uint32_t>(CountPresent(members));
  *change.mutable_chat() = ToChat(record, members);
  if (record.member_count > limits::kFirstMembers) change.mutable_chat()->clear_members();
  change.set_kind(kind);
  change.set_by(job.uid);
  AddUids(job.add, *change.mutable_added());
  AddUids(job.remove, *change.mutable_removed());
  return ChangeTemplate(change);
}

FreshEntry ToEntry(const RequestJob& job, EntryTemplate change, hub::ChangeReply& reply) {
  FreshEntry entry;
  entry.chat = job.chat;
  entry.msg_id = reply.msg_id;
  entry.message = false;
  entry.shared = std::move(change);
  entry.deliveries = std::move(reply.deliveries);
  entry.task = reply.task;
  return entry;
}

// `exact`: the members' times are the hub's own. They are not where somebody came back: the hub
// alone knows whether a fan-out was open, for which it keeps the times before.
void Done(State& s, RequestJob& job, const hub::ChatRecord& record,
          std::vector<hub::Member> members, bool exact = true) {
  *job.response.mutable_chat() = ToChat(record, members);
  CachedChat chat = WholeChat(job.chat, record.version, std::move(members));
  if (!exact) {
    chat.members.reset();
    chat.whole = false;
  }
  s.chats.Put(std::move(chat));
  Answer(s, job);
}

// What update_chat asks for, as real changes. False: answered with an error.
bool WorkOut(State& s, RequestJob& job) {
  const v1::UpdateChat& ask = job.request.update_chat();
  const std::set<std::string> add(ask.add().begin(), ask.add().end());
  const std::set<std::string> remove(ask.remove().begin(), ask.remove().end());
  job.add.clear();
  job.remove.clear();
  for (const std::string& uid : add) {
    if (remove.contains(uid)) {
      AnswerError(s, job, Code::kInvalidArgument, "a user is both added and removed");
      return false;
    }
    if (!IsPresent(job.members, uid)) job.add.push_back(uid);
  }
  for (const std::string& uid : remove) {
    if (uid != job.uid && job.uid != job.record.created_by) {
      AnswerError(s, job, Code::kPermissionDenied, "only the creator removes others");
      return false;
    }
    if (IsPresent(job.members, uid)) job.remove.push_back(uid);
  }
  return !TooMany(s, job, CountPresent(job.members) + job.add.size() - job.remove.size());
}

}  // namespace

void AskChat(State& s, JobPtr job) {
  hub::GetChat call;
  call.chat = job->chat;
  call.members = true;
  Ask(s, std::move(call), PendingRequest{std::move(job)});
}

void CreateGroup(State& s, JobPtr job) {
  const v1::CreateChat& ask = job->request.create_chat();
  std::set<std::string> members(ask.members().begin(), ask.members().end());
  members.insert(job->uid);
  if (TooMany(s, *job, members.size())) return;
  job->chat = GroupChatId(job->uid, job->device, job->request.request_id());
  job->add.assign(members.begin(), members.end());
  job->record.chat = job->chat;
  job->record.title = ask.title();
  job->record.created_ms = s.now.unix_ms;
  job->record.created_by = job->uid;

  hub::CreateChat call;
  call.chat = job->chat;
  call.creator = job->uid;
  call.device = job->device;
  call.title = ask.title();
  call.members = job->add;
  call.received_ms = s.now.unix_ms;
  call.change = Change(*job, v1::ChatChange::CREATED, job->record, Changed({}, job->add, {}, 1));
  call.broker = s.broker;
  job->change = call.change;
  Ask(s, std::move(call), PendingRequest{std::move(job)});
}

FreshEntry OnCreated(State& s, JobPtr job, hub::ChangeReply& reply) {
  using Outcome = hub::ChangeReply::Outcome;
  switch (reply.outcome) {
    case Outcome::kDone:
      break;
    case Outcome::kExists:
      AskChat(s, std::move(job));
      return {};  // a repeat
    case Outcome::kFull:
      AnswerFailure(s, *job, {hub::Failure::Kind::kFull, ""});
      return {};
    case Outcome::kStale:
    case Outcome::kDenied:
      AnswerDenied(s, *job);
      return {};
  }
  FreshEntry entry = ToEntry(*job, std::move(job->change), reply);
  Done(s, *job, reply.record, Changed({}, job->add, {}, reply.msg_id));
  return entry;
}

void UpdateGroup(State& s, JobPtr job, hub::GetChatReply& reply) {
  if (reply.record.direct) {
    return AnswerError(s, *job, Code::kInvalidArgument, "a direct chat cannot be changed");
  }
  job->record = std::move(reply.record);
  job->members = std::move(reply.members);
  if (!WorkOut(s, *job)) return;
  const v1::UpdateChat& ask = job->request.update_chat();
  const bool rename = ask.has_title() && ask.title() != job->record.title;
  const bool regroup = !job->add.empty() || !job->remove.empty();
  if (!rename && !regroup) return Done(s, *job, job->record, std::move(job->members));

  hub::ChatRecord after = job->record;
  if (rename) after.title = ask.title();
  hub::UpdateChat call;
  call.chat = job->chat;
  call.by = job->uid;
  call.device = job->device;
  call.version = job->record.version;
  if (rename) call.title = ask.title();
  call.add = job->add;
  call.remove = job->remove;
  call.received_ms = s.now.unix_ms;
  call.change = Change(*job, regroup ? v1::ChatChange::MEMBERS_CHANGED : v1::ChatChange::RENAMED,
                       after, Changed(job->members, job->add, job->remove, 1));
  call.broker = s.broker;
  job->change = call.change;
  job->record = std::move(after);
  Ask(s, std::move(call), PendingRequest{std::move(job)});
}

FreshEntry OnUpdated(State& s, JobPtr job, hub::ChangeReply& reply) {
  using Outcome = hub::ChangeReply::Outcome;
  switch (reply.outcome) {
    case Outcome::kDone:
      break;
    case Outcome::kStale:  // somebody else was quicker: work it out anew
      if (++job->tries < kStaleTries) {
        AskChat(s, std::move(job));
      } else {
        AnswerError(s, *job, Code::kUnavailable, "the chat is changing", kRetryMs);
      }
      return {};
    case Outcome::kFull:
      AnswerFailure(s, *job, {hub::Failure::Kind::kFull, ""});
      return {};
    case Outcome::kExists:
    case Outcome::kDenied:
      AnswerDenied(s, *job);
      return {};
  }
  FreshEntry entry = ToEntry(*job, std::move(job->change), reply);
  reply.record.title = job->record.title;  // the hub may just have let go of it
  const bool back = std::any_of(job->members.begin(), job->members.end(), [&](const auto& member) {
    return std::find(job->add.begin(), job->add.end(), member.uid) != job->add.end();
  });
  Done(s, *job, reply.record, Changed(job->members, job->add, job->remove, reply.msg_id), !back);
  return entry;
}

}  // namespace nightjar::core::requests
