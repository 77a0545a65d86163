// Everything the engine knows, in one place. Stages are functions over it; only the engine calls
// them, one after another.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/hub/hub.h"
#include "common/wire/jwt.h"
#include "nightjar/v1/hub.pb.h"
#include "plugin/core/action.h"
#include "plugin/core/chat_cache.h"
#include "plugin/core/directory.h"
#include "plugin/core/engine.h"
#include "plugin/core/pending.h"
#include "plugin/core/timers.h"

namespace nightjar::core {

// An entry just put into inboxes, as the reply to the call that put it there tells it.
struct FreshEntry {
  std::string chat;
  MsgId msg_id = 0;
  std::string author;  // gets `own`; empty for a chat change: all get `shared`
  bool message = true;
  EntryTemplate shared, own;
  SessionId told = 0;  // the connection told Accepted: skips its own entry, whoever brings it
  std::vector<hub::Delivery> deliveries;
  bool task = false;      // the rest is left to a task
  bool look_all = false;  // entries may be there that no reply told of: compare heads
};

// The tasks of one chat, of those that were read together: done in order, while other chats' go on
// beside them. The first `batch` tasks have the same recipients; they are under way together, to
// the recipients from `next` on.
struct FanOutLane {
  std::string chat;
  std::deque<v1::FanOutTask> queue;
  // Good for every task in `queue`: those were accepted before the members were asked for, and
  // intervals tell who was one when.
  std::shared_ptr<const std::vector<hub::Member>> members;
  std::vector<uint32_t> order;  // of `members`: those of one partition together
  size_t batch = 0, next = 0;   // `next` is a place in `order`
  size_t users = 0;             // an Append of this batch
  size_t outstanding = 0;       // appends without reply
  bool failed = false;          // one of them failed
  bool ready = false;           // stands in FanOutState::ready
};

// One partition's fan-out: tasks are read, done, and trimmed; then the next ones.
struct FanOutPartition {
  uint64_t token = 0;  // of the lease; 0: not held
  uint64_t run = 0;    // grows with each start over
  bool busy = false;   // reading, working or trimming
  bool more = false;   // look again when done
  uint64_t upto = 0;   // position after the last task read
  std::vector<FanOutLane> lanes;
  size_t open = 0;          // lanes with something left to do
  bool trim_again = false;  // the trim failed
};

struct FanOutState {
  std::vector<FanOutPartition> partitions;
  std::vector<bool> mine;  // what falls to this broker; empty: the living are not known yet
  std::deque<std::pair<uint32_t, uint32_t>> ready;  // partition, lane: an Append to be put, in turn
  size_t under_way = 0;                             // entries (users x messages) of Appends
  bool leasing = false, lease_again = false;
  bool started = false;
  int64_t asked_at = 0, renewed_at = 0;
  int64_t poll_fast_until = 0;  // tasks may exist: look every second
  bool polling = false;
};

// Heads compared for all devices, in paced batches, after replies may have been lost.
struct SweepState {
  bool started = false;  // the route check's timer runs
  bool running = false;
  bool again = false;           // something was lost while it ran
  std::vector<SessionId> line;  // still to be asked about
};

struct ClearingState {
  // Where the records of a broker's sessions with users of one partition are looked at from.
  struct Page {
    uint32_t partition = 0;
    std::string after;
  };
  std::deque<hub::BrokerName> line;           // dead brokers; claimed by this one
  std::vector<hub::BrokerName> predecessors;  // of this broker, to be said Gone of
  bool wanted = false;                        // own id: something is left over
  int64_t own_at = 0, others_at = 0;          // not before
  int64_t grace_until = 0;                    // nobody of another broker is set offline before
  int64_t armed_at = INT64_MIN;               // a timer is set for then
  uint32_t tries = 0;                         // without success
  // The run at hand, through all pages of all partitions of one broker's records.
  hub::BrokerName at;  // empty: none
  uint64_t run = 0;    // grows with each
  bool fenced = false;
  bool again = false;          // what failed is to be asked for again
  bool failed = false;         // something could not be ended
  std::deque<Page> pages;      // still to be asked for
  size_t asked = 0;            // pages and fences without reply
  size_t under_way = 0;        // calls that end something, without reply
  size_t ended = 0, left = 0;  // ended by this run; records of dead lives that it found
};

// This broker among the living.
struct MembershipState {
  bool registered = true;  // at start the shell has claimed the id already
  bool first = true;       // not confirmed yet in this life
  bool started = false;    // timers run
  bool over = false;       // no beats any more: it has left, or cannot go on
  bool asking = false, again = false;
  int64_t good_since = -1, good_at = 0;  // beats have succeeded without a gap; -1: they have not
  uint64_t epoch = 0, version = 0;
  std::vector<hub::BrokerName> brokers;  // the living, sorted
};

// Logins in the order in which they came. A session stands there once.
struct LoginLine {
  std::deque<SessionId> waiting;
  size_t under_way = 0;
  double tokens = 0;
  int64_t filled_at = INT64_MIN;
  bool armed = false;
};

// Sessions with something to acknowledge to the hub, in the order in which they came. Many devices
// acknowledge in the same moment (what was said in a big group): what others send must not stand
// behind all of them.
struct AckLine {
  std::deque<std::pair<SessionId, uint32_t>> waiting;  // with the inbox's generation
  size_t under_way = 0;
};

// What sessions that go leave to be said, in the order in which they went.
struct SessionLine {
  std::deque<std::variant<PendingLogout, PendingSetPresence>> waiting;
  size_t under_way = 0;
};

struct DrainState {
  bool on = false, leaving = false, emptied = false;
  int64_t kicks_until = 0, until = 0, stepped_at = 0;
  double allowance = 0;
  uint64_t steps = 0;
  std::deque<SessionId> line;
  std::unordered_map<SessionId, int64_t> waits;  // since its turn came, for what is under way
};

struct StoreWait {  // a request put to the persisters
  std::unique_ptr<RequestJob> job;
  std::string payload;
  uint32_t partition = 0;
  bool repeated = false;
};

// At most so many lines of one kind in ten seconds, however many events there are.
struct LogGate {
  int64_t since = INT64_MIN / 2;
  uint32_t lines = 0, dropped = 0;
};

struct Watcher {  // a subscription to somebody's presence
  SessionId session = 0;
  Encoding encoding = Encoding::kProtobuf;
  int qos = 0;
  enum class Shown : uint8_t { kNothing, kOffline, kOnline } shown = Shown::kNothing;
};

// A user whose presence is watched here. The hub is told once, however many watch.
struct Watched {
  std::vector<Watcher> watchers;
  // State::presence_words at the newest word of it that came by relay, and at the newest that came
  // so or in answer to a change of this broker's own.
  uint64_t relayed = 0, newest = 0;
  bool online = false;  // as the newest of these says
  // What is being shown: to the watchers before this place it has been.
  hub::PresenceState state;
  size_t shown_to = 0;
  bool showing = false;  // stands in WatchesState::shows
};

// Users of whom the hub is to be told whether they are watched here, and whose presence is to be
// shown here. Both in bounded steps: a user may have 100,000 watchers, and a broker that many
// users.
struct WatchesState {
  std::deque<std::string> line;
  std::unordered_set<std::string> in_line;
  size_t under_way = 0;  // calls
  bool waits = false;    // one has failed
  std::deque<std::string> shows;
  bool show_armed = false;
  int64_t shown_ms = INT64_MIN;  // mono; of `shown`
  size_t shown = 0;              // watchers looked at in that ms
};

// A user's presence that is to be published: when a grace is over, or again after a failed try.
struct PresenceWait {
  int64_t at = 0;
  bool online = false;
  uint32_t tries = 0;
};

struct State {
  State(Config c, std::shared_ptr<const KeySet> k);
  ~State();

