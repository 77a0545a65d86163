// The unacknowledged part of a user's inbox, read a page at a time and kept small: what there is of
// each chat, and which entries owe an outcome.
//
// One owner, no I/O. Memory: limits::kInboxEntries numbers and one message a chat at most; the
// caller bounds it further by reading no more than `kScanEntries`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/wire/msg_id.h"
#include "notifier/core/user_state.h"

namespace nightjar::notify {

// A round looks at no more entries than this; what lies beyond has its turn in the next.
inline constexpr uint64_t kScanEntries = 1000;
// A round starts before what is owed, to count all that is unread, if everything up to the head can
// be looked at; else the count begins at what is owed. Returns the first seq to read.
uint64_t ScanFrom(const UserState& user);

class Digest {
 public:
  struct Chat {
    std::string id;
    uint32_t unread = 0;  // others' messages that no device has acknowledged
    // The newest message of others.
    MsgId newest = 0;
    std::string author, text;
    bool content = false;  // it carries content_url
  };
  // A message that owes an outcome.
  struct Owed {
    uint64_t seq = 0;
    MsgId msg_id = 0;
    uint32_t chat = 0;  // index in chats()
  };

  // Of whose inbox it is.
  explicit Digest(const UserState& user)
      : uid_(user.uid), owed_from_(user.owed), acked_(user.acked) {}

  // The next entry: a serialized ServerFrame, as the hub keeps it. REQUIRES: seq is above those
  // before. The user's own messages, chat changes and what is no message owe nothing and count as
  // nothing; so does an entry that cannot be read, which is counted as damaged.
  void Add(uint64_t seq, std::string_view entry);

  uint64_t upto() const { return upto_; }  // the last seq added; 0: none
  uint32_t unread() const { return unread_; }
  uint32_t damaged() const { return damaged_; }
  const std::vector<Chat>& chats() const { return chats_; }
  const std::vector<Owed>& owed() const { return owed_; }  // in seq order

 private:
  std::string uid_;
  uint64_t owed_from_, acked_;
  uint64_t upto_ = 0;
  uint32_t unread_ = 0, damaged_ = 0;
  std::vector<Chat> chats_;
  std::vector<Owed> owed_;
  std::unordered_map<std::string, uint32_t> index_;
};

}  // namespace nightjar::notify
