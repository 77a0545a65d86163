#include "client-sim/judge/court.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {

using namespace judge;  // NOLINT(google-build-using-namespace): the judge's own parts

namespace {

constexpr int64_t kSweepMs = 5'000;
// A change of the chat that came while a device rebuilt may be known to it from there.
constexpr int64_t kRebuildMs = 60'000;
constexpr size_t kFewSlots = 8;

// The second of the pair with this first, in a vector sorted by it; kNone if there is none.
uint32_t Lookup(const std::vector<std::pair<uint32_t, uint32_t>>& sorted, uint32_t key) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), std::make_pair(key, 0U));
  return at != sorted.end() && at->first == key ? at->second : kNone;
}
void Insert(std::vector<std::pair<uint32_t, uint32_t>>& sorted, uint32_t key, uint32_t value) {
  sorted.insert(std::lower_bound(sorted.begin(), sorted.end(), std::make_pair(key, 0U)),
                {key, value});
}

}  // namespace

Oracle::Impl::Impl(OracleOptions options)
    : options_(options),
      past_(options.story_happenings),
      presence_(options_, [this](uint32_t device, uint32_t user, std::string what) {
        Subject subject;
        subject.about_device = device;
        subject.about_user = user;
        Break("G6",
              fmt::format("{} is shown {}: {}", devices_[device].name, users_[user].uid, what),
              subject);
      }) {
  brokers_.Number("?");
}

// -- who there is --------------------------------------------------------------------------------

uint32_t Oracle::Impl::UserNo(const std::string& uid) {
  const uint32_t user = uids_.Number(uid);
  if (user == users_.size()) {
    users_.emplace_back();
    users_.back().uid = uid;
  }
  return user;
}

DeviceId Oracle::Impl::Expect(const std::string& uid, const std::string& device) {
  const uint32_t id = device_names_.Number(uid + ":" + device);
  if (id < devices_.size()) return id;
  devices_.emplace_back();
  devices_[id].name = device_names_.Name(id);
  const uint32_t user = UserNo(uid);
  devices_[id].user = user;
  users_[user].devices.push_back(id);
  for (const ChatNo chat : users_[user].chats) {
    AddSlot(chat, ChatUserOf(chat, user), id);
    RecountAll(chat);
  }
  return id;
}

void Oracle::Impl::Gone(DeviceId device, Now now) {
  now_ = now;
  DeviceBook& book = devices_[device];
  if (book.gone || blind_) return;
  if (book.up) OnDown(device);
  book.gone = true;
  for (const ChatNo chat : users_[book.user].chats) {
    for (OpenSend& send : chats_[chat]->open) {
      if (send.device == device) send.abandoned = true;
    }
    RecountAll(chat);
    Fold(chat);
  }
}

void Oracle::Impl::At(DeviceId device, std::string_view broker) {
  devices_[device].broker = static_cast<uint16_t>(brokers_.Number(broker));
}

Oracle::Impl::ChatNo Oracle::Impl::ChatOf(const std::string& chat_id) {
  const ChatNo chat = chat_ids_.Number(chat_id);
  if (chat < chats_.size()) return chat;
  chats_.push_back(std::make_unique<ChatBook>());
  const auto name = ParseChatId(chat_id);
  if (!name || !name->direct) return chat;
  ChatBook& book = *chats_[chat];
  book.direct = true;
  book.members_known = true;
  for (const std::string& uid : {name->low, name->high}) {
    book.users[ChatUserOf(chat, UserNo(uid))].member.Always();
  }
  return chat;
}

uint32_t Oracle::Impl::ChatUserOf(ChatNo chat, uint32_t user) {
  ChatBook& book = *chats_[chat];
  if (book.users.size() <= kFewSlots) {
    for (uint32_t i = 0; i < book.users.size(); ++i) {
      if (book.users[i].user == user) return i;
    }
  } else if (const uint32_t known = Lookup(book.user_of, user); known != kNone) {
    return known;
  }
  const auto index = static_cast<uint32_t>(book.users.size());
  book.users.emplace_back();
  book.users.back().user = user;
  Insert(book.user_of, user, index);
  users_[user].chats.push_back(chat);
  for (const uint32_t device : users_[user].devices) AddSlot(chat, index, device);
  return index;
}

