// Stage: who is online, as others see it. Online after a steady while, offline after a grace; the
// hub has the last word in both, for it knows the other brokers' routes. Also tails' registration,
// which is no presence.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::presence {

// A device is live. `online`: already published so.
void DeviceUp(State& s, Session& session, bool online);
void OnOnlineTimer(State& s, SessionId id);
// A device goes: a grace that runs since its user left before begins anew, however long the hub
// takes to hear of the going.
void DeviceGoes(State& s, const Session& session);
// A device's logout is answered.
void DeviceDown(State& s, const hub::Logout& call, const hub::LogoutReply& reply);
// A grace is over, or a try to publish is to be repeated; `who` is a key of State::presence.
void OnPresenceTimer(State& s, const std::string& who);
// Likewise, of a dead broker's device: offline at once, by a call of the clearing stage's run.
// False: nothing to publish.
bool SetOffline(State& s, const PendingLogout& pending, const hub::LogoutReply& reply);
// What watchers should have been shown: valid as long as the reply; or nothing.
const hub::PresenceState* OnSet(State& s, PendingSetPresence& pending, hub::Reply& reply);

// The session is over.
void Forget(State& s, Session& session);

void TailOn(State& s, Session& session, Encoding encoding, int qos);
void TailOff(State& s, Session& session, Encoding encoding);
// The hub was told how it stands with the user's tails. False: left to the clearing stage, for
// nobody is here any more.
[[nodiscard]] bool OnTail(State& s, const std::string& uid, bool done);
[[nodiscard]] bool OnTailTimer(State& s, const std::string& uid);
// This broker's life is over: what it would still have said is another's to say.
void Clear(State& s);

}  // namespace nightjar::core::presence
