#include "client-sim/brain/device_brain.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {
namespace {

std::string Encode(const google::protobuf::Message& message, Encoding encoding) {
  if (encoding == Encoding::kProtobuf) return message.SerializeAsString();
  std::string json;
  // Fails only for messages that JSON cannot name, which ours can.
  (void)google::protobuf::util::MessageToJsonString(message, &json).ok();
  return json;
}

bool Decode(std::string_view payload, Encoding encoding, google::protobuf::Message& message) {
  if (encoding == Encoding::kProtobuf) {
    return message.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
  }
  google::protobuf::util::JsonParseOptions lenient;
  lenient.ignore_unknown_fields = true;
  return google::protobuf::util::JsonStringToMessage({payload.data(), payload.size()}, &message,
                                                     lenient)
      .ok();
}

constexpr std::string_view kPresenceTopic = "presence/";
constexpr std::string_view kJsonPrefix = "json/";

}  // namespace

DeviceBrain::DeviceBrain(std::string uid, std::string device, BrainOptions options)
    : uid_(std::move(uid)), device_(std::move(device)), options_(options), outbox_(uid_) {}

uint64_t DeviceBrain::Write(v1::Send send, const std::string& chat_id, std::string text, Now now) {
  send.set_text(text);
  const uint64_t id = outbox_.Write(std::move(send), now.unix_ms);
  if (id != 0) wrote_.push_back({id, chat_id, std::move(text)});
  return id;
}

uint64_t DeviceBrain::SendToChat(const std::string& chat_id, std::string text, Now now) {
  v1::Send send;
  send.set_chat_id(chat_id);
  return Write(std::move(send), chat_id, std::move(text), now);
}

uint64_t DeviceBrain::SendToUser(const std::string& uid, std::string text, Now now) {
  v1::Send send;
  send.set_to(uid);
  return Write(std::move(send), DirectChatId(uid_, uid), std::move(text), now);
}

std::string DeviceBrain::Ask(v1::Request request, Now now) {
  return Ask(std::move(request), /*resync=*/false, now);
}

std::string DeviceBrain::Ask(v1::Request request, bool resync, Now now) {
  // Unique per device also over restarts of the program: time, and never the same twice.
  last_request_ = std::max(last_request_ + 1, static_cast<uint64_t>(now.unix_ms));
  std::string id = "q" + std::to_string(last_request_);
  request.set_request_id(id);
  requests_[id] = Pending{std::move(request), 0, resync};
  return id;
}

void DeviceBrain::Watch(const std::string& uid) {
  if (std::find(watched_.begin(), watched_.end(), uid) == watched_.end()) watched_.push_back(uid);
}

void DeviceBrain::SubscribeWatched(Out& out) {
  const std::string prefix(options_.encoding == Encoding::kJson ? kJsonPrefix : "");
  for (; subscribed_ < watched_.size(); ++subscribed_) {
    out.subscribe.push_back(prefix + std::string(kPresenceTopic) + watched_[subscribed_]);
  }
}

void DeviceBrain::Connected(Now, Out& out) {
  out.Clear();
  connected_ = true;
  const std::string prefix(options_.encoding == Encoding::kJson ? kJsonPrefix : "");
  subscribed_ = 0;
  SubscribeWatched(out);
  const bool brief = options_.short_topics && prefix.empty();
  out.subscribe.push_back(brief ? "i" : prefix + "inbox/" + uid_);
  // Nothing is sent before sync: a device is one only after it has its inbox.
  for (auto& [id, pending] : requests_) pending.due_ms = 0;
}

void DeviceBrain::Disconnected(std::string reason, Now, Out& out) {
  out.Clear();
  connected_ = false;
  cursor_.Disconnected();
  outbox_.Disconnected();
  out.happened.push_back(WentDown{std::move(reason)});
}

void DeviceBrain::Arrived(std::string_view topic, std::string_view payload, Now now, Out& out) {
  out.Clear();
  if (topic.starts_with(kJsonPrefix)) topic.remove_prefix(kJsonPrefix.size());
  if (topic.starts_with(kPresenceTopic)) {
    v1::Presence presence;
    if (!Decode(payload, options_.encoding, presence)) {
      out.happened.push_back(ServerFault{"a presence frame that cannot be decoded"});
      return;
    }
    out.happened.push_back(PresenceSeen{std::move(presence)});
    return;
  }
  Frame(payload, now, out);
  TickInto(now, out);
}