void Oracle::Impl::AddSlot(ChatNo chat, uint32_t chat_user, uint32_t device) {
  ChatBook& book = *chats_[chat];
  Insert(book.slot_of, device, static_cast<uint32_t>(book.slots.size()));
  book.slots.emplace_back();
  book.slots.back().device = device;
  book.slots.back().user = chat_user;
}

uint32_t Oracle::Impl::SlotOf(ChatNo chat, uint32_t device) {
  ChatBook& book = *chats_[chat];
  if (book.slots.size() <= kFewSlots) {
    for (uint32_t i = 0; i < book.slots.size(); ++i) {
      if (book.slots[i].device == device) return i;
    }
  } else if (const uint32_t known = Lookup(book.slot_of, device); known != kNone) {
    return known;
  }
  ChatUserOf(chat, devices_[device].user);  // makes the slots of all its devices
  return Lookup(book.slot_of, device);
}

// -- what is owed --------------------------------------------------------------------------------

Entry& Oracle::Impl::EnsureEntry(ChatNo chat, uint64_t msg_id, uint32_t author, bool change) {
  ChatBook& book = *chats_[chat];
  const size_t at = book.LowerBound(msg_id);
  if (at < book.window.size() && book.window[at].msg_id == msg_id) return book.window[at];
  Entry entry;
  entry.msg_id = msg_id;
  entry.author = author;
  entry.change = change;
  entry.known_ms = now_.mono_ms;
  ++entries_;
  Entry* made = nullptr;
  if (at == book.window.size()) {
    book.window.push_back(std::move(entry));
    made = &book.window.back();
  } else {
    made = &book.window.insert(at, std::move(entry));
  }
  Recount(book, *made);
  return *made;
}

Owed Oracle::Impl::OwedTo(const ChatBook& chat, const Entry& entry, const Slot& slot) const {
  const DeviceBook& device = devices_[slot.device];
  if (device.gone || entry.device == slot.device) return Owed::kMaybe;
  const ChatUser& user = chat.users[slot.user];
  if (!user.member.known()) return chat.members_known ? Owed::kNo : Owed::kMaybe;
  const Owed member = user.member.Of(entry.msg_id);
  if (member != Owed::kYes || entry.msg_id <= slot.optional_upto) {
    return member == Owed::kNo ? Owed::kNo : Owed::kMaybe;
  }
  // What was on its way when numbers began anew is found in history, not in the inbox.
  const int64_t new_epoch_ms = std::max(device.new_epoch_ms, users_[device.user].epoch_ms);
  if (std::min(entry.written_ms, entry.known_ms) <= new_epoch_ms) return Owed::kMaybe;
  // Written before a resync that passed over nobody knows what, and heard of only since: it was
  // passed over too, unless it comes after what the inbox went on with. Within a ms nobody can say
  // which was first.
  if (entry.written_ms <= device.blind_ms && entry.known_ms >= device.blind_ms &&
      entry.msg_id < slot.inbox_from) {
    return Owed::kMaybe;
  }
  // A resync passed over it before the judge knew of it, and who left does not find it in history.
  if (std::min(entry.written_ms, entry.known_ms) <= device.passed_ms &&
      user.member.LeftAfter(entry.msg_id)) {
    return Owed::kMaybe;
  }
  if (entry.change && entry.known_ms < device.resynced_ms + kRebuildMs) return Owed::kMaybe;
  if (entry.author == user.user) {
    // The other devices of the author get a copy, if they were there when it was written.
    if (entry.change || entry.device == kNone || entry.written_ms == kNever) return Owed::kMaybe;
    if (device.first_synced_ms == kNever) return Owed::kMaybe;
    if (entry.written_ms <= std::max(device.first_synced_ms, device.resynced_ms)) {
      return Owed::kMaybe;
    }
  }
  return Owed::kYes;
}

void Oracle::Impl::Drop(const Entry& entry) {
  owed_ -= entry.owed;
  seen_left_ -= entry.seen_left;
}

