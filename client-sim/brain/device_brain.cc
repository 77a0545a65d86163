#include "client-sim/brain/device_brain.h"

#include <algorithm>
#include <utility>

#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {

DeviceBrain::DeviceBrain(std::string uid, std::string device)
    : uid_(std::move(uid)), device_(std::move(device)), outbox_(uid_) {}

uint64_t DeviceBrain::SendToChat(const std::string& chat_id, std::string text, Now now) {
  v1::Send send;
  send.set_chat_id(chat_id);
  send.set_text(std::move(text));
  return outbox_.Write(std::move(send), now.unix_ms);
}

uint64_t DeviceBrain::SendToUser(const std::string& uid, std::string text, Now now) {
  v1::Send send;
  send.set_to(uid);
  send.set_text(std::move(text));
  return outbox_.Write(std::move(send), now.unix_ms);
}

std::string DeviceBrain::Ask(v1::Request request, Now now) {
  // Unique per device also over restarts of the program: time, and never the same twice.
  last_request_ = std::max(last_request_ + 1, static_cast<uint64_t>(now.unix_ms));
  std::string id = "q" + std::to_string(last_request_);
  request.set_request_id(id);
  requests_[id] = Pending{std::move(request), 0};
  return id;
}

void DeviceBrain::Watch(const std::string& uid) { watched_.insert(uid); }

void DeviceBrain::Connected(Now now, Out& out) {
  out = {};
  connected_ = true;
  for (const auto& uid : watched_) out.subscribe.push_back("presence/" + uid);
  out.subscribe.push_back("inbox/" + uid_);
  for (auto& [id, pending] : requests_) pending.due_ms = 0;
  (void)now;  // nothing is sent before sync: a device is one only after it has its inbox
}

void DeviceBrain::Disconnected(std::string reason, Now now, Out& out) {
  (void)now;
  out = {};
  connected_ = false;
  cursor_.Disconnected();
  outbox_.Disconnected();
  out.happened.push_back(WentDown{std::move(reason)});
}

void DeviceBrain::Arrived(std::string_view topic, std::string_view payload, Now now, Out& out) {
  out = {};
  if (topic.starts_with("presence/")) {
    v1::Presence presence;
    if (!presence.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      out.happened.push_back(ServerFault{"a presence frame that cannot be decoded"});
      return;
    }
    out.happened.push_back(PresenceSeen{std::move(presence)});
    return;
  }
  Frame(payload, now, out);
  Out more;
  Tick(now, more);
  out.publish = std::move(more.publish);
  std::move(more.happened.begin(), more.happened.end(), std::back_inserter(out.happened));
}

void DeviceBrain::Frame(std::string_view payload, Now now, Out& out) {
  v1::ServerFrame frame;
  if (!frame.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    out.happened.push_back(ServerFault{"a frame that cannot be decoded"});
    return;
  }
  if (frame.seq() > 0) {
    switch (cursor_.Take(frame.seq(), frame.skipped(), now.mono_ms)) {
      case InboxCursor::Verdict::kNew:
        break;
      case InboxCursor::Verdict::kRepeat:
        if (frame.has_message()) {
          out.happened.push_back(
              RepeatCame{frame.seq(), frame.message().chat_id(), frame.message().msg_id()});
        }
        return;
      case InboxCursor::Verdict::kGap:
        out.happened.push_back(GapSeen{cursor_.held(), frame.seq()});
        return;
      case InboxCursor::Verdict::kNoSync:
        out.happened.push_back(ServerFault{"an inbox entry before the first sync"});
        return;
    }
  }
  Body(frame, now, out);
}

void DeviceBrain::Body(const v1::ServerFrame& frame, Now now, Out& out) {
  switch (frame.body_case()) {
    case v1::ServerFrame::kMessage:
      return OnMessage(frame.seq(), frame.message(), now, out);
    case v1::ServerFrame::kAccepted:
      return OnAccepted(frame.accepted(), now, out);
    case v1::ServerFrame::kRejected:
      return OnRejected(frame.rejected(), now, out);
    case v1::ServerFrame::kDelivered:
      for (const auto& mark : frame.delivered().marks()) {
        OnMark(frame.delivered().chat_id(), mark, out);
      }
      return;
    case v1::ServerFrame::kChatChange:
      OnChat(frame.chat_change().chat());
      if (Learn(Chat(frame.chat_change().chat().chat_id()), frame.chat_change().msg_id())) {
        out.happened.push_back(ChatChanged{frame.seq(), frame.chat_change()});
      }
      return;
    case v1::ServerFrame::kResponse:
      return OnResponse(frame.response(), now, out);
    case v1::ServerFrame::kSync:
      return OnSync(frame.sync(), now, out);
    case v1::ServerFrame::kNotice:
      out.replaced = frame.notice().kind() == v1::Notice::SESSION_REPLACED;
      out.happened.push_back(Noticed{frame.notice()});
      return;
    case v1::ServerFrame::BODY_NOT_SET:
      if (frame.seq() == 0) out.happened.push_back(ServerFault{"a frame without seq and body"});
      return;
  }
}

