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
struct PendingLogout {
  hub::Logout call;
  bool clearing = false;  // asked for by that stage
};
struct PendingTail {
  std::string uid;
  bool clearing = false;
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
};
struct PendingWatched {  // the present state for a new subscriber
  SessionId session = 0;
  std::string uid;
  Encoding encoding = Encoding::kProtobuf;
  int qos = 0;
};
struct PendingRequest {
  std::unique_ptr<RequestJob> job;
};
struct PendingLease {};
struct PendingTasks {
  std::vector<uint32_t> partitions;
};
struct PendingTaskMembers {
  uint32_t partition = 0;
  uint64_t run = 0;  // of this partition's worker; replies to an earlier run are of no use
  uint64_t position = 0;
};
struct PendingAppend {
  uint32_t partition = 0;
  uint64_t run = 0;
};
struct PendingTrim {
  uint32_t partition = 0;
  uint64_t run = 0;
};
struct PendingListSessions {};
struct PendingIgnored {};

using Pending =
    std::variant<PendingSend, PendingLogin, PendingLogout, PendingTail, PendingRead,
                 PendingReadAcked, PendingAck, PendingHeads, PendingSetPresence, PendingWatched,
                 PendingRequest, PendingLease, PendingTasks, PendingTaskMembers, PendingAppend,
                 PendingTrim, PendingListSessions, PendingIgnored>;

}  // namespace nightjar::core