void Oracle::Impl::Recount(ChatBook& chat, Entry& entry) {
  Drop(entry);
  entry.owed = entry.seen_left = entry.acked_left = 0;
  entry.vague = false;
  for (size_t i = 0; i < chat.slots.size(); ++i) {
    const Owed owed = OwedTo(chat, entry, chat.slots[i]);
    const uint32_t device = chat.slots[i].device;
    const bool counts = device != entry.device && !devices_[device].gone;
    entry.vague = entry.vague || (owed == Owed::kMaybe && counts);
    if (owed != Owed::kYes) continue;
    ++entry.owed;
    entry.seen_left += !entry.seen.Get(i);
    entry.acked_left += !entry.acked.Get(i);
  }
  owed_ += entry.owed;
  seen_left_ += entry.seen_left;
}

void Oracle::Impl::RecountAll(ChatNo chat) {
  ChatBook& book = *chats_[chat];
  for (size_t i = 0; i < book.window.size(); ++i) Recount(book, book.window[i]);
}

// -- what is settled -----------------------------------------------------------------------------

bool Oracle::Impl::Answered(const ChatBook& chat, const Entry& entry) const {
  if (entry.accepted() || entry.change || !entry.linked) return true;
  return std::none_of(chat.open.begin(), chat.open.end(), [&](const OpenSend& send) {
    return send.msg_id == entry.msg_id && !send.abandoned;
  });
}

void Oracle::Impl::Fold(ChatNo chat_no) {
  ChatBook& chat = *chats_[chat_no];
  if (chat.reading || !chat.members_known) return;
  while (!chat.window.empty()) {
    Entry& entry = chat.window.front();
    if (entry.seen_left > 0 || entry.acked_left > 0 || !Answered(chat, entry)) return;
    // A send that was under way already may turn out to be older than this.
    for (const OpenSend& send : chat.open) {
      const bool loose = !send.abandoned && send.msg_id == 0;
      if (loose && send.written_ms <= entry.known_ms) return;
    }
    CheckStray(chat_no, entry);
    if (!entry.change) {
      chat.chain.Add(entry.msg_id, Mix(entry.author, entry.text));
      chat.users[ChatUserOf(chat_no, entry.author)].newest_settled = entry.msg_id;
      if (entry.linked && !entry.accepted()) {
        sends_ -= static_cast<size_t>(std::erase_if(
            chat.open, [&](const OpenSend& send) { return send.msg_id == entry.msg_id; }));
      }
    }
    chat.settled_upto = entry.msg_id;
    if (entry.vague) chat.vague_upto = entry.msg_id;
    tally_.owed += entry.owed;
    Drop(entry);
    --entries_;
    chat.window.pop_front();
  }
}

void Oracle::Impl::CheckStray(ChatNo chat_no, const Entry& entry) {
  const ChatBook& chat = *chats_[chat_no];
  if (entry.stray == kNone || OwedTo(chat, entry, chat.slots[entry.stray]) != Owed::kNo) return;
  Break("G10",
        fmt::format("{} got {} without being a member then",
                    devices_[chat.slots[entry.stray].device].name, Id(chat_no, entry.msg_id)),
        About(chat_no, entry));
}

void Oracle::Impl::Sweep() {
  swept_ms_ = now_.mono_ms;
  for (ChatNo chat = 0; chat < chats_.size(); ++chat) CheckPassedOver(chat, /*final=*/false);
}

void Oracle::Impl::CheckPassedOver(ChatNo chat_no, bool final) {
  ChatBook& chat = *chats_[chat_no];
  const int64_t old = now_.mono_ms - options_.passed_over_ms;
  for (size_t at = 0; at < chat.window.size(); ++at) {
    Entry& entry = chat.window[at];
    if (!final && entry.known_ms > old) return;  // later ones are younger, near enough
    if (entry.seen_left == 0 || entry.blamed) continue;
    std::string who;
    size_t count = 0;
    uint32_t first = kNone;
    for (size_t i = 0; i < chat.slots.size(); ++i) {
      const Slot& slot = chat.slots[i];
      const DeviceBook& device = devices_[slot.device];
      if (entry.seen.Get(i) || OwedTo(chat, entry, slot) != Owed::kYes) continue;
      const bool passed = slot.session == device.session && device.session > 0 &&
                          slot.last_seq_id > entry.msg_id && device.synced_ms <= old;
      if (!final && !passed) continue;
      if (++count <= 3) who += (who.empty() ? "" : ", ") + device.name;
      if (first == kNone) first = slot.device;
    }
    if (count == 0) continue;
    if (count > 3) who += fmt::format(" and {} more", count - 3);
    entry.blamed = true;
    Subject subject = About(chat_no, entry);
    subject.about_device = first;
    const char* what = entry.change ? "the change of the chat" : "message";
    Break("G1",
          fmt::format("{} {} from {} never came to {}{}", what, Id(chat_no, entry.msg_id),
                      users_[entry.author].uid, who, final ? "" : ", newer ones did"),
          subject);
  }
}

