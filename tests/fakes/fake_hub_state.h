// What the fake hub remembers: the hub's state as plain maps, named as in docs/hub.md.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/hub/hub.h"

namespace nightjar::hub::fake {

// 2025, in seconds since 1970: epochs count from then (common/hub/functions/info.lua).
inline constexpr int64_t kEpochFromS = 1'735'689'600;

// The repeat window of one sending device in one chat: client_msg_id -> msg_id.
using Window = std::map<uint64_t, MsgId>;

struct ChatState {
  bool direct = false;
  std::string title;
  bool retired = false;  // the title is in the store only
  int64_t created_ms = 0;
  std::string created_by;
  MsgId last = 0;  // 0: not there yet; what of it has come from the store is not all
  uint64_t version = 0;
  uint64_t task_end = 0;                  // absolute end of the tasks list after this chat's newest
  std::map<std::string, Member> members;  // left ones too
  std::map<std::string, std::vector<Member>> before;  // their times before, the newest last
  std::map<std::string, MsgId> delivered;
  std::map<std::string, std::map<std::string, Window>> windows;  // uid -> device
  std::map<std::string, uint64_t> floors;                        // uid

  bool IsMember(const std::string& uid) const {
    const auto it = members.find(uid);
    return it != members.end() && it->second.left == 0;
  }
  std::vector<std::string> PresentMembers() const;  // sorted
  // A sending device more than a user may have: of all but `except` the one whose newest send is
  // oldest goes, its highest client_msg_id becomes the user's floor.
  void ForgetOldestSender(const std::string& uid, const std::string& except);
};

struct InboxEntry {
  MsgId id = 0;
  std::string bytes;
};

struct Route {
  BrokerName broker;
  uint64_t session = 0;
  friend bool operator==(const Route&, const Route&) = default;
};

struct DeviceState {
  uint64_t acked = 0;
  int64_t last_seen = 0;
  std::optional<Route> route;
  uint64_t order = 0;   // grows with every device that becomes known
  bool resync = false;  // owed: told at every login until the device acknowledges anything
};

struct UserState {
  uint64_t base = 0;  // entries have seqs base + 1 .. head
  std::deque<InboxEntry> inbox;
  std::map<std::string, DeviceState> devices;
  uint64_t devices_seen = 0;             // ever; the next one's order
  std::map<BrokerName, uint32_t> tails;  // only counts > 0
  std::map<std::string, MsgId> chats;    // newest id appended
  uint64_t owed = 0;                     // first seq that still owes a push outcome; 0: none
  bool online = false;
  BrokerName last_out;  // ended the last route while published online; empty: none has
  int64_t last_active = 0;
  std::string name, email;
  std::map<std::string, std::string> push;                       // device -> registration
  std::map<std::pair<std::string, std::string>, int64_t> mutes;  // (chat, "") or ("", device)
  std::set<std::string> watchers;                                // broker ids

  uint64_t head() const { return base + inbox.size(); }
  uint32_t routes() const;
  uint64_t MaxAcked() const;
  bool ReachedThrough(const BrokerName& broker) const;  // a route or a tail there
  std::set<std::string> BrokerIds() const;              // of all routes and tails
};

struct LogState {
  uint64_t base = 0;
  std::deque<std::string> records;
  uint64_t end() const { return base + records.size(); }
};

struct LeaseState {
  uint64_t counter = 0;  // the newest token ever given
  std::string owner;     // empty: free
  int64_t until = 0;
  bool HeldAt(int64_t now) const { return !owner.empty() && now < until; }
};

struct PartitionState {
  LogState journal, tasks;
  std::map<std::string, int64_t> due;  // uid -> since when
  std::map<Role, LeaseState> leases;
  std::vector<DeadLetter> dead;
  std::map<BrokerName, int64_t> fenced;  // since when
};

struct HubState {
  uint64_t epoch = 0;
  std::map<uint32_t, uint64_t> closed;  // partitions that are filled from the store; epoch before
  std::map<std::string, ChatState> chats;
  std::map<std::string, UserState> users;
  std::map<uint32_t, PartitionState> partitions;
  // broker id -> element -> record
  std::map<std::string, std::map<std::string, SessionRecord>> sessions;
  std::map<BrokerName, int64_t> living;  // last beat
  std::map<BrokerName, int64_t> dying;   // end of the claim of who clears it
  uint64_t living_version = 0;
};

}  // namespace nightjar::hub::fake
