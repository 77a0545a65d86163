// A client's request on its way through the hub and the persisters, and how it is answered.
// Shared by the stage's files; not a stage.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/hub/hub.h"
#include "nightjar/v1/client.pb.h"
#include "plugin/core/event.h"

namespace nightjar::core {

struct State;

// A request between its steps.
struct RequestJob {
  SessionId session = 0;
  std::string uid, device;
  v1::Request request;
  std::string chat;  // the one it is about, if one
  uint32_t tries = 0;
  v1::Response response;  // as far as it is known
  // Of update_chat, between reading the chat and changing it.
  hub::ChatRecord record;
  std::vector<hub::Member> members;
  std::vector<std::string> add, remove;
  EntryTemplate change;
};

// Sends job.response, fitted to the device, and gives its place back. The job is over.
void Answer(State& s, RequestJob& job);
void AnswerError(State& s, RequestJob& job, Code code, const std::string& message,
                 uint32_t retry_after_ms = 0);
// For a hub call that failed.
void AnswerFailure(State& s, RequestJob& job, const hub::Failure& failure);
// Not a member, and no such chat: the same.
void AnswerDenied(State& s, RequestJob& job);

bool IsPresent(const std::vector<hub::Member>& members, const std::string& uid);
// A chat as clients see it, with the first present members. `members` in uid order.
v1::Chat ToChat(const hub::ChatRecord& record, const std::vector<hub::Member>& members);

}  // namespace nightjar::core