void Oracle::Impl::CheckBound() {
  if (Unsettled() <= options_.most_unsettled) return;
  blind_ = true;
  Break("judge",
        fmt::format("cannot judge any more: {} messages are not settled (bound {}): {}",
                    Unsettled(), options_.most_unsettled, Outstanding()),
        {});
  chats_.clear();
  chat_ids_ = {};
  entries_ = sends_ = 0;
  for (UserBook& user : users_) user.chats.clear();
  for (DeviceBook& device : devices_) device.unacked.clear();
}

// -- verdicts ------------------------------------------------------------------------------------

std::string Oracle::Impl::Id(ChatNo chat, uint64_t msg_id) const {
  return chat_ids_.Name(chat) + "/" + std::to_string(msg_id);
}

Subject Oracle::Impl::About(ChatNo chat, const Entry& entry) const {
  Subject subject;
  subject.chat = chat;
  subject.msg_id = entry.msg_id;
  subject.device = entry.device;
  subject.client_msg_id = entry.client_msg_id;
  if (entry.device == kNone && entry.linked) {  // tentatively: better than nothing
    for (const OpenSend& send : chats_[chat]->open) {
      if (send.msg_id != entry.msg_id) continue;
      subject.device = send.device;
      subject.client_msg_id = send.client_msg_id;
    }
  }
  return subject;
}

void Oracle::Impl::Note(Event::Kind kind, uint32_t device, ChatNo chat, uint64_t a, uint64_t b,
                        uint16_t extra) {
  Event event;
  event.at_ms = now_.mono_ms;
  event.kind = kind;
  event.device = device;
  event.chat = chat;
  event.a = a;
  event.b = b;
  event.extra = extra;
  event.broker = devices_[device].broker;
  past_.Add(event);
}

void Oracle::Impl::Break(const char* promise, std::string what, Subject subject) {
  ++tally_.violations;
  if (violations_.size() >= options_.most_violations) return;
  Past::Speaker speaker;
  speaker.device = [this](uint32_t device) { return devices_[device].name; };
  speaker.user = [this](uint32_t user) { return users_[user].uid; };
  speaker.broker = [this](uint16_t broker) { return brokers_.Name(broker); };
  violations_.push_back({promise, std::move(what), past_.Tell(subject, speaker, began_ms_)});
}

// -- the whole -----------------------------------------------------------------------------------

