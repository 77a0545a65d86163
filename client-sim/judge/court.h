// Inside of the judge (oracle.h): everything it knows and every rule, by concern:
//   court.cc    who there is, verdicts, what is settled
//   sends.cc    written, accepted, refused: G2
//   inbox.cc    synced, seen, acknowledged: G1, G3, G4, G10
//   marks.cc    delivered marks: G5
//   reads.cc    history, read by devices on the way and as a whole at the end: G1, G2
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "client-sim/brain/happening.h"
#include "client-sim/judge/book.h"
#include "client-sim/judge/oracle.h"
#include "client-sim/judge/presence.h"
#include "client-sim/judge/reads.h"
#include "client-sim/judge/story.h"

namespace nightjar::client {

class Oracle::Impl {
 public:
  explicit Impl(OracleOptions options);

  // -- court.cc -----------------------------------------------------------------------------------
  DeviceId Expect(const std::string& uid, const std::string& device);
  void Gone(DeviceId device, Now now);
  void At(DeviceId device, std::string_view broker);
  void Took(DeviceId device, const Happening& happening, Now now);
  void Disturbed(Now now, std::string what, bool sessions_may_die);
  void ChatChanges(const v1::ChatChange& change);
  Tally Count() const;
  bool Settled() const;
  std::string Outstanding() const;
  void Finish(Now now);
  std::vector<std::string> Recipients(const std::string& chat_id, uint64_t msg_id) const;
  std::vector<std::string> Chats() const;
  size_t MemoryBytes() const;
  const std::vector<Violation>& violations() const { return violations_; }

  // -- reads.cc -----------------------------------------------------------------------------------
  void HistoryBegins(const std::string& chat_id);
  void HistoryPage(const std::string& chat_id, const v1::History& page);
  void HistoryEnds(const std::string& chat_id, Now now);

 private:
  using ChatNo = uint32_t;

  // -- court.cc: book-keeping
  // -----------------------------------------------------------------------
  ChatNo ChatOf(const std::string& chat_id);
  uint32_t UserNo(const std::string& uid);
  uint32_t SlotOf(ChatNo chat, uint32_t device);    // made if need be
  uint32_t ChatUserOf(ChatNo chat, uint32_t user);  // made if need be, with slots
  void AddSlot(ChatNo chat, uint32_t chat_user, uint32_t device);
  // The entry, made if need be. REQUIRES: msg_id > settled_upto.
  judge::Entry& EnsureEntry(ChatNo chat, uint64_t msg_id, uint32_t author, bool change);
  judge::Owed OwedTo(const judge::ChatBook& chat, const judge::Entry& entry,
                     const judge::Slot& slot) const;
  // Works out anew what is owed of one entry, or of all of a chat.
  void Recount(judge::ChatBook& chat, judge::Entry& entry);
  void RecountAll(ChatNo chat);
  void Drop(const judge::Entry& entry);  // out of the sums
  // Folds what is settled.
  void Fold(ChatNo chat);
  std::string Lacking(const judge::ChatBook& chat, const judge::Entry& entry) const;
  std::string MissingMark(ChatNo chat) const;
  bool Answered(const judge::ChatBook& chat, const judge::Entry& entry) const;
  void CheckStray(ChatNo chat, const judge::Entry& entry);
  void Sweep();
  void CheckPassedOver(ChatNo chat, bool final);
  void CheckBound();
  size_t Unsettled() const { return entries_ + sends_; }

  void Break(const char* promise, std::string what, judge::Subject subject);
  judge::Subject About(ChatNo chat, const judge::Entry& entry) const;
  std::string Id(ChatNo chat, uint64_t msg_id) const;
  void Note(judge::Event::Kind kind, uint32_t device, ChatNo chat, uint64_t a, uint64_t b,
            uint16_t extra = 0);

  // -- sends.cc
  // -------------------------------------------------------------------------------------
  void OnWrote(uint32_t device, const Wrote& wrote);
  void OnAccepted(uint32_t device, const SendAccepted& accepted);
  void OnRefused(uint32_t device, const SendRefused& refused);
  // Finds the send that a message was, as far as that can be said; blames if there is none.
  void LinkSeen(ChatNo chat, judge::Entry& entry, uint32_t device, uint64_t client_msg_id);
  void BlameUnwritten(ChatNo chat, judge::Entry& entry);
  bool TakenAtItsWord(ChatNo chat, const judge::Entry& entry);
  judge::OpenSend* FindOpen(judge::ChatBook& chat, uint32_t device, uint64_t client_msg_id);
  judge::OpenSend* FindUnlinked(judge::ChatBook& chat, uint32_t author, uint64_t text);
  void RemoveOpen(judge::ChatBook& chat, judge::OpenSend* send);

