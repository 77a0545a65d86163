// Stage: devices acknowledge; delivered marks move; authors are told.
#pragma once

#include <optional>

#include "plugin/core/state.h"

namespace nightjar::core::receipts {

// What the engine has to do after an acknowledgement.
struct Outcome {
  bool catch_up = false;           // there is room again
  std::optional<uint64_t> rewind;  // send again what follows
  bool sync = false;               // where it begins is to be told again, before that
  bool login = false;              // the hub does not know this device or epoch any more
};

Outcome OnAck(State& s, Session& session, const v1::Ack& ack);
// What OnAck could not account for has been read.
Outcome OnReadAcked(State& s, const PendingReadAcked& pending, hub::Reply& reply);
Outcome OnAckReply(State& s, PendingAck& pending, hub::Reply& reply);

// The device is going: hands over what it has acknowledged, before its logout.
void Flush(State& s, Session& session);

// Somebody on another broker has acknowledged what an author here wrote.
void OnRelayed(State& s, const hub::RelayedMark& mark);

// A failed acknowledgement is tried again.
void OnAckTimer(State& s, SessionId id);

// Marks gathered for an author go out.
void OnDeliveredTimer(State& s, const std::string& uid);

}  // namespace nightjar::core::receipts