void Oracle::Impl::Took(DeviceId device, const Happening& happening, Now now) {
  if (blind_) return;
  now_ = now;
  if (began_ms_ == INT64_MIN) began_ms_ = swept_ms_ = now.mono_ms;
  presence_.Tick(now.mono_ms);
  std::visit(
      [&](const auto& h) {
        using T = std::decay_t<decltype(h)>;
        if constexpr (std::is_same_v<T, MessageCame>) OnMessage(device, h);
        if constexpr (std::is_same_v<T, AckSent>) OnAck(device, h.seq);
        if constexpr (std::is_same_v<T, MarkMoved>) OnMark(device, h);
        if constexpr (std::is_same_v<T, Wrote>) OnWrote(device, h);
        if constexpr (std::is_same_v<T, SendAccepted>) OnAccepted(device, h);
        if constexpr (std::is_same_v<T, SendRefused>) OnRefused(device, h);
        if constexpr (std::is_same_v<T, PutOff>) {
          Note(Event::Kind::kPutOff, device, kNone, 0, h.client_msg_id,
               static_cast<uint16_t>(h.code));
        }
        if constexpr (std::is_same_v<T, Synced>) OnSynced(device, h);
        if constexpr (std::is_same_v<T, WentDown>) OnDown(device);
        if constexpr (std::is_same_v<T, RepeatCame>) OnRepeat(device, h);
        if constexpr (std::is_same_v<T, ChatChanged>) OnChange(device, h);
        if constexpr (std::is_same_v<T, GapSeen>) {
          ++tally_.gaps;
          Note(Event::Kind::kGap, device, kNone, h.held, h.seq);
        }
        if constexpr (std::is_same_v<T, PresenceSeen>) {
          const uint32_t user = UserNo(h.presence.uid());
          ++tally_.presence;
          Note(Event::Kind::kPresence, device, kNone, 0, user, h.presence.online() ? 1 : 0);
          if (options_.presence && !users_[user].devices.empty()) {
            presence_.Shown(device, user, h.presence.online(), now_.mono_ms);
          }
        }
        if constexpr (std::is_same_v<T, client::Answered>) OnAnswer(device, h.response);
        if constexpr (std::is_same_v<T, ServerFault>) {
          Subject subject;
          subject.about_device = device;
          Break("G10", fmt::format("{} was sent {}", devices_[device].name, h.what), subject);
        }
      },
      happening);
  if (now.mono_ms - swept_ms_ >= kSweepMs) Sweep();
  CheckBound();
}

void Oracle::Impl::Disturbed(Now now, std::string what, bool sessions_may_die) {
  now_ = now;
  past_.Disturbed(now.mono_ms, std::move(what));
  presence_.Disturbed(now.mono_ms, sessions_may_die);
}

void Oracle::Impl::ChatChanges(const v1::ChatChange& change) {
  if (!blind_) LearnMoves(ChatOf(change.chat().chat_id()), change);
}

Tally Oracle::Impl::Count() const {
  Tally tally = tally_;
  tally.owed += owed_;
  tally.delivered = tally.owed - seen_left_;
  tally.unanswered = tally.written - tally.accepted - tally.refused;
  tally.unsettled = Unsettled();
  for (const auto& chat : chats_) {
    const MarkCount marks = CountMarks(*chat);
    tally.marks_owed += marks.owed;
    tally.marks += marks.there;
  }
  return tally;
}

bool Oracle::Impl::Settled() const {
  if (blind_) return true;  // nothing will change that any more
  if (entries_ > 0) return false;
  for (const auto& chat : chats_) {
    for (const OpenSend& send : chat->open) {
      if (!send.abandoned) return false;
    }
  }
  for (const DeviceBook& device : devices_) {
    if (Behind(device)) return false;
  }
  while (!marks_dirty_.empty()) {
    ChatBook& chat = *chats_[marks_dirty_.back()];
    const MarkCount marks = CountMarks(chat);
    if (marks.there < marks.owed) return false;
    chat.marks_dirty = false;
    marks_dirty_.pop_back();
  }
  return true;
}

// The first device that has not acknowledged it.
std::string Oracle::Impl::Lacking(const ChatBook& chat, const Entry& entry) const {
  for (size_t i = 0; i < chat.slots.size(); ++i) {
    const Slot& slot = chat.slots[i];
    if (OwedTo(chat, entry, slot) != Owed::kYes || entry.acked.Get(i)) continue;
    return fmt::format(" (not {}, {})", devices_[slot.device].name,
                       entry.seen.Get(i) ? "which has it" : "which does not have it");
  }
  return "";
}

