// Calls on their way: counted, and answered exactly once.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "common/hub/hub.h"

namespace nightjar::hub {

struct Pending {
  Call call;
  Callback done;            // empty: answered already (its time was over)
  int64_t deadline_ms = 0;  // steady
  size_t bytes = 0;         // of payload, as counted against the bound
  enum class Kind { kCall, kPing, kRole, kWait, kSetup };  // but for kCall: our own, without `done`
  Kind kind = Kind::kCall;
  uint32_t partition = 0;  // in a Cluster
  uint64_t number = 0;     // in a Cluster: in the order of submission
  bool sent = false;       // written to a connection: may have had its effect
};

// Of one hub, over all its servers. Changed by the hub's thread (calls and bytes by submitters
// too), read by any.
struct Traffic {
  std::atomic<size_t> calls = 0, bytes = 0;  // submitted and not answered
  std::atomic<uint64_t> connects = 0, repeated = 0, wakeups = 0, writes = 0, answered = 0;

  // Nothing for what is answered already.
  void Answer(Pending& pending, Reply reply);
};

inline Failure Unavailable(std::string why) {
  return {Failure::Kind::kUnavailable, std::move(why)};
}

// About what a call holds in memory beyond its own size.
size_t PayloadBytes(const Call& call);

// May a call be carried out twice with no more effect than once? (docs/hub.md says why for each.)
inline bool MayRepeat(const Call& call) {
  // A beat judges others' silence by the hub's clock: one that was held up must not do it again.
  if (std::holds_alternative<Beat>(call)) return false;
  const Send* send = std::get_if<Send>(&call);
  return send == nullptr || send->client_msg_id != 0;
}

}  // namespace nightjar::hub
