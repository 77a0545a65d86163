// What a device keeps about one chat: which messages it has, who is in it, how far they have it.
// A few hundred bytes however long the chat is.
//
// A device has every message up to the newest that came in order (docs/guarantees.md, G3), so one
// number says what is a repeat. Only while a chat is rebuilt after a resync, when history and the
// inbox come side by side, are single ids kept.
//
// Pure; one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nightjar/v1/client.pb.h"

namespace nightjar::client {

class ChatNotes {
 public:
  static constexpr size_t kMostAbove = 10'000;  // ids kept while a chat is rebuilt

  explicit ChatNotes(const std::string& chat_id);

  // -- messages ---------------------------------------------------------------------------------
  // An inbox entry of this chat with this id: true if it is new.
  bool Learn(uint64_t msg_id);
  // The same of a message read from history while the chat is rebuilt.
  bool LearnFromHistory(uint64_t msg_id);
  // A resync passed entries over: nothing above what is held is certain any more.
  void Rebuild();
  // History has been read up to `newest` and back as far as it was wanted.
  void HistoryRead(uint64_t newest);
  // Everything up to here is known.
  uint64_t floor() const { return floor_; }
  // The newest message of this user that the marks of others should reach, known since `since_ms`.
  bool Own(uint64_t msg_id, int64_t since_ms, std::string_view self);
  int64_t own_since_ms() const { return own_since_ms_; }
  void AskedForMarks(int64_t now_ms) { own_since_ms_ = now_ms; }

  // -- people -----------------------------------------------------------------------------------
  // Takes the members over where the list is whole and short enough to have marks.
  void SetMembers(const v1::Chat& chat);
  // True if the mark moved forward.
  bool Mark(std::string_view uid, uint64_t msg_id);
  uint64_t MarkOf(std::string_view uid) const;
  // Somebody's mark has not reached the newest own message.
  bool Misses(std::string_view self) const;

 private:
  struct Rebuilding {
    std::vector<uint64_t> above;  // ascending: known, and above the floor
    uint64_t history_to = 0;      // history is read up to here; 0: not yet
  };
  bool Remember(uint64_t msg_id);
  // Place of a uid in `members_`, or -1.
  int Find(std::string_view uid) const;

  uint64_t floor_ = 0;
  uint64_t newest_own_ = 0;
  int64_t own_since_ms_ = 0;
  std::unique_ptr<Rebuilding> rebuilding_;
  // Uids joined by '\n', and their marks in the same order (shorter: the rest is 0). Strings of
  // their own would cost ten times as much.
  std::string members_;
  std::vector<uint64_t> marks_;
};

}  // namespace nightjar::client