  // -- inbox.cc
  // -------------------------------------------------------------------------------------
  void OnSynced(uint32_t device, const Synced& synced);
  void OnDown(uint32_t device);
  void OnMessage(uint32_t device, const MessageCame& came);
  void OnRepeat(uint32_t device, const RepeatCame& repeat);
  void OnChange(uint32_t device, const ChatChanged& changed);
  void OnAck(uint32_t device, uint64_t seq);
  void LearnChat(ChatNo chat, const v1::Chat& info);
  void LearnMoves(ChatNo chat, const v1::ChatChange& change);
  // An inbox entry came to the device with this number.
  void Advance(uint32_t device, uint64_t seq, ChatNo chat, uint64_t msg_id, bool marks);
  void Skipped(uint32_t device, uint64_t upto);
  // `known_acked`: what the user is known to have acknowledged before this sync.
  void PassOver(uint32_t device, const Synced& synced, bool other_epoch, uint64_t acked_before,
                uint64_t known_acked);
  void CheckStart(uint32_t device, const Synced& synced);
  void Saw(uint32_t device, ChatNo chat, judge::Entry& entry, uint64_t seq);
  void SawSettled(uint32_t device, ChatNo chat, uint64_t msg_id, uint64_t seq);
  bool Behind(const judge::DeviceBook& device) const;

  // -- marks.cc
  // -------------------------------------------------------------------------------------
  void OnMark(uint32_t device, const MarkMoved& moved);
  void OnReceipts(uint32_t device, const v1::Receipts& receipts);
  struct MarkCount {
    uint64_t owed = 0, there = 0;
  };
  // f(slot, chat user, owed id, mark) for every mark that must be somewhere.
  template <typename F>
  void ForEachMark(const judge::ChatBook& chat, F&& f) const;
  MarkCount CountMarks(const judge::ChatBook& chat) const;
  void MarksChanged(ChatNo chat);

  // -- reads.cc
  // -------------------------------------------------------------------------------------
  void OnAnswer(uint32_t device, const v1::Response& response);
  void CheckRead(uint32_t device, const google::protobuf::RepeatedPtrField<v1::Message>& messages,
                 bool whole_end);
  void ReadWhole(ChatNo chat, const v1::Message& message);

  OracleOptions options_;
  Now now_;
  int64_t began_ms_ = INT64_MIN;
  int64_t swept_ms_ = INT64_MIN / 2;
  bool blind_ = false;
  judge::Names uids_, chat_ids_, brokers_, device_names_;
  std::vector<judge::UserBook> users_;
  std::vector<std::unique_ptr<judge::ChatBook>> chats_;
  std::vector<judge::DeviceBook> devices_;
  judge::Past past_;
  judge::PresenceJudge presence_;
  std::vector<Violation> violations_;
  Tally tally_;
  uint64_t epoch_ = 0;                // the newest that anybody was told
  int64_t epoch_ms_ = INT64_MIN / 2;  // since when, if not from the beginning
  size_t entries_ = 0, sends_ = 0;
  uint64_t owed_ = 0, seen_left_ = 0;
  mutable std::vector<ChatNo> marks_dirty_;
};

template <typename F>
void Oracle::Impl::ForEachMark(const judge::ChatBook& chat, F&& f) const {
  if (chat.was_large) return;
  for (const judge::Slot& slot : chat.slots) {
    if (slot.newest_own == 0 || devices_[slot.device].gone) continue;
    const judge::ChatUser& self = chat.users[slot.user];
    if (!self.member.in_now()) continue;
    for (const judge::ChatUser& other : chat.users) {
      if (other.user == self.user || users_[other.user].devices.empty()) continue;
      if (!other.member.in_now()) continue;
      // The newest message of this user that the device knows and the other one acknowledged.
      const uint64_t most = std::min(slot.newest_own, other.marked_upto);
      uint64_t owed = self.newest_settled <= most ? self.newest_settled : 0;
      for (size_t i = chat.window.size(); i-- > 0 && chat.window[i].msg_id > owed;) {
        const judge::Entry& entry = chat.window[i];
        if (entry.msg_id > most || entry.change || entry.author != self.user) continue;
        owed = entry.msg_id;
      }
      if (owed == 0 || other.member.Of(owed) != judge::Owed::kYes) continue;
      uint64_t there = 0;
      for (const judge::Mark& mark : slot.marks) {
        if (mark.user == other.user) there = mark.msg_id;
      }
      f(slot, other, owed, there);
    }
  }
}

}  // namespace nightjar::client
