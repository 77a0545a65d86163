// Stage: a message is checked, turned into what the hub stores, and put to it; its sender is told.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::send {

// A Send of an admitted session that has been granted its place (admit::TakeSend).
void Start(State& s, Session& session, const v1::Send& send);

struct Outcome {
  FreshEntry entry;               // what was put into inboxes, if anything
  std::vector<std::string> look;  // compare these users' heads: something may be there untold
  bool look_all = false;          // likewise, of all
};
Outcome OnReply(State& s, PendingSend& pending, hub::Reply& reply);

}  // namespace nightjar::core::send
