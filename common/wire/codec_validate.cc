// The limits of the protocol that need no state.
#include <fmt/format.h>

#include "common/wire/codec.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar {
namespace {

Status Invalid(std::string reason) { return {Code::kInvalidArgument, std::move(reason)}; }

Status AtMost(const char* name, const std::string& value, size_t most) {
  if (value.size() <= most) return Status::Ok();
  return Invalid(fmt::format("{} of {} bytes; at most {}", name, value.size(), most));
}

Status CheckChatId(const std::string& chat_id) {
  return ParseChatId(chat_id) ? Status::Ok() : Invalid("chat_id is not well formed");
}

Status CheckUid(const char* name, const std::string& uid) {
  return ValidUid(uid) ? Status::Ok() : Invalid(fmt::format("{}: not a user id", name));
}

template <typename Uids>
Status CheckUids(const char* name, const Uids& uids) {
  for (const std::string& uid : uids) {
    if (Status status = CheckUid(name, uid); !status.ok()) return status;
  }
  return Status::Ok();
}

Status Validate(const v1::OpenChat& body) {
  switch (body.target_case()) {
    case v1::OpenChat::kChatId: return CheckChatId(body.chat_id());
    case v1::OpenChat::kTo: return CheckUid("to", body.to());
    case v1::OpenChat::TARGET_NOT_SET: break;
  }
  return Invalid("neither chat_id nor to is set");
}

Status Validate(const v1::CreateChat& body) {
  if (Status status = AtMost("title", body.title(), limits::kTitle); !status.ok()) return status;
  if (static_cast<size_t>(body.members_size()) > limits::kChangeUids) {
    return Invalid(fmt::format("{} members; at most {} in a request", body.members_size(),
                               limits::kChangeUids));
  }
  return CheckUids("members", body.members());
}

Status Validate(const v1::UpdateChat& body) {
  if (Status status = CheckChatId(body.chat_id()); !status.ok()) return status;
  if (Status status = AtMost("title", body.title(), limits::kTitle); !status.ok()) return status;
  const auto uids = static_cast<size_t>(body.add_size()) + static_cast<size_t>(body.remove_size());
  if (uids > limits::kChangeUids) {
    return Invalid(fmt::format("{} users to add and remove; at most {} in a request", uids,
                               limits::kChangeUids));
  }
  if (uids == 0 && !body.has_title()) return Invalid("nothing to change");
  if (Status status = CheckUids("add", body.add()); !status.ok()) return status;
  return CheckUids("remove", body.remove());
}

Status Validate(const v1::ListChats&) { return Status::Ok(); }

Status Validate(const v1::GetHistory& body) { return CheckChatId(body.chat_id()); }

Status Validate(const v1::GetReceipts& body) {
  if (static_cast<size_t>(body.chat_ids_size()) > limits::kReceiptChats) {
    return Invalid(
        fmt::format("{} chats; at most {}", body.chat_ids_size(), limits::kReceiptChats));
  }
  for (const std::string& chat_id : body.chat_ids()) {
    if (Status status = CheckChatId(chat_id); !status.ok()) return status;
  }
  return Status::Ok();
}

Status Validate(const v1::GetPresence& body) {
  if (static_cast<size_t>(body.uids_size()) > limits::kPresenceUids) {
    return Invalid(fmt::format("{} users; at most {}", body.uids_size(), limits::kPresenceUids));
  }
  return CheckUids("uids", body.uids());
}

Status ValidateWebPush(const v1::RegisterPush::WebPush& push) {
  if (!push.endpoint().starts_with("https://")) return Invalid("endpoint is not an https URL");
  if (push.p256dh().size() != limits::kPushP256dh || push.p256dh()[0] != '\x04') {
    return Invalid("p256dh is not an uncompressed P-256 point of 65 bytes");
  }
  if (push.auth().size() != limits::kPushAuth) return Invalid("auth is not of 16 bytes");
  return AtMost("endpoint", push.endpoint(), limits::kPushEndpoint);
}

Status ValidateToken(const std::string& token) {
  return token.empty() ? Invalid("token is empty") : AtMost("token", token, limits::kPushToken);
}

Status Validate(const v1::RegisterPush& body) {
  if (Status status = AtMost("language", body.language(), limits::kLanguage); !status.ok()) {
    return status;
  }
  switch (body.gateway_case()) {
    case v1::RegisterPush::kWebPush: return ValidateWebPush(body.web_push());
    case v1::RegisterPush::kFcm: return ValidateToken(body.fcm().token());
    case v1::RegisterPush::kApns:
      if (Status status = ValidateToken(body.apns().token()); !status.ok()) return status;
      return AtMost("topic", body.apns().topic(), limits::kPushTopic);
    case v1::RegisterPush::GATEWAY_NOT_SET: break;
  }
  return Invalid("no push gateway is set");
}

Status Validate(const v1::MuteChat& body) {
  if (body.until_ms() < -1) return Invalid("until_ms is below -1");
  return body.chat_id().empty() ? Status::Ok() : CheckChatId(body.chat_id());
}

Status Validate(const v1::ListMembers& body) {
  if (Status status = CheckChatId(body.chat_id()); !status.ok()) return status;
  return body.after().empty() ? Status::Ok() : CheckUid("after", body.after());
}

}  // namespace

Status ValidateSend(const v1::Send& send) {
  if (send.client_msg_id() > limits::kMaxClientMsgId) {
    return Invalid("client_msg_id above 2^53 - 1");
  }
  switch (send.target_case()) {
    case v1::Send::kChatId:
      if (Status status = CheckChatId(send.chat_id()); !status.ok()) return status;
      break;
    case v1::Send::kTo:
      if (Status status = CheckUid("to", send.to()); !status.ok()) return status;
      break;
    case v1::Send::TARGET_NOT_SET: return Invalid("neither chat_id nor to is set");
  }
  if (send.text().empty() && send.content_url().empty()) {
    return Invalid("an empty message: neither text nor content_url");
  }
  if (Status status = AtMost("text", send.text(), limits::kText); !status.ok()) return status;
  if (Status status = AtMost("content_url", send.content_url(), limits::kContentUrl);
      !status.ok()) {
    return status;
  }
  return AtMost("content_type", send.content_type(), limits::kContentType);
}

Status ValidateRequest(const v1::Request& request) {
  if (request.request_id().empty()) return Invalid("request_id is missing");
  if (Status status = AtMost("request_id", request.request_id(), limits::kRequestId);
      !status.ok()) {
    return status;
  }
  using Request = v1::Request;
  switch (request.body_case()) {
    case Request::kOpenChat: return Validate(request.open_chat());
    case Request::kCreateChat: return Validate(request.create_chat());
    case Request::kUpdateChat: return Validate(request.update_chat());
    case Request::kListChats: return Validate(request.list_chats());
    case Request::kHistory: return Validate(request.history());
    case Request::kReceipts: return Validate(request.receipts());
    case Request::kGetPresence: return Validate(request.get_presence());
    case Request::kRegisterPush: return Validate(request.register_push());
    case Request::kMuteChat: return Validate(request.mute_chat());
    case Request::kListMembers: return Validate(request.list_members());
    case Request::kUnregisterPush:
    case Request::kWhoami: return Status::Ok();
    case Request::BODY_NOT_SET: break;
  }
  return Invalid("the request asks for nothing known");
}

}  // namespace nightjar