void DeviceBrain::Frame(std::string_view payload, Now now, Out& out) {
  v1::ServerFrame frame;
  if (!Decode(payload, options_.encoding, frame)) {
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

void DeviceBrain::Body(v1::ServerFrame& frame, Now now, Out& out) {
  switch (frame.body_case()) {
    case v1::ServerFrame::kMessage:
      return OnMessage(frame.seq(), std::move(*frame.mutable_message()), now, out);
    case v1::ServerFrame::kAccepted:
      return OnAccepted(frame.accepted(), now, out);
    case v1::ServerFrame::kRejected:
      return OnRejected(frame.rejected(), now, out);
    case v1::ServerFrame::kDelivered:
      for (const auto& mark : frame.delivered().marks()) {
        OnMark(frame.delivered().chat_id(), mark, out);
      }
      return;
    case v1::ServerFrame::kChatChange: {
      ChatNotes& chat = Chat(frame.chat_change().chat().chat_id());
      chat.SetMembers(frame.chat_change().chat());
      if (chat.Learn(frame.chat_change().msg_id())) {
        out.happened.push_back(ChatChanged{frame.seq(), std::move(*frame.mutable_chat_change())});
      }
      return;
    }
    case v1::ServerFrame::kResponse:
      return OnResponse(std::move(*frame.mutable_response()), now, out);
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
  const bool first = !cursor_.synced();
  const bool resync = cursor_.Sync(sync, now.mono_ms);
  head_ = sync.head();
  out.happened.push_back(Synced{sync.epoch(), sync.start(), sync.head(), resync});
  if (first && options_.max_frame > 0) {
    v1::Ack announcement;
    announcement.set_seq(cursor_.held());
    announcement.set_epoch(cursor_.epoch());
    announcement.set_max_frame(options_.max_frame);
    out.publish.push_back(
        {options_.short_topics ? "a" : "chat/ack", Encode(announcement, options_.encoding)});
  }
  if (resync) BeginResync(now);
  if (was_synced_) AskMarks(/*overdue_only=*/false, now);
  was_synced_ = true;
}

bool DeviceBrain::Answered(const v1::Message& message) const {
  return message.author() == uid_ && message.device() == device_ &&
         outbox_.Settled(message.client_msg_id()) &&
         std::find(refused_.begin(), refused_.end(), message.client_msg_id()) == refused_.end();
}

void DeviceBrain::OnMessage(uint64_t seq, v1::Message&& message, Now now, Out& out) {
  ChatNotes& chat = Chat(message.chat_id());
  if (message.author() == uid_) Own(chat, message.msg_id(), seq <= head_, now);
  const bool fresh =
      seq > 0 ? chat.Learn(message.msg_id()) : chat.LearnFromHistory(message.msg_id());
  if (fresh && !Answered(message)) {
    out.happened.push_back(MessageCame{seq, std::move(message)});
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
  Own(Chat(entry->chat_id), accepted.msg_id(), entry->tries > 1, now);
  out.happened.push_back(SendAccepted{accepted.client_msg_id(), accepted.msg_id(),
                                      std::move(entry->chat_id),
                                      std::move(*entry->send.mutable_text()), entry->tries});
}

void DeviceBrain::OnRejected(const v1::Rejected& rejected, Now now, Out& out) {
  const size_t before = outbox_.size();
  auto entry = outbox_.Rejected(rejected, now.mono_ms);
  if (!entry) {
    if (before > 0) {
      out.happened.push_back(PutOff{rejected.client_msg_id(), rejected.error().code()});
    }
    return;
  }
  if (refused_.size() >= kMostRefused) refused_.erase(refused_.begin());
  refused_.push_back(rejected.client_msg_id());
  out.happened.push_back(SendRefused{rejected.client_msg_id(), std::move(entry->chat_id),
                                     std::move(*entry->send.mutable_text()), rejected.error()});
}

void DeviceBrain::OnResponse(v1::Response&& response, Now now, Out& out) {
  const auto asked = requests_.find(response.request_id());
  if (asked == requests_.end()) return;
  if (response.has_error() && (response.error().code() == v1::UNAVAILABLE ||
                               response.error().code() == v1::RESOURCE_EXHAUSTED)) {
    asked->second.due_ms = now.mono_ms + std::max<int64_t>(response.error().retry_after_ms(), 500);
    return;
  }
  const Pending pending = std::move(asked->second);
  requests_.erase(asked);

  if (response.has_chat()) Chat(response.chat().chat_id()).SetMembers(response.chat());
  for (const auto& summary : response.chats().chats()) {
    Chat(summary.chat().chat_id()).SetMembers(summary.chat());
  }
  if (response.has_chat_view()) {
    const auto& view = response.chat_view();
    Chat(view.chat().chat_id()).SetMembers(view.chat());
    for (const auto& mark : view.delivered()) OnMark(view.chat().chat_id(), mark, out);
  }
  for (const auto& chat : response.receipts().chats()) {
    for (const auto& mark : chat.delivered()) OnMark(chat.chat_id(), mark, out);
  }
  if (response.has_error() && AskedInHalves(response, pending.request, now)) return;
  if (pending.resync) Rebuilt(pending.request, response, now, out);
  out.happened.push_back(client::Answered{std::move(response)});
}

bool DeviceBrain::AskedInHalves(const v1::Response& response, const v1::Request& request, Now now) {
  const auto& chats = request.receipts().chat_ids();
  if (response.error().code() != v1::INVALID_ARGUMENT || chats.size() < 2) return false;
  const auto middle = chats.begin() + chats.size() / 2;
  for (const auto& [from, to] :
       {std::pair(chats.begin(), middle), std::pair(middle, chats.end())}) {
    v1::Request half;
    half.mutable_receipts()->mutable_chat_ids()->Assign(from, to);
    Ask(std::move(half), now);
  }
  return true;
}

void DeviceBrain::OnMark(const std::string& chat_id, const v1::DeliveredMark& mark, Out& out) {
  if (!Chat(chat_id).Mark(mark.uid(), mark.msg_id())) return;
  out.happened.push_back(MarkMoved{chat_id, mark.uid(), mark.msg_id()});
}

void DeviceBrain::Own(ChatNotes& chat, uint64_t msg_id, bool late, Now now) {
  const int64_t since_ms = late ? now.mono_ms + kMarkPassedMs - kMarkMissingMs : now.mono_ms;
  if (!chat.Own(msg_id, since_ms, uid_)) return;
  marks_check_ms_ = std::min(marks_check_ms_, since_ms + kMarkMissingMs);
}

void DeviceBrain::AskMarks(bool overdue_only, Now now) {
  marks_check_ms_ = INT64_MAX;
  v1::Request request;
  for (auto& [chat_id, chat] : chats_) {
    if (!chat.Misses(uid_)) continue;
    const int64_t due = chat.own_since_ms() + kMarkMissingMs;
    if (overdue_only && due > now.mono_ms) {
      marks_check_ms_ = std::min(marks_check_ms_, due);
      continue;
    }
    chat.AskedForMarks(now.mono_ms);
    marks_check_ms_ = std::min(marks_check_ms_, now.mono_ms + kMarkMissingMs);
    if (static_cast<size_t>(request.receipts().chat_ids_size()) == limits::kReceiptChats) {
      Ask(std::move(request), now);
      request = {};
    }
    request.mutable_receipts()->add_chat_ids(chat_id);
  }
  if (request.receipts().chat_ids_size() > 0) Ask(std::move(request), now);
}

ChatNotes& DeviceBrain::Chat(const std::string& chat_id) {
  const auto at = chats_.lower_bound(chat_id);
  if (at != chats_.end() && at->first == chat_id) return at->second;
  ChatNotes& chat = chats_.emplace_hint(at, chat_id, ChatNotes(chat_id))->second;
  // A chat that the list has not told of yet may have more than what the inbox begins with.
  if (Listing()) chat.Rebuild();
  return chat;
}

uint64_t DeviceBrain::Mark(const std::string& chat_id, const std::string& uid) const {
  const auto chat = chats_.find(chat_id);
  return chat == chats_.end() ? 0 : chat->second.MarkOf(uid);
}

void DeviceBrain::Tick(Now now, Out& out) {
  out.Clear();
  TickInto(now, out);
}

void DeviceBrain::TickInto(Now now, Out& out) {
  if (!wrote_.empty()) {
    std::move(wrote_.begin(), wrote_.end(), std::back_inserter(out.happened));
    std::vector<Wrote>().swap(wrote_);
  }
  if (!connected_ || !cursor_.synced()) return;
  SubscribeWatched(out);
  if (now.mono_ms >= marks_check_ms_) AskMarks(/*overdue_only=*/true, now);
  const bool brief = options_.short_topics;
  for (auto& send : outbox_.TakeDue(now.mono_ms)) {
    if (cursor_.Ride(send)) out.happened.push_back(AckSent{send.ack()});
    out.publish.push_back({brief ? "s" : "chat/send", Encode(send, options_.encoding)});
  }
  for (auto& [id, pending] : requests_) {
    if (pending.due_ms > now.mono_ms) continue;
    pending.due_ms = now.mono_ms + kRequestAgainMs;
    out.publish.push_back({brief ? "r" : "chat/req", Encode(pending.request, options_.encoding)});
  }
  if (const auto ack = cursor_.AckDue(now.mono_ms)) {
    out.happened.push_back(AckSent{ack->seq()});
    out.publish.push_back({brief ? "a" : "chat/ack", Encode(*ack, options_.encoding)});
  }
}

int64_t DeviceBrain::NextDeadline() const {
  if (!wrote_.empty()) return 0;
  if (!connected_ || !cursor_.synced()) return INT64_MAX;
  if (subscribed_ < watched_.size()) return 0;
  int64_t next = std::min({cursor_.NextDeadline(), outbox_.NextDeadline(), marks_check_ms_});
  for (const auto& [id, pending] : requests_) next = std::min(next, pending.due_ms);
  return next;
}

}  // namespace nightjar::client
