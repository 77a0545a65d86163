// What comes to devices and in which order (G1, G3, G4, G10), and what they acknowledge.
#include <fmt/format.h>

#include <algorithm>

#include "client-sim/judge/court.h"
#include "common/wire/limits.h"

namespace nightjar::client {

using namespace judge;  // NOLINT(google-build-using-namespace): the judge's own parts

namespace {

// While a device rebuilds after a resync it may know entries from history that come by inbox, and
// say nothing of them.
constexpr int64_t kRebuildMs = 60'000;
constexpr int64_t kNoTime = INT64_MIN / 2;

uint64_t HashChange(const v1::ChatChange& change) {
  uint64_t hash = HashText(change.by());
  hash = Mix(hash, static_cast<uint64_t>(change.kind()));
  for (const auto& uid : change.added()) hash = Mix(hash, HashText(uid));
  for (const auto& uid : change.removed()) hash = Mix(hash, ~HashText(uid));
  return hash;
}

}  // namespace

// -- where a device stands
// -------------------------------------------------------------------------

bool Oracle::Impl::Behind(const DeviceBook& device) const {
  const UserBook& user = users_[device.user];
  if (device.gone || device.epoch == 0) return false;
  return device.epoch < user.epoch || device.acked < user.max_seq;
}

void Oracle::Impl::CheckStart(uint32_t device_no, const Synced& synced) {
  const DeviceBook& device = devices_[device_no];
  const UserBook& user = users_[device.user];
  const bool trimmed = synced.head - std::min(synced.start, synced.head) >= options_.inbox_keeps;
  Subject subject;
  subject.about_device = device_no;
  std::string wrong;
  if (synced.start > synced.head) {
    wrong = fmt::format("starts after {}, and the head is {}", synced.start, synced.head);
  } else if (device.epoch == 0) {
    const bool known_before = user.epoch == 0 || synced.epoch != user.epoch;
    const uint64_t acked = std::max(user.max_acked, user.acked_before);
    if (synced.resync && !known_before && !trimmed && synced.start > acked) {
      wrong = fmt::format("is new and starts after {}, though the user acknowledged only {}",
                          synced.start, acked);
    }
  } else if (synced.epoch < device.epoch) {
    wrong = fmt::format("was in epoch {} and is told epoch {}", device.epoch, synced.epoch);
  } else if (synced.epoch > device.epoch) {
    if (!synced.resync) wrong = fmt::format("is told epoch {} without resync", synced.epoch);
  } else if (synced.start > device.most_acked) {
    const bool forgotten = user.devices.size() > limits::kDevices;
    if (!synced.resync) {
      wrong =
          fmt::format("starts after {}, and acknowledged only {}", synced.start, device.most_acked);
    } else if (!trimmed && !forgotten) {
      wrong = fmt::format("is resynced from {} to {} of {} without need", device.most_acked,
                          synced.start, synced.head);
    }
  }
  if (!wrong.empty()) Break("G4", device.name + " " + wrong, subject);
}

void Oracle::Impl::OnSynced(uint32_t device_no, const Synced& synced) {
  DeviceBook& device = devices_[device_no];
  UserBook& user = users_[device.user];
  Note(Event::Kind::kSynced, device_no, kNone, synced.start, synced.head, synced.resync ? 1 : 0);
  CheckStart(device_no, synced);
  const bool first = device.epoch == 0;
  const bool other_epoch = !first && device.epoch != synced.epoch;
  if (synced.epoch > user.epoch) {
    if (synced.epoch > epoch_) {
      if (epoch_ != 0) epoch_ms_ = now_.mono_ms;
      epoch_ = synced.epoch;
    }
    user.epoch_ms = user.epoch != 0 ? now_.mono_ms : epoch_ms_;
    user.epoch = synced.epoch;
    user.acked_before = std::max(user.acked_before, user.max_acked);
    user.max_seq = user.max_acked = user.blind_upto = 0;
  }
  if (first || other_epoch) {
    device.epoch = synced.epoch;
    device.first_head = first ? synced.head : 0;
    device.most_held = device.most_acked = 0;
    device.unacked.clear();
  }
  const uint64_t acked_before = device.most_acked;
  const bool passed_over = synced.resync && synced.start > acked_before;
  while (!device.unacked.empty() && device.unacked.front().seq <= synced.start) {
    const Unacked& entry = device.unacked.front();
    if (passed_over) {
      // It came, and is not going to be acknowledged: the resync did that, whoever else knew of it.
      Slot& slot = chats_[entry.chat]->slots[SlotOf(entry.chat, device_no)];
      ChatUser& here = chats_[entry.chat]->users[slot.user];
      slot.optional_upto = std::max(slot.optional_upto, entry.msg_id);
      here.acked_upto = std::max(here.acked_upto, entry.msg_id);
    }
    device.unacked.pop_front();
  }
  const uint64_t known_acked = user.max_acked;
  ++device.session;
  device.session_resynced = synced.resync || other_epoch;
  device.held = device.acked = synced.start;
  device.most_held = std::max(device.most_held, synced.start);
  device.most_acked = std::max(device.most_acked, synced.start);
  device.free_upto = device.session_resynced || first ? synced.head : device.most_held;
  device.synced_ms = now_.mono_ms;
  if (!device.up) device.session_ms = now_.mono_ms;
  if (synced.epoch == user.epoch) {
    user.max_seq = std::max(user.max_seq, synced.head);
    // Who was there before the judge acknowledged what the judge did not see.
    if (first && user.max_acked == 0) user.max_acked = synced.start;
  }
  device.up = true;
  presence_.Up(device.user, device_no, now_.mono_ms);
  if (synced.resync) ++tally_.resyncs;
  if (first) {
    device.first_synced_ms = now_.mono_ms;
    // What everybody else has already may still be on its way to the inbox (a fan-out by task), and
    // comes to this one too.
    for (const ChatNo chat : user.chats) {
      Slot& slot = chats_[chat]->slots[SlotOf(chat, device_no)];
      slot.optional_upto = std::max(slot.optional_upto, chats_[chat]->settled_upto);
    }
  }
  if (synced.resync && !first) {
    // The server knows of fewer acknowledgements than there is room for: some were lost on their
    // way, and what they were for is gone. Nobody can say which marks that took along.
    for (const ChatNo chat : user.chats) {
      chats_[chat]->users[ChatUserOf(chat, device.user)].marked_upto = 0;
      MarksChanged(chat);
    }
  }
  if (passed_over || other_epoch) {
    PassOver(device_no, synced, other_epoch, acked_before, known_acked);
  } else if (device.session_resynced || first) {
    device.resynced_ms = synced.resync ? now_.mono_ms : device.resynced_ms;
    for (const ChatNo chat : user.chats) {
      RecountAll(chat);
      Fold(chat);
    }
  }
}

void Oracle::Impl::PassOver(uint32_t device_no, const Synced& synced, bool other_epoch,
                            uint64_t acked_before, uint64_t known_acked) {
  DeviceBook& device = devices_[device_no];
  UserBook& user = users_[device.user];
  device.resynced_ms = device.passed_ms = now_.mono_ms;
  if (other_epoch) device.new_epoch_ms = now_.mono_ms;
  // Up to where another device acknowledged it is known which entries those were.
  const bool exact = !other_epoch && synced.epoch == user.epoch && synced.start <= known_acked;
  if (!exact) user.passed_over_ms = now_.mono_ms;
  // Another device may have acknowledged them by being passed over them itself.
  if (!exact || acked_before < user.blind_upto) device.blind_ms = now_.mono_ms;
  if (!exact && synced.epoch == user.epoch) {
    user.blind_upto = std::max(user.blind_upto, synced.start);
  }
  for (const ChatNo chat_no : user.chats) {
    ChatBook& chat = *chats_[chat_no];
    Slot& slot = chat.slots[SlotOf(chat_no, device_no)];
    ChatUser& here = chat.users[slot.user];
    const uint64_t upto = exact ? here.acked_upto : chat.newest();
    slot.optional_upto = std::max(slot.optional_upto, upto);
    slot.inbox_from = UINT64_MAX;
    here.acked_upto = std::max(here.acked_upto, upto);
    if (other_epoch) here.marked_upto = 0;
    MarksChanged(chat_no);
    RecountAll(chat_no);
    Fold(chat_no);
  }
  if (synced.epoch == user.epoch) user.max_acked = std::max(user.max_acked, synced.start);
}

void Oracle::Impl::OnDown(uint32_t device_no) {
  DeviceBook& device = devices_[device_no];
  Note(Event::Kind::kDown, device_no, kNone, 0, 0);
  device.up = false;
  presence_.Down(device.user, device_no, now_.mono_ms);
}

// -- what came
// ---------------------------------------------------------------------------------------

void Oracle::Impl::Skipped(uint32_t device_no, uint64_t upto) {
  DeviceBook& device = devices_[device_no];
  const uint64_t from = std::max(device.held, device.free_upto);
  if (upto <= from || now_.mono_ms < device.resynced_ms + kRebuildMs) return;
  device.skips += upto - from;
  if (device.skips <= device.may_skip) return;
  Subject subject;
  subject.about_device = device_no;
  Break("G4",
        fmt::format("{} was led over entries that it was never given, between seq {} and {}: {} "
                    "more than it wrote itself",
                    device.name, from, upto + 1, device.skips - device.may_skip),
        subject);
  device.skips = device.may_skip;
}

void Oracle::Impl::Advance(uint32_t device_no, uint64_t seq, ChatNo chat_no, uint64_t msg_id,
                           bool marks) {
  DeviceBook& device = devices_[device_no];
  if (seq <= device.held) return;
  UserBook& user = users_[device.user];
  Skipped(device_no, seq - 1);
  device.held = seq;
  device.most_held = std::max(device.most_held, seq);
  if (device.epoch == user.epoch) user.max_seq = std::max(user.max_seq, seq);

  Slot& slot = chats_[chat_no]->slots[SlotOf(chat_no, device_no)];
  if (slot.session != device.session) {
    slot.session = device.session;
    slot.last_seq_id = 0;
  }
  Subject subject{chat_no, msg_id, kNone, 0, device_no, kNone};
  if (msg_id <= slot.last_seq_id) {
    Break("G3",
          fmt::format("{} got {} after {}", device.name, Id(chat_no, msg_id), slot.last_seq_id),
          subject);
  } else {
    slot.last_seq_id = msg_id;
  }
  if (msg_id < slot.inbox_from) {
    slot.inbox_from = msg_id;
    if (device.blind_ms > kNoTime) RecountAll(chat_no);
  }
  // What was not acknowledged before comes again under the same number.
  size_t at = device.unacked.size();
  while (at > 0 && device.unacked[at - 1].seq > seq) --at;
  if (at > 0 && device.unacked[at - 1].seq == seq) {
    Unacked& before = device.unacked[at - 1];
    if (before.chat != chat_no || before.msg_id != msg_id) {
      Break("G4",
            fmt::format("{} got {} as seq {}, which was {} before", device.name,
                        Id(chat_no, msg_id), seq, Id(before.chat, before.msg_id)),
            subject);
      before = {seq, msg_id, chat_no, marks};
    }
    return;
  }
  const Unacked fresh{seq, msg_id, chat_no, marks};
  if (at == device.unacked.size()) {
    device.unacked.push_back(fresh);
  } else {
    device.unacked.insert(at, fresh);
  }
}

void Oracle::Impl::OnMessage(uint32_t device_no, const MessageCame& came) {
  const v1::Message& message = came.message;
  DeviceBook& device = devices_[device_no];
  const ChatNo chat_no = ChatOf(message.chat_id());
  ChatBook& chat = *chats_[chat_no];
  const uint32_t author = UserNo(message.author());
  const uint64_t id = message.msg_id();
  SlotOf(chat_no, device_no);
  Note(Event::Kind::kSaw, device_no, chat_no, id, came.seq);
  const bool in_order = came.seq == 0 || came.seq > device.held;
  if (came.seq > 0) Advance(device_no, came.seq, chat_no, id, author != device.user);
  if (id <= chat.settled_upto) return SawSettled(device_no, chat_no, id, came.seq);

  Entry& entry = EnsureEntry(chat_no, id, author, /*change=*/false);
  const uint64_t text = HashText(message.text());
  if (entry.author != author) {
    Break("G2",
          fmt::format("{} came to {} as by {}, and is by {}", Id(chat_no, id), device.name,
                      message.author(), users_[entry.author].uid),
          About(chat_no, entry));
  } else if (!message.truncated() && entry.text_known && entry.text != text) {
    Break("G2", fmt::format("{} came to {} with another text", Id(chat_no, id), device.name),
          About(chat_no, entry));
  } else if (!message.truncated() && !entry.text_known) {
    entry.text = text;
    entry.text_known = true;
  }
  if (!in_order && !entry.seen.Get(SlotOf(chat_no, device_no))) {
    Break("G4",
          fmt::format("{} got {} as seq {}, and had {} already", device.name, Id(chat_no, id),
                      came.seq, device.held),
          About(chat_no, entry));
  }
  if (!users_[author].devices.empty() && (!entry.linked || entry.device == kNone)) {
    const uint32_t writer = message.device().empty()
                                ? kNone
                                : device_names_.Find(message.author() + ":" + message.device());
    LinkSeen(chat_no, entry, writer, message.client_msg_id());
  }
  Saw(device_no, chat_no, entry, came.seq);
  if (author == device.user) {
    Slot& slot = chat.slots[SlotOf(chat_no, device_no)];
    slot.newest_own = std::max(slot.newest_own, id);
    MarksChanged(chat_no);
  }
}

void Oracle::Impl::Saw(uint32_t device_no, ChatNo chat_no, Entry& entry, uint64_t seq) {
  ChatBook& chat = *chats_[chat_no];
  const uint32_t slot = SlotOf(chat_no, device_no);
  if (entry.seen.Get(slot)) {
    Break("G2",
          fmt::format("{} was shown {} twice", devices_[device_no].name, Id(chat_no, entry.msg_id)),
          About(chat_no, entry));
    return;
  }
  const Owed owed = OwedTo(chat, entry, chat.slots[slot]);
  entry.seen.Set(slot);
  if (seq > 0 && owed != Owed::kYes && entry.stray == kNone) entry.stray = slot;
  if (owed == Owed::kYes) {
    --entry.seen_left;
    --seen_left_;
  }
  // Found in history by a device that a resync passed over entries: the judge may have heard of it
  // only after that. It may have been among those, and then nobody acknowledges it.
  const bool passed = seq == 0 && devices_[device_no].passed_ms > kNoTime;
  if (!passed || entry.acked.Get(slot)) return;
  entry.acked.Set(slot);
  if (owed == Owed::kYes && --entry.acked_left == 0) Fold(chat_no);
}

void Oracle::Impl::SawSettled(uint32_t device_no, ChatNo chat_no, uint64_t msg_id, uint64_t seq) {
  if (seq == 0) return;  // history
  ChatBook& chat = *chats_[chat_no];
  const Slot& slot = chat.slots[SlotOf(chat_no, device_no)];
  const Membership& member = chat.users[slot.user].member;
  const bool forbidden = chat.members_known && (!member.known() || member.Of(msg_id) == Owed::kNo);
  if (!forbidden && msg_id <= std::max(slot.optional_upto, chat.vague_upto)) return;
  // It was settled before anybody could know whether it was for this user.
  if (!forbidden && member.Of(msg_id) == Owed::kMaybe) return;
  if (!forbidden && seq <= devices_[device_no].first_head) return;
  Subject subject{chat_no, msg_id, kNone, 0, device_no, kNone};
  Break(forbidden ? "G10" : "G2",
        forbidden ? fmt::format("{} got {} without being a member then", devices_[device_no].name,
                                Id(chat_no, msg_id))
                  : fmt::format("{} was shown {} when everybody had it and all after it up to {}",
                                devices_[device_no].name, Id(chat_no, msg_id), chat.settled_upto),
        subject);
}

void Oracle::Impl::OnRepeat(uint32_t device_no, const RepeatCame& repeat) {
  ++tally_.repeats;
  DeviceBook& device = devices_[device_no];
  const ChatNo chat_no = ChatOf(repeat.chat_id);
  ChatBook& chat = *chats_[chat_no];
  const uint32_t slot_no = SlotOf(chat_no, device_no);
  Note(Event::Kind::kRepeat, device_no, chat_no, repeat.msg_id, repeat.seq);
  Entry* entry = repeat.msg_id > chat.settled_upto ? chat.Find(repeat.msg_id) : nullptr;
  if (repeat.seq > 0) {
    const bool marks = entry != nullptr && !entry->change && entry->author != device.user;
    Advance(device_no, repeat.seq, chat_no, repeat.msg_id, marks);
  }
  if (repeat.msg_id <= chat.settled_upto) return;
  // The device took it for a repeat. Did it really have it?
  Subject subject{chat_no, repeat.msg_id, kNone, 0, device_no, kNone};
  if (entry == nullptr) {
    if (now_.mono_ms < device.resynced_ms + kRebuildMs) return;  // known from history
    // Its own, on whose answer it still waits: led over it once, it had newer ones by then.
    const bool own = std::any_of(chat.open.begin(), chat.open.end(), [&](const OpenSend& send) {
      return send.device == device_no && send.msg_id == 0;
    });
    if (own) return;
    Break("G3",
          fmt::format("{} got {}, which nobody had, after newer ones of the chat", device.name,
                      Id(chat_no, repeat.msg_id)),
          subject);
    return;
  }
  if (entry->seen.Get(slot_no)) return;
  if (OwedTo(chat, *entry, chat.slots[slot_no]) != Owed::kYes) return;
  entry->seen.Set(slot_no);
  --entry->seen_left;
  --seen_left_;
  subject = About(chat_no, *entry);
  subject.about_device = device_no;
  Break("G3",
        fmt::format("{} got {} only after newer ones of the chat: it took it for a repeat, and "
                    "nobody saw it there",
                    device.name, Id(chat_no, repeat.msg_id)),
        subject);
}

void Oracle::Impl::OnAck(uint32_t device_no, uint64_t seq) {
  DeviceBook& device = devices_[device_no];
  UserBook& user = users_[device.user];
  Note(Event::Kind::kAck, device_no, kNone, 0, seq);
  if (seq > device.held) {  // by a frame that only closed the sequence
    Skipped(device_no, seq);
    device.held = seq;
    device.most_held = std::max(device.most_held, seq);
  }
  device.acked = std::max(device.acked, seq);
  device.most_acked = std::max(device.most_acked, seq);
  if (device.epoch == user.epoch) {
    user.max_seq = std::max(user.max_seq, seq);
    user.max_acked = std::max(user.max_acked, seq);
  }
  while (!device.unacked.empty() && device.unacked.front().seq <= seq) {
    const Unacked item = device.unacked.front();
    device.unacked.pop_front();
    ChatBook& chat = *chats_[item.chat];
    const uint32_t slot_no = SlotOf(item.chat, device_no);
    ChatUser& here = chat.users[chat.slots[slot_no].user];
    if (item.msg_id > here.acked_upto) {
      here.acked_upto = item.msg_id;
    }
    if (item.marks && item.msg_id > here.marked_upto) {
      here.marked_upto = item.msg_id;
      MarksChanged(item.chat);
    }
    if (item.msg_id <= chat.settled_upto) continue;
    Entry* entry = chat.Find(item.msg_id);
    if (entry == nullptr || entry->acked.Get(slot_no)) continue;
    entry->acked.Set(slot_no);
    if (OwedTo(chat, *entry, chat.slots[slot_no]) != Owed::kYes) continue;
    if (--entry->acked_left == 0) Fold(item.chat);
  }
}

// -- who is in a chat ----------------------------------------------------------------------------

void Oracle::Impl::OnChange(uint32_t device_no, const ChatChanged& changed) {
  const v1::ChatChange& change = changed.change;
  const ChatNo chat_no = ChatOf(change.chat().chat_id());
  ChatBook& chat = *chats_[chat_no];
  const uint64_t id = change.msg_id();
  LearnMoves(chat_no, change);
  SlotOf(chat_no, device_no);
  Note(Event::Kind::kSaw, device_no, chat_no, id, changed.seq);
  if (changed.seq > 0) Advance(device_no, changed.seq, chat_no, id, /*marks=*/false);
  if (id <= chat.settled_upto) return;
  Entry& entry = EnsureEntry(chat_no, id, UserNo(change.by()), /*change=*/true);
  const uint64_t hash = HashChange(change);
  if (!entry.change || (entry.text_known && entry.text != hash)) {
    Break("G2",
          fmt::format("the change {} came to {} otherwise than to others", Id(chat_no, id),
                      devices_[device_no].name),
          About(chat_no, entry));
  }
  entry.text = hash;
  entry.text_known = true;
  Saw(device_no, chat_no, entry, changed.seq);
  Fold(chat_no);
}

void Oracle::Impl::LearnMoves(ChatNo chat_no, const v1::ChatChange& change) {
  ChatBook& chat = *chats_[chat_no];
  const uint64_t id = change.msg_id();
  const auto at = std::lower_bound(chat.changes.begin(), chat.changes.end(), id);
  if (at != chat.changes.end() && *at == id) return;
  chat.changes.insert(at, id);
  if (chat.direct) return;
  const bool created = change.kind() == v1::ChatChange::CREATED;
  for (const auto& uid : change.added()) {
    chat.users[ChatUserOf(chat_no, UserNo(uid))].member.Moved(id, true);
  }
  if (created) {
    for (const auto& uid : change.chat().members()) {
      chat.users[ChatUserOf(chat_no, UserNo(uid))].member.Moved(id, true);
    }
    chat.members_known = true;
  }
  for (const auto& uid : change.removed()) {
    chat.users[ChatUserOf(chat_no, UserNo(uid))].member.Moved(id, false);
  }
  if (change.chat().member_count() > limits::kReceiptMembers) chat.was_large = true;
  // What the one who makes the change wrote itself may go by it.
  for (const uint32_t device : users_[UserNo(change.by())].devices) ++devices_[device].may_skip;
  RecountAll(chat_no);
  MarksChanged(chat_no);
}

void Oracle::Impl::LearnChat(ChatNo chat_no, const v1::Chat& info) {
  ChatBook& chat = *chats_[chat_no];
  if (info.member_count() > limits::kReceiptMembers) chat.was_large = true;
  const bool whole =
      info.members_size() > 0 && static_cast<uint32_t>(info.members_size()) == info.member_count();
  if (chat.direct || !whole) return;
  if (!chat.members_known) {
    for (const auto& uid : info.members()) {
      chat.users[ChatUserOf(chat_no, UserNo(uid))].member.Present(info.last_msg_id());
    }
    chat.members_known = true;
    return RecountAll(chat_no);
  }
  // Newer than every change that is known, and otherwise: changes were lost with an epoch.
  if (!chat.changes.empty() && info.last_msg_id() < chat.changes.back()) return;
  bool doubtful = false;
  for (const auto& uid : info.members()) ChatUserOf(chat_no, UserNo(uid));
  for (ChatUser& user : chat.users) {
    const std::string& uid = users_[user.user].uid;
    const bool in =
        std::find(info.members().begin(), info.members().end(), uid) != info.members().end();
    if (user.member.in_now() == in) continue;
    user.member.Doubt();
    doubtful = true;
  }
  if (!doubtful) return;
  RecountAll(chat_no);
  MarksChanged(chat_no);
}

}  // namespace nightjar::client
