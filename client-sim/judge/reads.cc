// What is read from history: by devices on their way, and as a whole at the end (G1, G2).
#include <fmt/format.h>

#include <algorithm>

#include "client-sim/judge/court.h"

namespace nightjar::client {

using namespace judge;  // NOLINT(google-build-using-namespace): the judge's own parts

void Oracle::Impl::OnAnswer(uint32_t device, const v1::Response& response) {
  if (response.has_chat()) LearnChat(ChatOf(response.chat().chat_id()), response.chat());
  if (response.has_receipts()) OnReceipts(device, response.receipts());
  if (response.has_history()) CheckRead(device, response.history().messages(), false);
  if (!response.has_chat_view()) return;
  const v1::ChatView& view = response.chat_view();
  const ChatNo chat = ChatOf(view.chat().chat_id());
  LearnChat(chat, view.chat());
  Fold(chat);
  CheckRead(device, view.messages(), devices_[device].session_resynced);
}

// Messages are accepted in the order of their ids: whoever is shown one and another has been shown
// what is in between, or history lost it.
void Oracle::Impl::CheckRead(uint32_t device_no,
                             const google::protobuf::RepeatedPtrField<v1::Message>& messages,
                             bool whole_end) {
  if (messages.empty()) return;
  const ChatNo chat_no = ChatOf(messages[0].chat_id());
  ChatBook& chat = *chats_[chat_no];
  const DeviceBook& device = devices_[device_no];
  uint64_t last = 0;
  size_t at = chat.LowerBound(messages[0].msg_id());
  const auto lacks = [&](const Entry& entry) {
    Subject subject = About(chat_no, entry);
    subject.about_device = device_no;
    Break("G1",
          fmt::format("{} read history, and {} is missing there", device.name,
                      Id(chat_no, entry.msg_id)),
          subject);
  };
  for (const v1::Message& message : messages) {
    const uint64_t id = message.msg_id();
    if (id <= last || ChatOf(message.chat_id()) != chat_no) {
      Break("G3",
            fmt::format("{} read history that does not ascend: {} after {}", device.name,
                        Id(chat_no, id), last),
            {chat_no, id, kNone, 0, device_no, kNone});
      return;
    }
    last = id;
    for (; at < chat.window.size() && chat.window[at].msg_id < id; ++at) {
      if (!chat.window[at].change && chat.window[at].accepted()) lacks(chat.window[at]);
    }
    if (at == chat.window.size() || chat.window[at].msg_id != id) continue;
    const Entry& entry = chat.window[at++];
    const bool same_text =
        message.truncated() || !entry.text_known || entry.text == HashText(message.text());
    if (!entry.change && same_text && users_[entry.author].uid == message.author()) continue;
    Break("G2",
          fmt::format("{} read {} in history otherwise than it was written", device.name,
                      Id(chat_no, id)),
          About(chat_no, entry));
  }
  if (!whole_end) return;
  for (; at < chat.window.size(); ++at) {
    const Entry& entry = chat.window[at];
    // What was asked on this connection was asked after that; another sync may have come since.
    if (!entry.change && entry.accepted_ms < device.session_ms) lacks(entry);
  }
}

// -- the whole history at the end
// ------------------------------------------------------------------

void Oracle::Impl::HistoryBegins(const std::string& chat_id) {
  if (blind_) return;
  ChatBook& chat = *chats_[ChatOf(chat_id)];
  chat.reading = std::make_unique<HistoryRead>(chat.chain);
  for (size_t i = 0; i < chat.window.size(); ++i) chat.window[i].in_history = false;
}

void Oracle::Impl::HistoryPage(const std::string& chat_id, const v1::History& page) {
  if (blind_) return;
  const ChatNo chat_no = ChatOf(chat_id);
  if (!chats_[chat_no]->reading) return;
  for (const v1::Message& message : page.messages()) ReadWhole(chat_no, message);
}

void Oracle::Impl::ReadWhole(ChatNo chat_no, const v1::Message& message) {
  ChatBook& chat = *chats_[chat_no];
  HistoryRead& read = *chat.reading;
  const uint64_t id = message.msg_id();
  const uint32_t author = UserNo(message.author());
  const uint64_t text = HashText(message.text());
  ++tally_.history_read;
  if (id <= read.last) {
    read.wrong.push_back(id == read.last ? fmt::format("has {} twice", id)
                                         : fmt::format("has {} after {}", id, read.last));
    return;
  }
  read.last = id;
  if (id <= chat.settled_upto) {
    OpenSend* send = chat.open.empty() ? nullptr : FindUnlinked(chat, author, text);
    if (send != nullptr && send->abandoned) {
      send->msg_id = id;
    } else {
      read.reader.Read(id, Mix(author, text), read.wrong);
    }
    return;
  }
  Entry* entry = chat.Find(id);
  if (entry != nullptr) {
    entry->in_history = true;
    const bool same_text = !entry->text_known || entry->text == text || message.truncated();
    if (entry->change || !same_text || entry->author != author) {
      read.wrong.push_back(fmt::format("has {} otherwise than it was written", id));
    }
    return;
  }
  if (users_[author].devices.empty()) return;  // written by somebody who is not judged
  OpenSend* send = FindUnlinked(chat, author, text);
  if (send != nullptr) {
    send->msg_id = id;  // without an answer, and there once
    return;
  }
  const Event* refused = past_.FindLast(Event::Kind::kRefused, [&](const Event& e) {
    return e.chat == chat_no && e.a == text && devices_[e.device].user == author;
  });
  read.wrong.push_back(
      refused != nullptr
          ? fmt::format("has {} by {}, which was refused for good", id, message.author())
          : fmt::format("has {} by {}, which nobody was told was accepted", id, message.author()));
}

void Oracle::Impl::HistoryEnds(const std::string& chat_id, Now now) {
  if (blind_) return;
  now_ = now;
  const ChatNo chat_no = ChatOf(chat_id);
  ChatBook& chat = *chats_[chat_no];
  if (!chat.reading) return;
  HistoryRead& read = *chat.reading;
  read.reader.End(read.wrong);
  for (size_t i = 0; i < chat.window.size(); ++i) {
    const Entry& entry = chat.window[i];
    if (entry.change || entry.in_history) continue;
    Break("G1", fmt::format("the history of {} lacks {}", chat_id, entry.msg_id),
          About(chat_no, entry));
  }
  for (const std::string& wrong : read.wrong) {
    const bool lacks = wrong.starts_with("lacks");
    Break(lacks ? "G1" : "G2", fmt::format("the history of {} {}", chat_id, wrong), {});
  }
  chat.reading.reset();
  Fold(chat_no);
}

}  // namespace nightjar::client
