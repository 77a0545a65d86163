// The hub, as everything above it sees it: calls with their replies, and a port to submit them to.
//
// The hub is where chat is decided and where what is hot is remembered: journal, inboxes, cursors,
// routes, presence. Every call is one atomic step on the hub. docs/hub.md names the keys and says
// what each call reads and writes; common/hub/functions/*.lua are the steps, common/hub/redis/
// speaks to Redis, tests/fakes/fake_hub.h is the same in memory, and tests/contract/ holds the two
// to each other.
//
// Calls and replies are plain values. Times are Unix ms unless named otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/hub/brokers.h"
#include "common/hub/keeping.h"
#include "common/hub/records.h"
#include "common/wire/msg_id.h"

namespace nightjar::hub {

// ---- messages ---------------------------------------------------------------------------------

// An entry was put into uid's inbox at `seq`. The caller is told of users with a session or a tail
// on it; the other brokers that have some are told by relay (below).
struct Delivery {
  std::string uid;
  uint64_t seq = 0;
  friend bool operator==(const Delivery&, const Delivery&) = default;
};

// Accept a message: repeat window, membership, id, journal; then the inboxes of all members (at
// most limits::kInlineMembers, no fan-out of this chat open, not by_task) or a fan-out task. The
// author's own copy is left out if the only device the user has is the sending one and nobody
// watches the user's tail; Chats still learn the id.
struct Send {
  std::string chat;  // well-formed; a direct chat is created by its first message
  std::string author, device;
  uint64_t client_msg_id = 0;  // 0: no protection against repeats
  int64_t received_ms = 0;     // the broker's stamp; held to the hub's clock
  uint64_t version = 0;        // groups: the membership version that `members` is of; 0: unknown
  std::vector<std::string>
      members;              // direct: both (or the one); groups of up to kInlineMembers: all
  uint32_t text_bytes = 0;  // checked against limits::kTextBigChat in big chats
  EntryTemplate shared;     // for everybody else
  EntryTemplate own;        // for the author's devices, and the journal
  BrokerName broker;
  // Fan-out is left to a task, however few the members are: not all of their inboxes are where the
  // chat is. What the caller knows of a group's members is not asked for then (never kStale). Of
  // CreateChat and UpdateChat alike.
  bool by_task = false;
};
struct SendReply {
  enum class Outcome {
    kAccepted,
    kRepeat,       // msg_id is the first one's; nothing was changed
    kStale,        // nothing was changed; version and members are the present ones: ask again
    kDenied,       // no such chat, or the author is no member
    kBelowWindow,  // client_msg_id is below what is remembered; not stored by this try
    kTooLong,      // text_bytes beyond the limit of big chats
    kFull,         // journal, tasks or memory at their bound; not stored
  };
  Outcome outcome = Outcome::kAccepted;
  MsgId msg_id = 0;
  std::vector<Delivery> deliveries;
  bool task = false;                 // fan-out is left to a task in the chat's partition
  uint64_t version = 0;              // kStale
  std::vector<std::string> members;  // kStale: if at most kInlineMembers, else empty
  friend bool operator==(const SendReply&, const SendReply&) = default;
};

// Put entries of one chat into inboxes, for fan-out tasks: every one of `messages` for every one of
// `uids`. Idempotent: a user is passed over with the messages that are not above the newest id
// appended for them of this chat. At most 64 users and kAppendMessages messages a call; the caller
// keeps users x bytes in bounds, so that a call never holds the hub for more than a few ms.
inline constexpr size_t kAppendMessages = 16;
struct Append {
  struct Message {
    MsgId msg_id = 0;                   // ascending
    std::string author, author_device;  // of a chat change: both empty; everybody gets `shared`
    std::string shared, own;            // complete entries
  };
  std::string chat;
  std::vector<Message> messages;
  std::vector<std::string> uids;
  BrokerName broker;
};
struct AppendReply {
  std::vector<std::vector<Delivery>> deliveries;  // of each message
  friend bool operator==(const AppendReply&, const AppendReply&) = default;
};

// ---- chats ------------------------------------------------------------------------------------

// What a chat is: records.h.

// Create a group. A repeat (same chat id) finds the chat: created = false, nothing changed.
struct CreateChat {
  std::string chat, creator, device, title;
  std::vector<std::string> members;  // with the creator; distinct
  int64_t received_ms = 0;
  EntryTemplate change;  // ChatChange, KIND CREATED: appended and journalled
  BrokerName broker;
  bool by_task = false;
};
// Change title and membership. Refused as kStale unless the chat's version is still `version`: the
// caller reads again and works the change out anew.
struct UpdateChat {
  std::string chat, by, device;
  uint64_t version = 0;
  std::optional<std::string> title;
  std::vector<std::string> add, remove;  // only real changes: adds are no members, removes are
  int64_t received_ms = 0;
  EntryTemplate change;
  BrokerName broker;
  bool by_task = false;
};
struct ChangeReply {
  enum class Outcome { kDone, kExists, kStale, kDenied, kFull };
  Outcome outcome = Outcome::kDone;
  MsgId msg_id = 0;
  ChatRecord record;  // kDone: after the change; kExists, kStale: as it is
  std::vector<Delivery> deliveries;
  bool task = false;
  friend bool operator==(const ChangeReply&, const ChangeReply&) = default;
};

// The chat's record and its members, unless the caller has them at this version already.
struct GetChat {
  std::string chat;
  uint64_t known_version = 0;  // 0: none
  bool members = false;        // with `members`: in uid order, left ones too
};
struct GetChatReply {
  bool found = false;
  ChatRecord record;
  bool members_included = false;
  std::vector<Member> members;
  friend bool operator==(const GetChatReply&, const GetChatReply&) = default;
};

// Delivered marks, of chats that uid is a member of; others are left out of the reply.
struct GetReceipts {
  std::string uid;
  std::vector<std::string> chats;
};
struct GetReceiptsReply {
  struct Chat {
    std::string chat;
    std::vector<Mark> marks;  // in uid order
    friend bool operator==(const Chat&, const Chat&) = default;
  };
  std::vector<Chat> chats;  // in the order asked
  friend bool operator==(const GetReceiptsReply&, const GetReceiptsReply&) = default;
};

// Chats that have an entry in uid's list, with the newest id appended for uid. Unordered; left
// chats are still in it.
struct UserChats {
  std::string uid;
};
struct UserChatsReply {
  std::vector<std::pair<std::string, MsgId>> chats;  // in chat id order
  friend bool operator==(const UserChatsReply&, const UserChatsReply&) = default;
};

// ---- sessions and inboxes ---------------------------------------------------------------------

// A device subscribed to its inbox: writes the route and returns where it stands. A device not
// known before starts after the furthest acknowledgement of the user's devices; the 17th device
// makes the hub forget the one longest unseen (never one with a route).
struct Login {
  std::string uid, device;
  BrokerName broker;
  uint64_t session = 0;  // the broker's own generation; a later Logout must show it
  int64_t now_ms = 0;
  std::string name, email;  // from the token; empty: leave as known
};
struct LoginReply {
  uint64_t epoch = 0;
  uint64_t start = 0;  // acknowledged by this device
  uint64_t head = 0;
  bool resync = false;         // see Sync in client.proto
  BrokerName previous_broker;  // route that this one replaced; empty: none. Another broker than the
  uint64_t previous_session = 0;  // caller has been told by relay to end that session
  bool online = false;            // as presence stands published now
  bool cleared = false;           // the calling broker is fenced: nothing was done, nothing
                                  // else of this reply counts
  friend bool operator==(const LoginReply&, const LoginReply&) = default;
};

// The device's session is over. Deletes the route if it is still this session's. The user's last
// route gone with something owed: the user becomes due for push.
struct Logout {
  std::string uid, device;
  BrokerName broker;
  uint64_t session = 0;
  int64_t now_ms = 0;
};
struct LogoutReply {
  bool removed = false;  // false: another session holds the route by now
  uint32_t routes = 0;   // the user's, after this
  bool online = false;   // presence as published
  friend bool operator==(const LogoutReply&, const LogoutReply&) = default;
};

// How many tail subscriptions uid has on this broker now; 0: none any more. The absolute number,
// not a step, so that a repeat after a lost reply does no harm. A count above 0 of a broker that is
// fenced changes nothing: it would stay behind when the broker has been cleared.
struct Tail {
  std::string uid;
  BrokerName broker;
  uint32_t count = 0;
};

// What sessions of a broker with users of one partition are recorded, of all its incarnations: for
// clearing what a dead one left. They are kept under the broker's id (the part of its name before
// '#'). In a fixed order; pages by `after`.
struct ListSessions {
  BrokerName broker;  // any incarnation of it
  uint32_t partition = 0;
  std::string after;  // `next` of the page before; empty: from the first
  uint32_t limit = 256;
};
struct SessionRecord {
  std::string uid, device;  // an empty device: a tail
  uint64_t session = 0;
  BrokerName broker;  // with the incarnation that wrote it
  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};
// How a record is kept, and the order (of bytes) in which pages come; `next` is one of these.
inline std::string SessionElement(const SessionRecord& record) {
  return record.uid + ':' + record.device + ':' + std::to_string(record.session) + ':' +
         record.broker;
}
struct ListSessionsReply {
  std::vector<SessionRecord> sessions;  // in the order of SessionElement
  std::string next;                     // empty: that was all; else opaque
  friend bool operator==(const ListSessionsReply&, const ListSessionsReply&) = default;
};

// Entries from seq `from` on: until `count`, `bytes` (at least one) or the head. Entries below the
// inbox's base are gone: `first` says where the reply really begins.
struct ReadInbox {
  std::string uid;
  uint64_t from = 1;
  uint32_t count = 64;
  uint32_t bytes = 64 * 1024;
};
struct ReadInboxReply {
  uint64_t first = 0;  // seq of entries[0]; from (or base + 1) if there are none
  uint64_t head = 0;
  std::vector<std::string> entries;
  friend bool operator==(const ReadInboxReply&, const ReadInboxReply&) = default;
};

// The device has everything up to seq. Marks move first, then the cursor, in one step; both only
// forward. (Over SplitHub in several steps: marks of an ack that is refused have moved there.)
// Frees inbox entries that every known device has acknowledged.
struct Ack {
  struct ChatMark {
    std::string chat;
    MsgId msg_id = 0;  // newest of others' messages in this chat that the ack covers
    std::vector<std::string>
        authors;  // of those messages: other brokers where they are connected are
                  // told by relay, if the mark moves and the chat is small enough
  };
  std::string uid, device;
  uint64_t epoch = 0, seq = 0;
  std::vector<ChatMark> marks;
  int64_t now_ms = 0;
  BrokerName broker;
};
struct AckReply {
  enum class Outcome { kDone, kBeyondHead, kOtherEpoch, kUnknownDevice };
  Outcome outcome = Outcome::kDone;
  uint64_t acked = 0;  // the device's cursor after this
  // Of `marks`, by index: which moved, and whether the chat is small enough to tell authors.
  struct Moved {
    uint32_t mark = 0;
    bool tell = false;
    friend bool operator==(const Moved&, const Moved&) = default;
  };
  std::vector<Moved> moved;
  friend bool operator==(const AckReply&, const AckReply&) = default;
};

// An ack taken apart, for users, chats and authors that are not in one place (SplitHub): a mark
// alone, with its record for the journal; and telling the other brokers of one author.
struct MoveMark {
  std::string uid, chat;
  MsgId msg_id = 0;
};
struct MoveMarkReply {
  bool moved = false;
  bool tell = false;  // it moved, and the chat is small enough to tell authors
  friend bool operator==(const MoveMarkReply&, const MoveMarkReply&) = default;
};
struct TellMark {  // answered by Done; repeated, it tells again
  std::string author, chat, uid;
  MsgId msg_id = 0;
  BrokerName broker;
};

// Where sessions of the calling broker stand: to make good what may have been lost (replies,
// relayed messages, the route itself).
struct Heads {
  struct Of {
    std::string uid, device;
    uint64_t session = 0;
  };
  std::vector<Of> sessions;
  BrokerName broker;
};
struct HeadsReply {
  enum class Route { kMine, kNone, kOther };  // kOther: another session of the device has it
  struct Stand {
    uint64_t epoch = 0;  // of the user's partition
    uint64_t head = 0;   // 0 for a user never seen
    Route route = Route::kNone;
    friend bool operator==(const Stand&, const Stand&) = default;
  };
  std::vector<Stand> sessions;  // in the order asked
  friend bool operator==(const HeadsReply&, const HeadsReply&) = default;
};

struct GetDevice {  // whoami
  std::string uid, device;
};
struct GetDeviceReply {
  uint64_t epoch = 0, head = 0, acked = 0;
  friend bool operator==(const GetDeviceReply&, const GetDeviceReply&) = default;
};

// ---- presence ---------------------------------------------------------------------------------

// Make presence what the routes say, once the core's debounce or grace is over: online if uid has a
// route and offline if not; `session` record of a logged-out session is removed with it. A change
// is relayed to every other broker that watches uid. Offline in the name of the broker where the
// last route was ended only: to others the user may have been gone for longer, and come back
// elsewhere meanwhile.
struct SetPresence {
  std::string uid;
  bool online = false;  // what the caller believes; nothing happens if the routes disagree
  BrokerName broker;
  int64_t now_ms = 0;
};
struct PresenceState {
  std::string uid;
  bool online = false;
  int64_t last_active_ms = 0;
  friend bool operator==(const PresenceState&, const PresenceState&) = default;
};
struct SetPresenceReply {
  bool changed = false;
  PresenceState state;
  friend bool operator==(const SetPresenceReply&, const SetPresenceReply&) = default;
};

struct GetPresence {
  std::vector<std::string> uids;
};
struct GetPresenceReply {
  std::vector<PresenceState> states;  // in the order asked
  friend bool operator==(const GetPresenceReply&, const GetPresenceReply&) = default;
};

// Whether the calling broker has subscribers to the presence of `uids`. One interest a broker id,
// however many its subscribers are; a broker of which nobody listens is forgotten at the next
// change, and says its interests again when its relay comes up. Who is told of somebody that none
// of its subscribers watches any more (its predecessor watched) says so by on = false. Replies with
// the present states, also then.
struct Watch {
  std::vector<std::string> uids;
  BrokerName broker;
  bool on = true;
};
struct WatchReply {
  std::vector<PresenceState> states;  // in the order asked
  friend bool operator==(const WatchReply&, const WatchReply&) = default;
};

// ---- relay -------------------------------------------------------------------------------------

// What the hub tells a broker in the middle of another's call: over a channel of the broker id and
// of the partition that the call is of (keys::RelayChannel), as a serialized v1::Relayed. It may be
// lost (while the broker's subscription is away), never changed or doubled within one subscription;
// whoever was away compares heads and says its watches again.
//
// Told is every broker id but the caller's, once, whatever the incarnation that a route or a tail
// names. One message a broker and distinct entry (over SplitHub: and partition of recipients): in
// the order of a call's messages, of one message `shared` before `own`; deliveries in the order of
// the call's recipients.
struct RelayedEntry {  // put into inboxes
  std::string entry;   // complete, without seq
  std::vector<Delivery> deliveries;
  friend bool operator==(const RelayedEntry&, const RelayedEntry&) = default;
};
struct RelayedMark {  // uid has everything in the chat up to msg_id; for author's devices. In the
                      // order of the ack's marks, of a mark in that of its authors
  std::string author, chat, uid;
  MsgId msg_id = 0;
  friend bool operator==(const RelayedMark&, const RelayedMark&) = default;
};
struct RelayedKick {  // the device is connected elsewhere now
  std::string uid, device;
  uint64_t session = 0;
  BrokerName broker;  // in whose numbering `session` is: this broker, maybe in an earlier life
  friend bool operator==(const RelayedKick&, const RelayedKick&) = default;
};
struct RelayedTask {  // work in a partition whose fan-out lease this broker holds; after what else
                      // the call has to tell. The caller as the holder is told by the reply
  uint32_t partition = 0;
  friend bool operator==(const RelayedTask&, const RelayedTask&) = default;
};
using Relayed = std::variant<RelayedEntry, RelayedMark, PresenceState, RelayedKick, RelayedTask>;

// ---- push settings (stored now, used by the notifier) -----------------------------------------

struct PutPush {
  std::string uid, device;
  std::string registration;  // serialized RegisterPush; empty: unregister
  std::string journal;       // serialized JournalRecord
};
struct PutMute {
  std::string uid, device;  // device counts when chat is empty
  std::string chat;
  int64_t until_ms = 0;  // 0: unmute, -1: for ever
  std::string journal;
};

// ---- work held by lease -----------------------------------------------------------------------

enum class Role { kFanOut, kPersist, kNotify };

// Take or renew the leases of partitions. Tokens are never reused, not even by a hub that has lost
// its data; a renewal keeps its token. A restart of Redis ends all leases.
struct Lease {
  Role role = Role::kFanOut;
  std::string owner;  // unique per process life; of kFanOut the broker's name, to relay tasks to
  std::vector<uint32_t> partitions;
  int64_t ttl_ms = 5000;  // 0: give back
};
struct LeaseReply {
  std::vector<uint64_t> tokens;  // in the order asked; 0: somebody else's (or given back)
  friend bool operator==(const LeaseReply&, const LeaseReply&) = default;
};

enum class Log { kJournal, kTasks };

// The oldest elements of partitions' logs, without taking them out. Partitions with nothing there
// are left out of the reply.
struct ReadLog {
  Log log = Log::kJournal;
  std::vector<uint32_t> partitions;
  uint64_t from = 0;         // absolute position; 0 (or below the base): from the base. One
                             // partition only, if not 0
  uint32_t count = 256;      // per partition
  uint32_t bytes = 1 << 20;  // over all; at least one element of the first (over SplitHub: of each)
};
struct LogSlice {
  uint32_t partition = 0;
  uint64_t first = 0;  // absolute position of records[0]
  uint64_t end = 0;    // one past the newest record there is
  std::vector<std::string> records;
  friend bool operator==(const LogSlice&, const LogSlice&) = default;
};
struct ReadLogReply {
  std::vector<LogSlice> slices;
  friend bool operator==(const ReadLogReply&, const ReadLogReply&) = default;
};

// Drop a log's elements below the absolute position `upto`. Nothing happens for a partition whose
// lease (of kPersist for the journal, kFanOut for tasks) does not hold this token, or whose log
// ends before `upto`; repeated, a trim does nothing.
struct TrimLog {
  Log log = Log::kJournal;
  struct Upto {
    uint32_t partition = 0;
    uint64_t token = 0;
    uint64_t upto = 0;
  };
  std::vector<Upto> partitions;
};
struct TrimLogReply {
  // In the order asked. False: nothing was dropped; the caller has lost the lease, or has read a
  // log that is no more, and begins anew with a new lease.
  std::vector<bool> held;
  friend bool operator==(const TrimLogReply&, const TrimLogReply&) = default;
};

// ---- the hub itself ---------------------------------------------------------------------------

struct Info {};
struct InfoReply {
  uint64_t layout = 0;
  uint32_t partitions = 0;
  // Seqs are of an epoch, which each partition has for itself; this is the first partition's. It
  // comes from the clock when the hub is set up (seconds since 2025, at least 1) and is raised by a
  // rebuild; a hub that has lost its data is set up with another one than before.
  uint64_t epoch = 0;
  friend bool operator==(const InfoReply&, const InfoReply&) = default;
};

// Reply of calls that return nothing but "done".
struct Done {
  friend bool operator==(const Done&, const Done&) = default;
};

// The call was not (or not surely) carried out.
struct Failure {
  enum class Kind {
    kUnavailable,  // not within its time; may or may not have taken effect
    kFull,         // the hub's memory or the queue towards it is at its bound; no effect
    kInternal,     // the hub says something is wrong; a bug or a damaged hub; see message
  };
  Kind kind = Kind::kUnavailable;
  std::string message;
  friend bool operator==(const Failure&, const Failure&) = default;
};

using Call = std::variant<Send, Append, CreateChat, UpdateChat, GetChat, GetReceipts, UserChats,
                          Login, Logout, Tail, ListSessions, ReadInbox, Ack, MoveMark, TellMark,
                          Heads, GetDevice, SetPresence, GetPresence, Watch, Beat, Fence, Gone,
                          PutPush, PutMute, Lease, ReadLog, TrimLog, PutDeadLetter, ListDeadLetters,
                          DropDeadLetter, RestoreChat, RestoreUser, Rebuild, Retire, Info>;
using Reply =
    std::variant<Failure, SendReply, AppendReply, ChangeReply, GetChatReply, GetReceiptsReply,
                 UserChatsReply, LoginReply, LogoutReply, ListSessionsReply, ReadInboxReply,
                 AckReply, MoveMarkReply, HeadsReply, GetDeviceReply, SetPresenceReply,
                 GetPresenceReply, WatchReply, BeatReply, LeaseReply, ReadLogReply, TrimLogReply,
                 ListDeadLettersReply, RetireReply, InfoReply, Done>;

// How a call is answered. Exactly once per Submit, on the hub's own thread.
using Callback = std::function<void(Reply)>;

// Any number of calls may be under way; calls about one chat or one user take effect in the order
// of submission. While the hub is away calls wait, bounded in number, bytes and time (10 s unless
// configured), then fail as kUnavailable; after a reconnect those that may be repeated are
// repeated.
class Hub {
 public:
  virtual ~Hub() = default;
  // Any thread. Returns at once.
  virtual void Submit(Call call, Callback done) = 0;
};

}  // namespace nightjar::hub
