// What the core remembers of each call it has put to the hub, to know what its reply means.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "common/hub/hub.h"
#include "plugin/core/request_job.h"
#include "plugin/core/session.h"

namespace nightjar::core {

struct PendingSend {
  SendJob job;
};
struct PendingLogin {
  SessionId session = 0;
  uint32_t generation = 0;
};
// `run`: of the clearing stage, which asked for it; 0: it did not.
struct PendingLogout {
  hub::Logout call;
  uint64_t run = 0;
};
struct PendingTail {
  std::string uid;
  uint64_t run = 0;
};
struct PendingRead {
  SessionId session = 0;
  uint32_t generation = 0;
  uint64_t from = 0;
};
struct PendingReadAcked {  // entries that the device acknowledged but the core knows nothing of
  SessionId session = 0;
  uint32_t generation = 0;
};
struct PendingAck {
  SessionId session = 0;
  uint32_t generation = 0;
  std::string uid;
  std::shared_ptr<const AckWork> work;
};
struct PendingHeads {
  struct Asked {
    SessionId session = 0;
    uint32_t generation = 0;
    uint64_t head = 0;  // as known when the hub was asked
  };
  std::vector<Asked> sessions;
  bool sweep = false;  // part of the sweep over all sessions
};
struct PendingSetPresence {
  hub::SetPresence call;
  uint32_t tries = 0;
  uint64_t words = 0;  // State::presence_words when it was asked
  uint64_t run = 0;    // of the clearing stage
};
struct PendingWatch {
  std::vector<std::string> uids;
  uint64_t words = 0;
  bool on = true;  // they are watched here
};
struct PendingBeat {
  hub::BrokerName broker;
  int64_t asked_at = 0;
};
struct PendingGone {};
struct PendingRequest {
  std::unique_ptr<RequestJob> job;
};
struct PendingLease {
  std::vector<uint32_t> partitions;
};
struct PendingTasks {
  std::vector<uint32_t> partitions;
};
struct PendingTaskMembers {
  uint32_t partition = 0;
  uint64_t run = 0;  // of this partition's worker; replies to an earlier run are of no use
  uint32_t lane = 0;
};
struct PendingAppend {
  uint32_t partition = 0;
  uint64_t run = 0;
  uint32_t lane = 0;
  size_t entries = 0;
};
struct PendingTrim {
  uint32_t partition = 0;
  uint64_t run = 0;
};
struct PendingListSessions {
  uint64_t run = 0;
  uint32_t partition = 0;
  std::string after;
};
struct PendingFence {
  uint64_t run = 0;
};
struct PendingIgnored {};

using Pending = std::variant<PendingSend, PendingLogin, PendingLogout, PendingTail, PendingRead,
                             PendingReadAcked, PendingAck, PendingHeads, PendingSetPresence,
                             PendingWatch, PendingBeat, PendingGone, PendingRequest, PendingLease,
                             PendingTasks, PendingTaskMembers, PendingAppend, PendingTrim,
                             PendingListSessions, PendingFence, PendingIgnored>;

}  // namespace nightjar::core