void DeviceBrain::OnSync(const v1::Sync& sync, Now now, Out& out) {
  const bool resync = cursor_.Sync(sync, now.mono_ms);
  out.happened.push_back(Synced{sync.epoch(), sync.start(), sync.head(), resync});
  if (resync) {
    v1::Request request;
    request.mutable_list_chats()->set_limit(limits::kListChatsMost);
    resync_requests_.insert(Ask(std::move(request), now));
  }
  if (was_synced_) AskMarks(/*overdue_only=*/false, now);
  was_synced_ = true;
}

void DeviceBrain::OnMessage(uint64_t seq, const v1::Message& message, Now now, Out& out) {
  ChatState& chat = Chat(message.chat_id());
  if (message.author() == uid_) Own(message.chat_id(), message.msg_id(), now);
  if (Learn(chat, message.msg_id())) {
    out.happened.push_back(MessageCame{seq, message});
  } else {
    out.happened.push_back(RepeatCame{seq, message.chat_id(), message.msg_id()});
  }
}

void DeviceBrain::OnAccepted(const v1::Accepted& accepted, Now now, Out& out) {
  auto entry = outbox_.Accepted(accepted);
  if (!entry) return;  // the answer to a repeat that crossed the first answer
  if (!accepted.chat_id().empty() && accepted.chat_id() != entry->chat_id) {
    out.happened.push_back(ServerFault{"accepted into another chat than it was sent to"});
  }
  Learn(Chat(entry->chat_id), accepted.msg_id());
  Own(entry->chat_id, accepted.msg_id(), now);
  out.happened.push_back(SendAccepted{accepted.client_msg_id(), accepted.msg_id(), entry->chat_id,
                                      entry->send.text(), entry->tries});
}

void DeviceBrain::OnRejected(const v1::Rejected& rejected, Now now, Out& out) {
  auto entry = outbox_.Rejected(rejected, now.mono_ms);
  if (!entry) return;
  out.happened.push_back(
      SendRefused{rejected.client_msg_id(), entry->chat_id, entry->send.text(), rejected.error()});
}

void DeviceBrain::OnResponse(const v1::Response& response, Now now, Out& out) {
  const auto asked = requests_.find(response.request_id());
  if (asked == requests_.end()) return;
  if (response.has_error() && (response.error().code() == v1::UNAVAILABLE ||
                               response.error().code() == v1::RESOURCE_EXHAUSTED)) {
    asked->second.due_ms = now.mono_ms + std::max<int64_t>(response.error().retry_after_ms(), 500);
    return;
  }
  const v1::Request request = std::move(asked->second.request);
  requests_.erase(asked);
  const bool resyncing = resync_requests_.erase(response.request_id()) > 0;

  if (response.has_chat()) OnChat(response.chat());
  if (response.has_chats()) {
    for (const auto& summary : response.chats().chats()) {
      OnChat(summary.chat());
      if (!resyncing) continue;
      v1::Request open;
      open.mutable_open_chat()->set_chat_id(summary.chat().chat_id());
      open.mutable_open_chat()->set_limit(limits::kOpenChatMost);
      resync_requests_.insert(Ask(std::move(open), now));
    }
    if (resyncing && response.chats().more() && response.chats().chats_size() > 0) {
      v1::Request next = request;
      const auto& last = response.chats().chats(response.chats().chats_size() - 1);
      next.mutable_list_chats()->set_before_msg_id(last.chat().last_msg_id());
      resync_requests_.insert(Ask(std::move(next), now));
    }
  }
  if (response.has_chat_view()) {
    const auto& view = response.chat_view();
    OnChat(view.chat());
    for (const auto& mark : view.delivered()) OnMark(view.chat().chat_id(), mark, out);
    if (resyncing) {
      for (const auto& message : view.messages()) OnMessage(0, message, now, out);
    }
  }
  for (const auto& chat : response.receipts().chats()) {
    for (const auto& mark : chat.delivered()) OnMark(chat.chat_id(), mark, out);
  }
  out.happened.push_back(Answered{response});
}

