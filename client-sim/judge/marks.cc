// Delivered marks (G5): only after an acknowledgement, only forward, and there in the end.
#include <fmt/format.h>

#include <algorithm>

#include "client-sim/judge/court.h"

namespace nightjar::client {

using namespace judge;  // NOLINT(google-build-using-namespace): the judge's own parts

namespace {

// How long a message may have been under way to the judge when a resync passed over it.
constexpr int64_t kUnderWayMs = 15'000;
// An answer older than this does not come any more.
constexpr int64_t kStaleAnswerMs = 60'000;

}  // namespace

void Oracle::Impl::MarksChanged(ChatNo chat) {
  if (chats_[chat]->marks_dirty) return;
  chats_[chat]->marks_dirty = true;
  marks_dirty_.push_back(chat);
}

void Oracle::Impl::OnMark(uint32_t device_no, const MarkMoved& moved) {
  const ChatNo chat_no = ChatOf(moved.chat_id);
  ChatBook& chat = *chats_[chat_no];
  const uint32_t user_no = UserNo(moved.uid);
  const uint64_t id = moved.msg_id;
  Note(Event::Kind::kMark, device_no, chat_no, id, user_no);
  const uint32_t place = ChatUserOf(chat_no, user_no);
  Slot& slot = chat.slots[SlotOf(chat_no, device_no)];
  const DeviceBook& device = devices_[device_no];
  auto mark = std::find_if(slot.marks.begin(), slot.marks.end(),
                           [&](const Mark& m) { return m.user == user_no; });
  if (mark == slot.marks.end()) mark = slot.marks.insert(mark, {user_no, 0, 0});
  Subject subject{chat_no, id, kNone, 0, device_no, kNone};
  if (id <= mark->msg_id) {
    Break("G5",
          fmt::format("{} was told that {} has {} after being told {}", device.name, moved.uid,
                      Id(chat_no, id), mark->msg_id),
          subject);
    return;
  }
  *mark = {user_no, id, now_.mono_ms};
  const UserBook& user = users_[user_no];
  if (user_no == device.user || user.devices.empty()) return;
  const ChatUser& here = chat.users[place];
  if (id <= here.acked_upto) return;
  const int64_t lenient_ms = user.passed_over_ms + kUnderWayMs;
  for (size_t i = chat.LowerBound(here.acked_upto + 1);
       i < chat.window.size() && chat.window[i].msg_id <= id; ++i) {
    const Entry& entry = chat.window[i];
    if (entry.change || entry.author == user_no || entry.known_ms <= lenient_ms) continue;
    if (here.member.Of(entry.msg_id) != Owed::kYes) continue;
    subject = About(chat_no, entry);
    subject.about_device = device_no;
    Break("G5",
          fmt::format("{} was told that {} has {}, which no device of {} acknowledged", device.name,
                      moved.uid, Id(chat_no, entry.msg_id), moved.uid),
          subject);
    return;
  }
  if (id > chat.newest() && now_.mono_ms > lenient_ms) {
    Break("G5",
          fmt::format("{} was told that {} has {}, a message that nobody has seen", device.name,
                      moved.uid, Id(chat_no, id)),
          subject);
  }
}

void Oracle::Impl::OnReceipts(uint32_t device_no, const v1::Receipts& receipts) {
  for (const auto& chat : receipts.chats()) {
    const ChatNo chat_no = ChatOf(chat.chat_id());
    const Slot& slot = chats_[chat_no]->slots[SlotOf(chat_no, device_no)];
    for (const auto& told : chat.delivered()) {
      const uint32_t user = UserNo(told.uid());
      for (const Mark& mark : slot.marks) {
        if (mark.user != user || told.msg_id() >= mark.msg_id) continue;
        if (now_.mono_ms - mark.at_ms < kStaleAnswerMs) continue;  // asked before it moved, perhaps
        Break("G5",
              fmt::format("{} asked and was told that {} has {}, {} s after being told {}",
                          devices_[device_no].name, told.uid(), Id(chat_no, told.msg_id()),
                          (now_.mono_ms - mark.at_ms) / 1000, mark.msg_id),
              {chat_no, mark.msg_id, kNone, 0, device_no, kNone});
      }
    }
  }
}

Oracle::Impl::MarkCount Oracle::Impl::CountMarks(const ChatBook& chat) const {
  MarkCount count;
  ForEachMark(chat, [&](const Slot&, const ChatUser&, uint64_t owed, uint64_t mark) {
    ++count.owed;
    count.there += mark >= owed;
  });
  return count;
}

std::string Oracle::Impl::MissingMark(ChatNo chat_no) const {
  std::string line;
  ForEachMark(*chats_[chat_no], [&](const Slot& slot, const ChatUser& user, uint64_t owed,
                                    uint64_t mark) {
    if (mark >= owed || !line.empty()) return;
    line = fmt::format("; {} was not told that {} has {} (told up to {})",
                       devices_[slot.device].name, users_[user.user].uid, Id(chat_no, owed), mark);
  });
  return line;
}

}  // namespace nightjar::client
