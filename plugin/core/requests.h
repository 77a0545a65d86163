// Stage: what devices ask on chat/req. Reads of messages and chat lists go to the persisters, all
// else to the hub.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::requests {

// REQUIRES: ValidateRequest said yes.
void Start(State& s, Session& session, v1::Request request);

// A chat change that was put into inboxes, if the reply brought one.
FreshEntry OnReply(State& s, PendingRequest& pending, hub::Reply& reply);

// A persister has answered.
void OnStoreReply(State& s, v1::StoreReply reply);
// A persister has not.
void OnStoreTimer(State& s, uint64_t attempt);

}  // namespace nightjar::core::requests
