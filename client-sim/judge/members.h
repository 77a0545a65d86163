// Who was in a chat when, as far as the changes that devices were told say.
//
// Plain value; one owner.
#pragma once

#include <cstdint>
#include <vector>

namespace nightjar::client::judge {

enum class Owed : uint8_t {
  kNo,     // no member: getting it by inbox breaks G10
  kMaybe,  // both is right
  kYes,
};

// The comings and goings of one user in one chat. Changes may be learned in any order.
class Membership {
 public:
  // In the chat from the beginning, for good (direct chats).
  void Always() { moves_ = {{0, Where::kIn}}; }
  // In the chat at this point, since when is not known. Only where nothing else is.
  void Present(uint64_t msg_id) {
    if (moves_.empty()) moves_ = {{msg_id, Where::kInBefore}};
  }
  // What is known is not true any more, and nobody was told the change: it was lost with an epoch.
  void Doubt() {
    if (moves_.empty()) moves_ = {{0, Where::kUnsure}};
    if (moves_.back().where == Where::kUnsure) return;
    moves_.push_back({moves_.back().msg_id + 1, Where::kUnsure});
  }
  // True if it was not known.
  bool Moved(uint64_t msg_id, bool in) {
    const Where where = in ? Where::kIn : Where::kOut;
    auto at = moves_.begin();
    while (at != moves_.end() && at->msg_id < msg_id) ++at;
    if (at != moves_.end() && at->msg_id == msg_id && at->where == where) return false;
    moves_.insert(at, {msg_id, where});
    return true;
  }
  // Out at some time after this entry.
  bool LeftAfter(uint64_t msg_id) const {
    for (const Move& move : moves_) {
      if (move.msg_id > msg_id && move.where == Where::kOut) return true;
    }
    return false;
  }
  // Let in by a change after `after` and before `before`.
  bool LetInBetween(uint64_t after, uint64_t before) const {
    for (const Move& move : moves_) {
      if (move.msg_id > after && move.msg_id < before && move.where == Where::kIn) return true;
    }
    return false;
  }
  // Let in before this entry, after having been out.
  bool CameBackBefore(uint64_t msg_id) const {
    bool was_out = false;
    for (const Move& move : moves_) {
      if (move.msg_id >= msg_id) break;
      if (was_out && move.where == Where::kIn) return true;
      was_out = was_out || move.where == Where::kOut;
    }
    return false;
  }
  bool known() const { return !moves_.empty(); }
  bool in_now() const {
    return !moves_.empty() &&
           (moves_.back().where == Where::kIn || moves_.back().where == Where::kInBefore);
  }

  // Whether the entry with this id is for this user. The removal itself is told to the removed one;
  // what is written while a user is out is not for them, however soon they come back.
  Owed Of(uint64_t msg_id) const {
    if (moves_.empty()) return Owed::kMaybe;
    if (msg_id < moves_.front().msg_id) {
      return moves_.front().where == Where::kIn ? Owed::kNo : Owed::kMaybe;
    }
    size_t last = 0;
    while (last + 1 < moves_.size() && moves_[last + 1].msg_id <= msg_id) ++last;
    switch (moves_[last].where) {
      case Where::kIn:
      case Where::kInBefore:
        return Owed::kYes;
      case Where::kUnsure:
        return Owed::kMaybe;
      case Where::kOut:
        break;
    }
    if (moves_[last].msg_id == msg_id) return Owed::kYes;
    return Owed::kNo;
  }

 private:
  enum class Where : uint8_t {
    kIn,
    kInBefore,  // was in before already, for who knows how long
    kOut,
    kUnsure,
  };
  struct Move {
    uint64_t msg_id;
    Where where;
  };
  std::vector<Move> moves_;  // by id
};

}  // namespace nightjar::client::judge
