// Small helpers that every stage uses: say something to a client, ask the hub, write a log line.
// Not a stage: nothing is decided here.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"
#include "nightjar/v1/client.pb.h"
#include "plugin/core/state.h"

namespace nightjar::core {

// How answers reach this session: its inbox subscription, or else the form it sent in.
struct Route {
  std::string topic;
  Encoding encoding = Encoding::kProtobuf;
  int qos = 0;
};
Route AnswerRoute(const Session& session);

void Publish(State& s, SessionId session, std::string topic, std::string payload, int qos);

// A frame that is no inbox entry. Waits for `sync` if that is still to come.
void Tell(State& s, Session& session, const v1::ServerFrame& frame);
// Like Tell, for payloads already encoded in AnswerRoute(session).encoding.
void TellEncoded(State& s, Session& session, std::string payload);
// Does not wait for anything: what the client should know before it is closed.
void TellNotice(State& s, Session& session, v1::Notice::Kind kind, const std::string& message);
void TellBadFrame(State& s, Session& session, const std::string& reason);
void TellRejected(State& s, Session& session, uint64_t client_msg_id, const std::string& chat,
                  Code code, const std::string& message, uint32_t retry_after_ms);
void Close(State& s, Session& session);

// Puts a call; the reply comes to the stage of `pending`.
void Ask(State& s, hub::Call call, Pending pending);
// Waits that grow with each try, to 10 s.
int64_t RetryDelay(uint32_t tries);
bool HubBusy(const State& s);  // calls under way at their bound: refuse what can be refused

void Log(State& s, LogLevel level, std::string text);
// For what clients can cause at will: a few lines of each `kind` in ten seconds, then a count.
void LogSome(State& s, std::string_view kind, LogLevel level, std::string text);

// "uid:device", for logs.
std::string Name(const Session& session);

// The reply as T; nothing if the call failed, with the failure in `failure`.
template <typename T>
T* Expect(hub::Reply& reply, hub::Failure& failure) {
  if (T* value = std::get_if<T>(&reply)) return value;
  if (const auto* failed = std::get_if<hub::Failure>(&reply)) {
    failure = *failed;
  } else {
    failure = {hub::Failure::Kind::kInternal, "a reply of another kind"};
  }
  return nullptr;
}

}  // namespace nightjar::core
