// Stage: a device subscribes to its inbox and becomes known to the hub (route, cursor, sync), and
// stops being so; takeovers.
//
// Logins stand in line: at most logins_at_once are under way and logins_per_s begun, so that a
// storm of them holds up nobody who is logged in already.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::login {

// SUBSCRIBE to the inbox. The last subscription wins: whatever there was before is void.
void Open(State& s, Session& session, const Topic& topic, std::string_view filter, int qos);
// Does this UNSUBSCRIBE end the inbox subscription in force?
bool Ends(const Session& session, const Topic& topic);

// From the beginning: the hub knows another epoch, or not this device, or entries are gone.
void Again(State& s, Session& session);
// Where its inbox begins. REQUIRES: live.
void TellSync(State& s, Session& session);

struct Outcome {
  Session* session = nullptr;   // live now, sync sent: has to catch up
  bool online = false;          // presence as published
  Session* replaced = nullptr;  // the route was this session's: another connection, same client id
  bool fenced = false;  // the hub does not count this broker among the living; tried again later
};
Outcome OnReply(State& s, const PendingLogin& pending, hub::Reply& reply);
void OnTimer(State& s, SessionId id);
void OnLineTimer(State& s);

// The device is gone, or wants no more: gives up the route. Nothing without an inbox. A logout that
// fails is not kept to be repeated: the clearing stage finds in the hub what is left of it.
void Shut(State& s, Session& session);

// This broker's life is over, and the session with it: the hub is told nothing.
void Drop(State& s, Session& session);

// Another connection has taken the client id of `session`.
void Replace(State& s, Session& session);

}  // namespace nightjar::core::login