  const Config config;
  uint64_t incarnation;           // of this life: a broker that was cleared begins another
  hub::BrokerName broker;         // "<id>#<incarnation>"
  const std::string reply_topic;  // where persisters answer
  std::shared_ptr<const KeySet> keys;

  // Of the event at hand.
  Now now;
  Actions* out = nullptr;

  Directory directory;
  Timers timers;
  ChatCache chats;
  std::unordered_map<uint64_t, Pending> calls;  // by token
  uint64_t last_token = 0;
  std::unordered_map<uint64_t, StoreWait> store;  // by attempt
  uint64_t last_attempt = 0;
  std::unordered_map<std::string, Watched> watched;  // by uid
  WatchesState watches;
  uint64_t presence_words = 0;  // of changes, this broker's and others', counted
  std::unordered_map<std::string, PresenceWait> presence;  // by "<uid> <broker>"; the newest wins
  std::set<std::pair<int64_t, SessionId>> expiries;        // by whole second
  FanOutState fan_out;
  SweepState sweep;
  ClearingState clearing;
  MembershipState membership;
  LoginLine logins;
  AckLine acks;
  SessionLine session_line;
  DrainState drain;
  size_t logouts = 0;  // without reply, of sessions of this broker
  bool hub_up = false, stopping = false;
  bool hub_partly = false;             // not up, but some of its servers are
  std::optional<int64_t> hub_down_at;  // mono ms; while all of it is away after it was there
  std::map<std::string, LogGate, std::less<>> gates;
  Engine::Stats stats;
};

}  // namespace nightjar::core
