// What of the hub a call touches, and how one that touches several partitions becomes calls of one
// partition each. In a Redis Cluster a call may touch one partition only.
//
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/hub/hub.h"

namespace nightjar::hub {

// The partition of everything that the call touches; nullopt: it touches several, and must be split
// (or, a send that is not by_task, may). A call about nothing (empty lists) is of partition 0. An
// Ack with marks is always of several: whether its chats and authors are in the user's partition is
// not looked at, nor are the members of a chat that an UpdateChat does not name.
std::optional<uint32_t> PartitionOfCall(const Call& call, uint32_t partitions);

// The chats and users by whose names a call is ordered (Hub, hub.h), each once. Calls of no name
// may overtake and be overtaken.
std::vector<std::string> NamesOf(const Call& call);

struct Parts {
  // Each of one partition. At least one; at most one a partition.
  std::vector<Call> calls;
  // From the replies to them, in their order and none a Failure, the reply to the whole.
  std::function<Reply(std::vector<Reply>)> join;
};
// REQUIRES: no Ack with marks. A Send, CreateChat or UpdateChat stays one call, which is by_task
// unless it says of all members that they are in the chat's partition.
Parts Split(Call call, uint32_t partitions);

// The parts of an Ack: first its marks, in their order; when they have been answered, the ack
// without marks; and then who is to be told, if that was kDone.
std::vector<Call> MarksOf(const Ack& ack);
// Of the replies to MarksOf, none a Failure.
std::vector<AckReply::Moved> MovedOf(const std::vector<Reply>& replies);
std::vector<Call> TellsOf(const Ack& ack, const std::vector<AckReply::Moved>& moved);

}  // namespace nightjar::hub
