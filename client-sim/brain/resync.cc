// What a device does after `resync`: it lists its chats, opens each, and reads each back to where
// it knows everything.
#include <algorithm>
#include <utility>

#include "client-sim/brain/device_brain.h"
#include "common/wire/limits.h"

namespace nightjar::client {

void DeviceBrain::BeginResync(Now now) {
  std::erase_if(requests_, [](const auto& entry) { return entry.second.resync; });
  to_open_.clear();
  for (auto& [chat_id, chat] : chats_) chat.Rebuild();
  v1::Request request;
  request.mutable_list_chats()->set_limit(limits::kListChatsMost);
  Ask(std::move(request), /*resync=*/true, now);
}

bool DeviceBrain::Listing() const {
  return std::any_of(requests_.begin(), requests_.end(), [](const auto& entry) {
    return entry.second.resync && entry.second.request.has_list_chats();
  });
}

void DeviceBrain::OpenMore(Now now) {
  auto busy = static_cast<size_t>(std::count_if(
      requests_.begin(), requests_.end(), [](const auto& entry) { return entry.second.resync; }));
  for (; busy < kOpenAtOnce && !to_open_.empty(); ++busy) {
    v1::Request open;
    open.mutable_open_chat()->set_chat_id(std::move(to_open_.back()));
    open.mutable_open_chat()->set_limit(limits::kOpenChatMost);
    to_open_.pop_back();
    Ask(std::move(open), /*resync=*/true, now);
  }
}

void DeviceBrain::Rebuilt(const v1::Request& request, v1::Response& response, Now now, Out& out) {
  if (response.has_chats()) {
    const auto& list = response.chats();
    for (const auto& summary : list.chats()) {
      Chat(summary.chat().chat_id()).Rebuild();
      to_open_.push_back(summary.chat().chat_id());
    }
    if (list.more() && list.chats_size() > 0) {
      v1::Request next = request;
      next.mutable_list_chats()->set_before_msg_id(
          list.chats(list.chats_size() - 1).chat().last_msg_id());
      Ask(std::move(next), /*resync=*/true, now);
    }
  }
  const bool opened = response.has_chat_view();
  if (opened || response.has_history()) {
    const std::string chat_id =
        opened ? request.open_chat().chat_id() : request.history().chat_id();
    const auto& messages = opened ? response.chat_view().messages() : response.history().messages();
    const bool more = opened ? response.chat_view().more() : response.history().more();
    ChatNotes& chat = Chat(chat_id);
    const uint64_t floor = chat.floor();
    for (const auto& message : messages) OnMessage(0, v1::Message(message), now, out);
    if (opened) chat.HistoryRead(messages.empty() ? 0 : messages.rbegin()->msg_id());
    // A device that knew nothing of the chat is content with its end.
    if (more && floor > 0 && !messages.empty() && messages.begin()->msg_id() > floor) {
      ReadBack(chat_id, messages.begin()->msg_id(), now);
    }
  }
  OpenMore(now);
}

void DeviceBrain::ReadBack(const std::string& chat_id, uint64_t before, Now now) {
  v1::Request request;
  request.mutable_history()->set_chat_id(chat_id);
  request.mutable_history()->set_before_msg_id(before);
  request.mutable_history()->set_limit(limits::kHistoryMost);
  Ask(std::move(request), /*resync=*/true, now);
}

}  // namespace nightjar::client
