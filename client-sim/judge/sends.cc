// What was written, and what became of it (G2): each send is in its chat once if it was accepted,
// nowhere if it was refused for good, at most once without an answer.
#include <fmt/format.h>

#include <algorithm>

#include "client-sim/judge/court.h"

namespace nightjar::client {

using namespace judge;  // NOLINT(google-build-using-namespace): the judge's own parts

namespace {

constexpr size_t kRefusedKept = 64;  // a chat

}  // namespace

OpenSend* Oracle::Impl::FindOpen(ChatBook& chat, uint32_t device, uint64_t client_msg_id) {
  for (OpenSend& send : chat.open) {
    if (send.client_msg_id == client_msg_id && send.device == device) return &send;
  }
  return nullptr;
}

OpenSend* Oracle::Impl::FindUnlinked(ChatBook& chat, uint32_t author, uint64_t text) {
  for (OpenSend& send : chat.open) {
    if (send.msg_id == 0 && send.text == text && devices_[send.device].user == author) {
      return &send;
    }
  }
  return nullptr;
}

void Oracle::Impl::RemoveOpen(ChatBook& chat, OpenSend* send) {
  chat.open.erase(chat.open.begin() + (send - chat.open.data()));
  --sends_;
}

void Oracle::Impl::OnWrote(uint32_t device, const Wrote& wrote) {
  const ChatNo chat_no = ChatOf(wrote.chat_id);
  ChatBook& chat = *chats_[chat_no];
  SlotOf(chat_no, device);
  OpenSend send;
  send.client_msg_id = wrote.client_msg_id;
  send.text = HashText(wrote.text);
  send.written_ms = now_.mono_ms;
  send.changes_upto = chat.changes.empty() ? 0 : chat.changes.back();
  send.device = device;
  Note(Event::Kind::kWrote, device, chat_no, send.text, send.client_msg_id);
  chat.open.push_back(send);
  ++sends_;
  ++tally_.written;
  ++devices_[device].may_skip;
}

void Oracle::Impl::OnAccepted(uint32_t device, const SendAccepted& accepted) {
  const ChatNo chat_no = ChatOf(accepted.chat_id);
  ChatBook& chat = *chats_[chat_no];
  const uint64_t id = accepted.msg_id;
  OpenSend* send = FindOpen(chat, device, accepted.client_msg_id);
  Subject subject{chat_no, id, device, accepted.client_msg_id, kNone, kNone};
  if (send == nullptr) {
    const auto same = [&](const Event& e) {
      return e.device == device && e.b == accepted.client_msg_id;
    };
    const Event* before = past_.FindLast(Event::Kind::kAccepted, same);
    const bool refused = past_.FindLast(Event::Kind::kRefused, same) != nullptr;
    const uint64_t first = before == nullptr ? 0 : before->a;
    Note(Event::Kind::kAccepted, device, chat_no, id, accepted.client_msg_id);
    if (first == id) return;  // said twice
    const std::string who = devices_[device].name;
    Break("G2",
          first != 0 ? fmt::format("{} sent one message, and it was accepted twice: {} and {}", who,
                                   Id(chat_no, first), id)
          : refused
              ? fmt::format("{} was refused for good and then accepted as {}", who, Id(chat_no, id))
              : fmt::format("{} was told that {} is accepted, and never wrote it", who,
                            Id(chat_no, id)),
          subject);
    return;
  }
  Note(Event::Kind::kAccepted, device, chat_no, id, accepted.client_msg_id,
       static_cast<uint16_t>(std::clamp(accepted.tries, 0, 65535)));
  ++tally_.accepted;
  const OpenSend sent = *send;
  const uint32_t author = devices_[device].user;
  if (id <= chat.settled_upto) {
    Break("G3",
          fmt::format("{} was accepted as {}, below {} which everybody has already",
                      devices_[device].name, Id(chat_no, id), chat.settled_upto),
          subject);
    RemoveOpen(chat, send);
    return Fold(chat_no);
  }
  if (sent.msg_id != 0 && sent.msg_id != id) {
    // It was taken for another message that reads the same. Is there somebody else who wrote that?
    Entry* other = chat.Find(sent.msg_id);
    OpenSend* instead = nullptr;
    if (other != nullptr && other->device == kNone) {
      for (OpenSend& candidate : chat.open) {
        const bool free = candidate.msg_id == 0 || candidate.msg_id == id;
        const bool fits = candidate.text == sent.text && devices_[candidate.device].user == author;
        if (&candidate != send && free && fits) instead = &candidate;
      }
    }
    if (instead != nullptr) {
      instead->msg_id = sent.msg_id;
    } else {
      Break("G2",
            fmt::format("{} wrote one message, and it is in the chat twice: {} and {}",
                        devices_[device].name, Id(chat_no, sent.msg_id), id),
            subject);
    }
  } else {
    for (OpenSend& other : chat.open) {
      if (&other != send && other.msg_id == id) other.msg_id = 0;  // taken for this, wrongly
    }
  }
  Entry& entry = EnsureEntry(chat_no, id, author, /*change=*/false);
  if (entry.accepted()) {
    Break("G2",
          fmt::format("{} is the id of two messages, from {} and from {}", Id(chat_no, id),
                      devices_[entry.device].name, devices_[device].name),
          subject);
  } else if (entry.author != author || (entry.text_known && entry.text != sent.text)) {
    Break("G2",
          fmt::format("{} did not come as {} wrote it", Id(chat_no, id), devices_[device].name),
          subject);
  }
  entry.author = author;
  entry.device = device;
  entry.client_msg_id = sent.client_msg_id;
  entry.text = sent.text;
  entry.text_known = entry.linked = true;
  entry.written_ms = sent.written_ms;
  entry.accepted_ms = now_.mono_ms;
  RemoveOpen(chat, FindOpen(chat, device, sent.client_msg_id));
  Recount(chat, entry);
  Slot& slot = chat.slots[SlotOf(chat_no, device)];
  slot.newest_own = std::max(slot.newest_own, id);
  MarksChanged(chat_no);
  Fold(chat_no);
}

void Oracle::Impl::OnRefused(uint32_t device, const SendRefused& refused) {
  const ChatNo chat_no = ChatOf(refused.chat_id);
  ChatBook& chat = *chats_[chat_no];
  Note(Event::Kind::kRefused, device, chat_no, HashText(refused.text), refused.client_msg_id,
       static_cast<uint16_t>(refused.error.code()));
  OpenSend* send = FindOpen(chat, device, refused.client_msg_id);
  Subject subject{chat_no, 0, device, refused.client_msg_id, kNone, kNone};
  if (send == nullptr) {
    const Event* before = past_.FindLast(Event::Kind::kAccepted, [&](const Event& e) {
      return e.device == device && e.b == refused.client_msg_id;
    });
    if (before == nullptr) return;
    subject.msg_id = before->a;
    Break("G2",
          fmt::format("{} was refused for good after it was accepted as {}", devices_[device].name,
                      Id(chat_no, before->a)),
          subject);
    return;
  }
  ++tally_.refused;
  // Below the window nothing is said about earlier tries: it may be there, once.
  if (refused.error.code() == v1::FAILED_PRECONDITION) {
    send->abandoned = true;
    return Fold(chat_no);
  }
  const OpenSend sent = *send;
  RemoveOpen(chat, send);
  if (refused.error.code() == v1::PERMISSION_DENIED) {
    chat.refused.push_back({sent.text, sent.changes_upto, devices_[device].user});
    if (chat.refused.size() > kRefusedKept) chat.refused.pop_front();
  }
  if (sent.msg_id != 0) {
    OpenSend* instead = FindUnlinked(chat, devices_[device].user, sent.text);
    // It was sent more than once, and refused to somebody who was out, and taken from who was back:
    // the one answer was on its way when the other was given.
    const bool came_back =
        refused.error.code() == v1::PERMISSION_DENIED &&
        chat.users[ChatUserOf(chat_no, devices_[device].user)].member.CameBackBefore(sent.msg_id);
    if (instead != nullptr) {
      instead->msg_id = sent.msg_id;
    } else if (!came_back) {
      subject.msg_id = sent.msg_id;
      Break("G2",
            fmt::format("{} was refused for good, and is in the chat as {}", devices_[device].name,
                        Id(chat_no, sent.msg_id)),
            subject);
    }
  }
  Fold(chat_no);
}

void Oracle::Impl::LinkSeen(ChatNo chat_no, Entry& entry, uint32_t device, uint64_t client_msg_id) {
  ChatBook& chat = *chats_[chat_no];
  if (device == kNone || client_msg_id == 0) {
    if (entry.linked || !entry.text_known) return;
    OpenSend* send = FindUnlinked(chat, entry.author, entry.text);
    if (send == nullptr) return BlameUnwritten(chat_no, entry);
    send->msg_id = entry.msg_id;
    entry.linked = true;
    return;
  }
  if (entry.device != kNone) return;  // known already
  OpenSend* send = FindOpen(chat, device, client_msg_id);
  if (send == nullptr) {
    if (!entry.linked) BlameUnwritten(chat_no, entry);
    return;
  }
  if (send->msg_id != 0 && send->msg_id != entry.msg_id) {
    Entry* other = chat.Find(send->msg_id);
    OpenSend* instead = nullptr;
    if (other != nullptr && other->device == kNone) {
      for (OpenSend& candidate : chat.open) {
        const bool free = candidate.msg_id == 0 || candidate.msg_id == entry.msg_id;
        if (&candidate != send && free && candidate.text == send->text &&
            devices_[candidate.device].user == entry.author) {
          instead = &candidate;
        }
      }
    }
    if (instead == nullptr) {
      Break("G2",
            fmt::format("{} wrote one message, and it is in the chat twice: {} and {}",
                        devices_[device].name, Id(chat_no, send->msg_id), entry.msg_id),
            {chat_no, entry.msg_id, device, client_msg_id, kNone, kNone});
      entry.linked = true;
      return;
    }
    instead->msg_id = send->msg_id;
  }
  for (OpenSend& other : chat.open) {
    if (&other != send && other.msg_id == entry.msg_id) other.msg_id = 0;
  }
  if (entry.text_known && entry.text != send->text) {
    Break("G2",
          fmt::format("{} did not come as {} wrote it", Id(chat_no, entry.msg_id),
                      devices_[device].name),
          {chat_no, entry.msg_id, device, client_msg_id, kNone, kNone});
  }
  send->msg_id = entry.msg_id;
  entry.linked = true;
  entry.device = device;
  entry.client_msg_id = client_msg_id;
  entry.written_ms = send->written_ms;
  Recount(chat, entry);
}

// A device left a connection with a send on it, sent it again over another broker, and was refused,
// being no member; it was let in again, and only then the first broker came to read the first one.
// Nothing that was stored has been refused, and it is in the chat once.
bool Oracle::Impl::TakenAtItsWord(ChatNo chat_no, const Entry& entry) {
  ChatBook& chat = *chats_[chat_no];
  const Membership& member = chat.users[ChatUserOf(chat_no, entry.author)].member;
  for (size_t i = 0; i < chat.refused.size(); ++i) {
    const RefusedSend& refused = chat.refused[i];
    if (refused.author == entry.author && refused.text == entry.text &&
        member.LetInBetween(refused.changes_upto, entry.msg_id)) {
      return true;
    }
  }
  return false;
}

void Oracle::Impl::BlameUnwritten(ChatNo chat_no, Entry& entry) {
  entry.linked = true;  // said once
  if (TakenAtItsWord(chat_no, entry)) return;
  const ChatBook& chat = *chats_[chat_no];
  Subject subject = About(chat_no, entry);
  const Event* refused = past_.FindLast(Event::Kind::kRefused, [&](const Event& e) {
    return e.chat == chat_no && e.a == entry.text && devices_[e.device].user == entry.author;
  });
  const Event* wrote = past_.FindLast(Event::Kind::kWrote, [&](const Event& e) {
    return e.chat == chat_no && e.a == entry.text && devices_[e.device].user == entry.author;
  });
  const Event* origin = refused != nullptr ? refused : wrote;
  if (origin != nullptr) {
    subject.device = origin->device;
    subject.client_msg_id = origin->b;
  }
  uint64_t first = 0;
  for (size_t i = 0; i < chat.window.size(); ++i) {
    const Entry& other = chat.window[i];
    if (other.msg_id != entry.msg_id && other.author == entry.author && other.text == entry.text) {
      first = other.msg_id;
    }
  }
  const std::string id = Id(chat_no, entry.msg_id);
  const std::string& who = users_[entry.author].uid;
  std::string what;
  if (refused != nullptr) {
    what = fmt::format("{} was shown, and {} was told that it is refused for good", id, who);
  } else if (wrote != nullptr || first != 0) {
    what = fmt::format("{} was shown, a message of {} that is in the chat already{}", id, who,
                       first != 0 ? fmt::format(" as {}", first) : "");
  } else {
    what = fmt::format("{} was shown as by {}, who never wrote it (the text)", id, who);
  }
  Break("G2", std::move(what), subject);
}

}  // namespace nightjar::client
