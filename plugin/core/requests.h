// Stage: what devices ask on chat/req.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::requests {

void Start(State& s, Session& session, v1::Request request);

struct Outcome {
  FreshEntry entry;          // a chat change put into inboxes
};
Outcome OnReply(State& s, PendingRequest& pending, hub::Reply& reply);

// A persister has answered.
void OnStoreReply(State& s, v1::StoreReply reply);
void OnStoreTimer(State& s, uint64_t attempt);

}  // namespace nightjar::core::requests
