// What the judge writes down: devices, users, chats, and of each chat the window of messages that
// are not settled yet. Plain data with its arithmetic; court.h decides with it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "client-sim/judge/basics.h"
#include "client-sim/judge/chain.h"
#include "client-sim/judge/members.h"

namespace nightjar::client::judge {

inline constexpr int64_t kNever = INT64_MAX;

// An entry of a chat (a message or a change) that is not settled.
struct Entry {
  uint64_t msg_id = 0;
  uint64_t text = 0;           // hash
  uint64_t client_msg_id = 0;  // 0: not known
  int64_t known_ms = 0;        // when the judge first heard of it
  int64_t written_ms = kNever;
  int64_t accepted_ms = kNever;
  Bits seen, acked;         // by slot
  uint32_t author = kNone;  // user
  uint32_t device = kNone;  // that wrote it; kNone: not known
  uint32_t owed = 0;        // devices that must get it
  uint32_t seen_left = 0;   // of those, which have not
  uint32_t acked_left = 0;  // of those, which have not acknowledged it
  uint32_t stray = kNone;   // a slot that got it by inbox with its membership in question
  bool change = false;
  bool linked = false;  // to a send that was written; tentatively while not accepted
  bool text_known = false;
  bool in_history = false;
  bool blamed = false;  // said to be lost already
  bool vague = false;   // for some device both getting it and not getting it is right

  bool accepted() const { return accepted_ms != kNever; }
};

// A send without an answer.
struct OpenSend {
  uint64_t client_msg_id = 0;
  uint64_t text = 0;
  uint64_t msg_id = 0;  // the entry that it is taken for; 0: none yet
  int64_t written_ms = 0;
  uint64_t changes_upto = 0;  // the newest change of the chat that was known when it was written
  uint32_t device = kNone;
  bool abandoned = false;  // no answer will come; it may be in the chat, once
};

// A send that was refused because its author was no member.
struct RefusedSend {
  uint64_t text = 0;
  uint64_t changes_upto = 0;  // OpenSend's: refused it was later than that
  uint32_t author = kNone;    // user
};

struct Mark {
  uint32_t user;
  uint64_t msg_id;
  int64_t at_ms;
};

// A device in a chat.
struct Slot {
  uint32_t device = kNone;
  uint32_t user = 0;                 // index in ChatBook::users
  uint64_t optional_upto = 0;        // a resync passed over these: seeing them or not is both right
  uint64_t last_seq_id = 0;          // newest that came by inbox in `session`
  uint64_t inbox_from = UINT64_MAX;  // oldest that came by inbox since a resync passed entries over
  uint64_t newest_own = 0;           // newest message of its own user that it knows
  uint32_t session = 0;
  std::vector<Mark> marks;
};

// A user in a chat.
struct ChatUser {
  uint32_t user = kNone;
  Membership member;
  uint64_t acked_upto = 0;   // newest entry acknowledged or passed over by a device: may be marked
  uint64_t marked_upto = 0;  // newest one acknowledged in this epoch: must be marked
  uint64_t newest_settled = 0;  // newest settled message by this user
};

struct HistoryRead;

struct ChatBook {
  bool direct = false;
  bool members_known = false;
  bool was_large = false;  // more members than delivered marks are sent for, ever
  bool marks_dirty = false;
  uint64_t settled_upto = 0;  // everything up to here is folded into the chain
  uint64_t vague_upto = 0;    // some of those were vague when they were folded
  Chain chain;
  Fifo<Entry> window;  // by id
  std::vector<OpenSend> open;
  Fifo<RefusedSend> refused;  // the newest
  std::vector<ChatUser> users;
  std::vector<Slot> slots;
  std::vector<std::pair<uint32_t, uint32_t>> slot_of;  // (device, slot), by device; if many
  std::vector<std::pair<uint32_t, uint32_t>> user_of;  // (user, index), by user; if many
  std::vector<uint64_t> changes;  // ids of changes that were worked in (membership only)
  std::unique_ptr<HistoryRead> reading;

  uint64_t newest() const { return window.empty() ? settled_upto : window.back().msg_id; }
  // Place of the first entry with an id >= msg_id.
  size_t LowerBound(uint64_t msg_id) const {
    size_t low = 0, high = window.size();
    if (high > 0 && window.back().msg_id < msg_id) return high;
    while (low < high) {
      const size_t middle = (low + high) / 2;
      if (window[middle].msg_id < msg_id) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
  Entry* Find(uint64_t msg_id) {
    const size_t at = LowerBound(msg_id);
    return at < window.size() && window[at].msg_id == msg_id ? &window[at] : nullptr;
  }
};

struct Unacked {
  uint64_t seq = 0;
  uint64_t msg_id = 0;
  uint32_t chat = kNone;
  bool marks = false;  // a message of somebody else: a delivered mark is due
};

struct DeviceBook {
  uint32_t user = kNone;
  std::string name;  // uid:device
  uint16_t broker = 0;
  bool gone = false;
  bool up = false;
  bool session_resynced = false;
  uint32_t session = 0;
  uint64_t epoch = 0;  // 0: never synced
  uint64_t held = 0;
  uint64_t acked = 0;       // as far as the server is known to know
  uint64_t most_acked = 0;  // acknowledgements sent, in this epoch
  uint64_t most_held = 0;   // in this epoch, over all sessions
  uint64_t first_head = 0;  // end of the inbox when the device appeared: it may get all of that
  uint64_t free_upto = 0;   // entries up to here may go by unreported: the device knows them
  uint64_t skips = 0;       // entries that went by without being shown
  uint64_t may_skip = 0;    // own messages and changes, which may go by
  int64_t first_synced_ms = kNever;
  int64_t synced_ms = kNever;
  int64_t session_ms = kNever;  // the first sync of this connection
  int64_t resynced_ms = INT64_MIN / 2;
  int64_t new_epoch_ms = INT64_MIN / 2;  // the last resync for a new epoch
  int64_t passed_ms = INT64_MIN / 2;     // the last resync that passed entries over
  int64_t blind_ms = INT64_MIN / 2;      // the last that passed over what nobody acknowledged
  Fifo<Unacked> unacked;
};

struct UserBook {
  std::string uid;
  uint64_t epoch = 0;
  int64_t epoch_ms = INT64_MIN / 2;        // when a device was first told of it, if not the first
  uint64_t max_seq = 0;                    // seen by anybody in this epoch
  uint64_t max_acked = 0;                  // by any device in this epoch
  uint64_t blind_upto = 0;                 // up to here a resync passed over what nobody had seen
  uint64_t acked_before = 0;               // the same of older epochs: numbers may have gone on
  int64_t passed_over_ms = INT64_MIN / 2;  // last resync that passed entries over
  std::vector<uint32_t> devices;
  std::vector<uint32_t> chats;
};

}  // namespace nightjar::client::judge