std::string Oracle::Impl::Outstanding() const {
  std::string lines;
  size_t unanswered = 0, behind = 0;
  for (const auto& chat : chats_) {
    for (const OpenSend& send : chat->open) unanswered += !send.abandoned;
  }
  for (const DeviceBook& device : devices_) {
    if (Behind(device) && ++behind <= 3) {
      lines += fmt::format("; {} acknowledged {} of {}", device.name, device.acked,
                           users_[device.user].max_seq);
    }
  }
  MarkCount marks;
  size_t shown = 0;
  for (ChatNo chat = 0; chat < chats_.size(); ++chat) {
    const MarkCount here = CountMarks(*chats_[chat]);
    marks.owed += here.owed;
    marks.there += here.there;
    if (here.there < here.owed) lines += MissingMark(chat);
    if (chats_[chat]->window.empty() || ++shown > 3) continue;
    const Entry& entry = chats_[chat]->window[0];
    lines += fmt::format("; {} is open: {} of {} devices have it, {} acknowledged it{}{}{}",
                         Id(chat, entry.msg_id), entry.owed - entry.seen_left, entry.owed,
                         entry.owed - entry.acked_left, this->Lacking(*chats_[chat], entry),
                         this->Answered(*chats_[chat], entry) ? "" : ", its author has no answer",
                         chats_[chat]->members_known ? "" : ", members not known");
  }
  return fmt::format(
             "{} entries not settled, {} sends without answer, {} devices behind, {} marks missing",
             entries_, unanswered, behind, marks.owed - marks.there) +
         lines;
}

void Oracle::Impl::Finish(Now now) {
  if (blind_) return;
  now_ = now;
  if (began_ms_ == INT64_MIN) began_ms_ = now.mono_ms;
  presence_.Tick(now.mono_ms);
  presence_.Finish(now.mono_ms);
  for (ChatNo chat = 0; chat < chats_.size(); ++chat) {
    CheckPassedOver(chat, /*final=*/true);
    const ChatBook& book = *chats_[chat];
    for (size_t i = 0; i < book.window.size(); ++i) {
      CheckStray(chat, book.window[i]);
    }
    ForEachMark(book, [&](const Slot& slot, const ChatUser& user, uint64_t owed, uint64_t mark) {
      if (mark >= owed) return;
      Subject subject;
      subject.chat = chat;
      subject.msg_id = owed;
      subject.about_device = slot.device;
      Break("G5",
            fmt::format("{} was never told that {} has {}, which was acknowledged (told up to {})",
                        devices_[slot.device].name, users_[user.user].uid, Id(chat, owed), mark),
            subject);
    });
  }
  for (uint32_t device = 0; device < devices_.size(); ++device) {
    if (!Behind(devices_[device])) continue;
    Subject subject;
    subject.about_device = device;
    Break("G4",
          fmt::format("{} never came to the end of its inbox: acknowledged {} of {}",
                      devices_[device].name, devices_[device].acked,
                      users_[devices_[device].user].max_seq),
          subject);
  }
}

std::vector<std::string> Oracle::Impl::Recipients(const std::string& chat_id,
                                                  uint64_t msg_id) const {
  std::vector<std::string> uids;
  const uint32_t chat = chat_ids_.Find(chat_id);
  if (chat == kNone || chat >= chats_.size()) return uids;
  for (const ChatUser& user : chats_[chat]->users) {
    if (user.member.Of(msg_id) == Owed::kYes && user.member.known()) {
      uids.push_back(users_[user.user].uid);
    }
  }
  std::sort(uids.begin(), uids.end());
  return uids;
}

std::vector<std::string> Oracle::Impl::Chats() const {
  std::vector<std::string> ids;
  for (ChatNo chat = 0; chat < chats_.size(); ++chat) {
    const ChatBook& book = *chats_[chat];
    if (book.settled_upto > 0 || !book.window.empty() || !book.open.empty()) {
      ids.push_back(chat_ids_.Name(chat));
    }
  }
  return ids;
}

size_t Oracle::Impl::MemoryBytes() const {
  size_t bytes = past_.bytes();
  for (const auto& chat : chats_) {
    bytes += sizeof(ChatBook) + chat->chain.bytes() + chat->window.bytes();
    bytes += chat->open.capacity() * sizeof(OpenSend) + chat->slots.capacity() * sizeof(Slot) +
             chat->users.capacity() * sizeof(ChatUser) + chat->changes.capacity() * 8;
    for (const Slot& slot : chat->slots) bytes += slot.marks.capacity() * sizeof(Mark);
    if (chat->slots.size() > 64) {
      for (size_t i = 0; i < chat->window.size(); ++i) {
        bytes += chat->window[i].seen.bytes() + chat->window[i].acked.bytes();
      }
    }
  }
  for (const DeviceBook& device : devices_) {
    bytes += sizeof(DeviceBook) + device.unacked.bytes();
  }
  return bytes;
}

}  // namespace nightjar::client
