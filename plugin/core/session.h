// Who is connected to this broker, and where each stands. Plain state; the stages work on it.
//
// Kept small: an idle device is a Session, an Inbox and a User, a few hundred bytes together. What
// is under way is remembered as (seq, chat, msg_id, author), never as payload: a resend reads the
// hub.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/wire/limits.h"
#include "common/wire/msg_id.h"
#include "common/wire/topics.h"
#include "plugin/core/event.h"

namespace nightjar::core {

// What an acknowledgement needs to know of an inbox entry. Shared by all its recipients.
struct EntryInfo {
  std::string chat;
  std::string author;
  MsgId msg_id = 0;
  bool message = false;  // a chat change moves no delivered mark
};
using EntryRef = std::shared_ptr<const EntryInfo>;

// An inbox entry that the device has not acknowledged.
struct UnderWay {
  EntryRef info;
  uint32_t bytes = 0;  // of its frame; 0: not sent
  bool own = false;    // written on this connection and told Accepted: skipped
};

// A message written on this connection, by its chat's hash: accepted, its entry still to come.
struct OwnTold {
  size_t chat = 0;
  MsgId msg_id = 0;
  friend bool operator==(const OwnTold&, const OwnTold&) = default;
};

// Delivered marks that wait to be handed to the hub, with those to tell once they moved.
struct MarkWork {
  std::string chat;
  MsgId msg_id = 0;
  std::vector<std::string> authors;
};
struct AckWork {
  uint64_t seq = 0;  // 0: nothing
  std::vector<MarkWork> marks;
};

// A device's subscription to its inbox.
// Always acked <= sent <= head, and `flight` describes acked + 1 .. acked + flight.size() >= sent.
struct Inbox {
  Encoding encoding = Encoding::kProtobuf;
  bool brief = false;  // subscribed as "i"
  uint8_t qos = 0;
  bool live = false;           // login answered, sync sent
  bool resync = false;         // as the sync said
  bool reading = false;        // a ReadInbox is under way
  bool reading_acked = false;  // likewise, to know what an acknowledgement covers
  bool ack_busy = false;       // an Ack is under way, or in line, or waits to be tried again
  bool silent_armed = false, close_armed = false;
  uint8_t rounds = 0;  // of redelivery without progress
  uint8_t login_tries = 0;
  uint32_t generation = 0;  // replies of an earlier one are of no use
  uint32_t skips = 0;       // entries skipped since the last frame
  uint32_t window = limits::kWindowBytesFirst;
  uint32_t bytes = 0;  // of frames under way
  uint64_t epoch = 0, acked = 0, sent = 0, head = 0;
  uint64_t ack_wanted = 0;   // acknowledged by the device, but what that covers is being read
  int64_t silent_since = 0;  // last progress, or when something got under way
  std::vector<UnderWay> flight;
  std::vector<OwnTold> own_told;         // own entries told Accepted that are still to be skipped
  AckWork ack;                           // gathered for the next Ack
  std::shared_ptr<const AckWork> asked;  // of the Ack under way; its PendingAck has it too
  std::vector<std::string> held;         // frames that wait for sync, which comes first
};

// A message on its way to the hub.
struct SendJob {
  SessionId session = 0;
  std::string chat, author, device;
  uint64_t client_msg_id = 0;
  bool used_to = false, group = false;
  int64_t received_ms = 0;
  uint32_t text_bytes = 0;
  uint32_t tries = 0;
  EntryTemplate shared, own;
};

// Sends of one session to one group keep their order although a stale membership makes the hub ask
// for them again: while some are to be asked again, later ones wait behind them.
struct SendLane {
  std::string chat;
  uint32_t under_way = 0;
  bool stale = false;
  std::deque<SendJob> waiting;  // those to be asked again, then those that came since
  size_t again = 0;             // how many of `waiting` are of the first kind
};

struct Watch {
  std::string uid;
  Encoding encoding = Encoding::kProtobuf;
};

// What few sessions have.
struct SessionExtra {
  std::string name, email;  // from the token, until the hub knows them
  std::vector<SendLane> lanes;
  std::vector<Watch> watches;
};

struct User;

struct Session {
  SessionId id = 0;
  User* user = nullptr;
  std::string device;
  int64_t expires_ms = 0;
  int64_t bucket_at = 0;  // when `tokens` was right
  float tokens = 0;       // sends it may make at once
  uint32_t max_frame = limits::kMaxFrame;
  uint32_t generations = 0;  // of its inboxes
  uint16_t requests = 0;     // under way
  uint16_t sends = 0;        // likewise
  bool service = false;
  bool replaced = false;     // another connection took its client id, or the broker was cleared:
                             // nothing is taken from it or told to it any more
  bool login_waits = false;  // stands in the line of logins
  bool closing = false;      // kicked
  Encoding form = Encoding::kProtobuf;  // of its last packet: answers without an inbox
  uint8_t tails = 0;                    // bit 0: tail/{uid}, bit 1: json/tail/{uid}
  uint8_t tail_qos[2] = {0, 0};
  std::unique_ptr<Inbox> inbox;
  std::unique_ptr<SessionExtra> extra;

  SessionExtra& more() {
    if (!extra) extra = std::make_unique<SessionExtra>();
    return *extra;
  }
};

// Delivered marks gathered for an author, told together.
struct DeliveredWork {
  struct Chat {
    std::string chat;
    std::vector<std::pair<std::string, MsgId>> marks;
  };
  std::vector<Chat> chats;
};

struct User {
  const std::string* uid = nullptr;  // the key in the directory
  std::vector<Session*> sessions;
  uint32_t tails = 0;                    // tail subscriptions of all of them
  uint8_t tail_tries = 0;                // of telling the hub, without success
  bool tail_again = false;               // to be told again: a timer is set
  int64_t delivered_at = INT64_MIN / 2;  // when a Delivered went out last
  std::unique_ptr<DeliveredWork> delivered;
};

}  // namespace nightjar::core
