// Everything the engine knows, in one place. Stages are functions over it; only the engine calls
// them, one after another.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
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
  SessionId told = 0;  // the connection told Accepted: skips its own entry
  std::vector<hub::Delivery> deliveries;
  bool task = false;      // the rest is left to a task
  bool look_all = false;  // entries may be there that no reply told of: compare heads
};

// One partition's fan-out.
struct FanOutPartition {
  struct Task {
    uint64_t position = 0;
    v1::FanOutTask task;
  };
  uint64_t token = 0;      // of the lease; 0: not held
  uint64_t run = 0;        // grows with each start over
  bool busy = false;       // reading, working or trimming
  bool more = false;       // look again when done
  bool failed = false;     // a step of the task at hand failed
  size_t outstanding = 0;  // appends without reply
  uint64_t done = 0;       // position after the last finished task
  uint64_t end = 0;        // of the log, as last seen
  std::deque<Task> queue;
  // Members of the chat at hand. Good for every task of it in `queue`: those were accepted before
  // the members were asked for, and intervals tell who was one when.
  CachedChat members;
};

struct FanOutState {
  std::vector<FanOutPartition> partitions;
  bool leasing = false;
  bool started = false;
  int64_t asked_at = 0, renewed_at = 0;
  int64_t poll_fast_until = 0;  // tasks may exist: look every second
  bool polling = false;
};

// Heads compared for all devices, in paced batches, after replies may have been lost.
struct SweepState {
  bool running = false;
  bool again = false;           // something was lost while it ran
  std::vector<SessionId> line;  // still to be asked about
};

struct ClearingState {
  bool started = false;     // there was a first run
  bool running = false;     // a page is asked for, or what it named is being ended
  bool wanted = false;      // something was not ended: list again, after this run if one is on
  bool armed = false;       // a timer is to go on
  uint32_t tries = 0;       // without success
  size_t under_way = 0;     // calls of this page without reply
  size_t ended = 0;         // by this run
  std::string after, next;  // of the page at hand, and of the one behind it
};

struct StoreWait {  // a request put to the persisters
  std::unique_ptr<RequestJob> job;
  std::string topic, payload;
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
  bool asking = false;  // for the present state, which comes first
  enum class Shown : uint8_t { kNothing, kOffline, kOnline } shown = Shown::kNothing;
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
  const hub::BrokerName broker;   // "<id>#<incarnation>"
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
  std::unordered_map<std::string, std::vector<Watcher>> watchers;  // by uid watched
  std::unordered_map<std::string, PresenceWait> presence;  // by "<uid> <broker>"; the newest wins
  std::set<std::pair<int64_t, SessionId>> expiries;        // by whole second
  FanOutState fan_out;
  SweepState sweep;
  ClearingState clearing;
  bool hub_up = false, stopping = false;
  std::map<std::string, LogGate, std::less<>> gates;
  Engine::Stats stats;
};

}  // namespace nightjar::core
