// What those who keep the store ask of the hub, beside the journal: to take back what the store
// has, to let go of what is idle, to show what could not be stored. A part of the port
// (common/hub/hub.h). docs/storage.md tells when each is done.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/hub/records.h"
#include "common/wire/msg_id.h"

namespace nightjar::hub {

// ---- dead letters -----------------------------------------------------------------------------

// Records that can never be stored, for a person to look at.
struct PutDeadLetter {
  uint32_t partition = 0;
  std::string record, reason;
  int64_t now_ms = 0;
};

// A partition's dead letters, oldest first, from the `from`th on.
struct ListDeadLetters {
  uint32_t partition = 0;
  uint64_t from = 0;
  uint32_t count = 100;
  uint32_t bytes = 1 << 20;  // at least one letter
};
struct DeadLetter {
  int64_t at_ms = 0;
  std::string reason, record;
  friend bool operator==(const DeadLetter&, const DeadLetter&) = default;
};
struct ListDeadLettersReply {
  uint64_t total = 0;
  std::vector<DeadLetter> letters;
  friend bool operator==(const ListDeadLettersReply&, const ListDeadLettersReply&) = default;
};

// Takes one letter out, named by what it is, since places shift. Nothing happens if it is not
// there.
struct DropDeadLetter {
  uint32_t partition = 0;
  DeadLetter letter;
};

// ---- taking back ------------------------------------------------------------------------------

// What the store has of a chat: of a hub that has lost it, or let go of it. Merged with what is
// there, so that it may be repeated, come in parts, and meet a chat that goes on meanwhile: ids,
// marks and floors only grow, of a member's two spans the newer stays, of windows the highest
// client_msg_ids. A chat exists from the part on that names its newest id (last_msg_id not 0):
// bring windows before it.
struct RestoreChat {
  struct Window {  // of one sending device
    std::string uid, device;
    std::vector<std::pair<uint64_t, MsgId>> sent;  // client_msg_id -> msg_id, ascending, at most 16
  };
  struct Floor {
    std::string uid;
    uint64_t client_msg_id = 0;
  };
  ChatRecord record;            // version and member_count are the hub's own: not looked at
  MsgId first_id = 0;           // of a direct chat: its first message
  std::vector<Member> members;  // of a group
  std::vector<Mark> delivered;
  std::vector<Window> windows;
  std::vector<Floor> floors;
};

// What the store has of a user; merged likewise: what the hub has of a name, registration or mute
// stays. Devices that the hub does not know are told to resync when they come, if it had no entries
// of the user before.
struct RestoreUser {
  struct Push {
    std::string device, registration;  // serialized RegisterPush
  };
  struct Mute {
    std::string chat, device;  // one of them
    int64_t until_ms = 0;      // -1: for ever
  };
  std::string uid, name, email;
  // With the newest id. Where partitions are open, leave it empty: of a message up to that id that
  // a task is yet to bring, the user would be taken to have it.
  std::vector<std::pair<std::string, MsgId>> chats;
  std::vector<Push> push;
  std::vector<Mute> mutes;
};

// Closes partitions while they are filled from the store: everybody else finds no hub there and
// waits (who is connected still sends into chats that are there, until it asks for anything else).
// Opened again they have an epoch that never was, so that all devices start anew. Repeated, each
// does nothing. A partition whose journal a persister has leased is not closed: kInternal. Over
// Redis: of a connection with RedisOptions::rebuilding.
struct Rebuild {
  std::vector<uint32_t> partitions;
  bool closed = false;
  // Of closed = false: what was closed is opened. A partition that was not closed stays as it is.
};

// ---- letting go -------------------------------------------------------------------------------

// Chats and users of one partition that nobody used since idle_since_ms lose what can be read from
// the store: titles, names, marks of who is no member any more, inbox entries beyond their age.
// What send, append, login and ack decide by stays. REQUIRES: the store has them, and all that was
// journalled of them until then.
inline constexpr uint32_t kRetireEntries = 1000;
struct Retire {
  uint32_t partition = 0;
  std::vector<std::string> chats, uids;  // at most 64 together
  int64_t idle_since_ms = 0;
};
struct RetireReply {
  uint32_t chats = 0, users = 0;  // that lost something
  uint64_t entries = 0;           // of inboxes; at kRetireEntries there may be more
  friend bool operator==(const RetireReply&, const RetireReply&) = default;
};

}  // namespace nightjar::hub