void DeviceBrain::OnChat(const v1::Chat& chat) {
  ChatState& state = Chat(chat.chat_id());
  if (static_cast<uint32_t>(chat.members_size()) != chat.member_count())
    return;  // not the whole list
  state.members.clear();
  state.members.insert(chat.members().begin(), chat.members().end());
}

void DeviceBrain::OnMark(const std::string& chat_id, const v1::DeliveredMark& mark, Out& out) {
  uint64_t& known = Chat(chat_id).marks[mark.uid()];
  if (mark.msg_id() <= known) return;
  known = mark.msg_id();
  out.happened.push_back(MarkMoved{chat_id, mark.uid(), mark.msg_id()});
}

void DeviceBrain::Own(const std::string& chat_id, uint64_t msg_id, Now now) {
  ChatState& chat = Chat(chat_id);
  if (msg_id <= chat.newest_own) return;
  if (!Misses(chat)) chat.own_since_ms = now.mono_ms;  // else the older one is waiting already
  chat.newest_own = msg_id;
  marks_check_ms_ = std::min(marks_check_ms_, now.mono_ms + kMarkMissingMs);
}

bool DeviceBrain::Misses(const ChatState& chat) const {
  if (chat.newest_own == 0 || chat.members.size() > limits::kReceiptMembers) return false;
  return std::any_of(chat.members.begin(), chat.members.end(), [&](const std::string& uid) {
    if (uid == uid_) return false;
    const auto mark = chat.marks.find(uid);
    return mark == chat.marks.end() || mark->second < chat.newest_own;
  });
}

void DeviceBrain::AskMarks(bool overdue_only, Now now) {
  marks_check_ms_ = INT64_MAX;
  v1::Request request;
  for (auto& [chat_id, chat] : chats_) {
    if (!Misses(chat)) continue;
    const int64_t due = chat.own_since_ms + kMarkMissingMs;
    if (overdue_only && due > now.mono_ms) {
      marks_check_ms_ = std::min(marks_check_ms_, due);
      continue;
    }
    chat.own_since_ms = now.mono_ms;
    marks_check_ms_ = std::min(marks_check_ms_, now.mono_ms + kMarkMissingMs);
    if (static_cast<size_t>(request.receipts().chat_ids_size()) == limits::kReceiptChats) {
      Ask(std::move(request), now);
      request = {};
    }
    request.mutable_receipts()->add_chat_ids(chat_id);
  }
  if (request.receipts().chat_ids_size() > 0) Ask(std::move(request), now);
}

DeviceBrain::ChatState& DeviceBrain::Chat(const std::string& chat_id) {
  const auto [it, fresh] = chats_.try_emplace(chat_id);
  if (fresh) {
    if (const auto name = ParseChatId(chat_id); name && name->direct) {
      it->second.members = {name->low, name->high};
    }
  }
  return it->second;
}

bool DeviceBrain::Learn(ChatState& chat, uint64_t msg_id) {
  if (!chat.known.insert(msg_id).second) return false;
  if (chat.known.size() > kKnownPerChat) chat.known.erase(chat.known.begin());
  return true;
}

uint64_t DeviceBrain::Mark(const std::string& chat_id, const std::string& uid) const {
  const auto chat = chats_.find(chat_id);
  if (chat == chats_.end()) return 0;
  const auto mark = chat->second.marks.find(uid);
  return mark == chat->second.marks.end() ? 0 : mark->second;
}

void DeviceBrain::Tick(Now now, Out& out) {
  out = {};
  if (!connected_ || !cursor_.synced()) return;
  if (now.mono_ms >= marks_check_ms_) AskMarks(/*overdue_only=*/true, now);
  for (auto& send : outbox_.TakeDue(now.mono_ms)) {
    if (cursor_.Ride(send)) out.happened.push_back(AckSent{send.ack()});
    out.publish.push_back({"chat/send", send.SerializeAsString()});
  }
  for (auto& [id, pending] : requests_) {
    if (pending.due_ms > now.mono_ms) continue;
    pending.due_ms = now.mono_ms + kRequestAgainMs;
    out.publish.push_back({"chat/req", pending.request.SerializeAsString()});
  }
  if (const auto ack = cursor_.AckDue(now.mono_ms)) {
    out.happened.push_back(AckSent{ack->seq()});
    out.publish.push_back({"chat/ack", ack->SerializeAsString()});
  }
}

int64_t DeviceBrain::NextDeadline() const {
  if (!connected_ || !cursor_.synced()) return INT64_MAX;
  int64_t next = std::min({cursor_.NextDeadline(), outbox_.NextDeadline(), marks_check_ms_});
  for (const auto& [id, pending] : requests_) next = std::min(next, pending.due_ms);
  return next;
}

}  // namespace nightjar::client
