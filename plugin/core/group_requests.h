// Part of the stage `requests`: making and changing groups.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::requests {

using JobPtr = std::unique_ptr<RequestJob>;

void CreateGroup(State& s, JobPtr job);
FreshEntry OnCreated(State& s, JobPtr job, hub::ChangeReply& reply);

// After the chat has been read.
void UpdateGroup(State& s, JobPtr job, hub::GetChatReply& reply);
FreshEntry OnUpdated(State& s, JobPtr job, hub::ChangeReply& reply);

// Reads the chat with its members, for what follows.
void AskChat(State& s, JobPtr job);

}  // namespace nightjar::core::requests
