#include "persister/record_check.h"

#include <string>

#include "common/wire/names.h"

namespace nightjar {
namespace {

Status Invalid(std::string what) { return {Code::kInvalidArgument, std::move(what)}; }

Status CheckId(uint64_t id) {
  if (id == 0) return Invalid("no message id");
  if (id > kMaxStoredMsgId) return Invalid("message id out of range");
  return Status::Ok();
}

Status CheckMessage(const v1::Message& message) {
  if (Status s = CheckId(message.msg_id()); !s.ok()) return s;
  if (!ParseChatId(message.chat_id())) return Invalid("malformed chat id");
  if (!ValidUid(message.author())) return Invalid("malformed author");
  return Status::Ok();
}

Status CheckChange(const v1::ChatChange& change) {
  if (Status s = CheckId(change.msg_id()); !s.ok()) return s;
  const auto name = ParseChatId(change.chat().chat_id());
  if (!name) return Invalid("malformed chat id");
  if (name->direct) return Invalid("a direct chat cannot change");
  if (!change.by().empty() && !ValidUid(change.by())) return Invalid("malformed uid");
  for (const auto* uids : {&change.added(), &change.removed(), &change.chat().members()}) {
    for (const std::string& uid : *uids) {
      if (!ValidUid(uid)) return Invalid("malformed uid of a member");
    }
  }
  return Status::Ok();
}

Status CheckMute(const v1::Muted& mute) {
  if (!ValidUid(mute.uid())) return Invalid("malformed uid");
  if (mute.chat_id().empty()) {
    return ValidDevice(mute.device()) ? Status::Ok() : Invalid("malformed device");
  }
  return ParseChatId(mute.chat_id()) ? Status::Ok() : Invalid("malformed chat id");
}

}  // namespace

Status CheckRecord(const v1::JournalRecord& record) {
  switch (record.body_case()) {
    case v1::JournalRecord::kMessage:
      return CheckMessage(record.message());
    case v1::JournalRecord::kChatChange:
      return CheckChange(record.chat_change());
    case v1::JournalRecord::kMark:
      if (Status s = CheckId(record.mark().msg_id()); !s.ok()) return s;
      if (!ParseChatId(record.mark().chat_id())) return Invalid("malformed chat id");
      return ValidUid(record.mark().uid()) ? Status::Ok() : Invalid("malformed uid");
    case v1::JournalRecord::kPush:
      if (!ValidUid(record.push().uid())) return Invalid("malformed uid");
      return ValidDevice(record.push().device()) ? Status::Ok() : Invalid("malformed device");
    case v1::JournalRecord::kMute:
      return CheckMute(record.mute());
    case v1::JournalRecord::kUser:
      return ValidUid(record.user().uid()) ? Status::Ok() : Invalid("malformed uid");
    case v1::JournalRecord::BODY_NOT_SET:
      return Invalid("no known body");
  }
  return Invalid("no known body");
}

}  // namespace nightjar
