// Stage: inbox entries go to devices, each device's in the order of their seq, as far as its window
// allows; what it does not acknowledge is sent again; tails get a copy.
//
// An entry whose turn it is goes out at once, from the bytes at hand. Everything else (a gap, a
// full window, a resend, a fresh login) is read from the hub's inbox.
#pragma once

#include "plugin/core/state.h"

namespace nightjar::core::deliver {

// Entries that a call put into inboxes of users here.
void Fresh(State& s, const FreshEntry& entry);

// The same, by another broker's call: relays and replies come over two lines, and each may be ahead
// of the other.
void OnRelayed(State& s, const hub::RelayedEntry& relayed);

// Sends what is there and fits: reads the inbox unless that is under way already.
void CatchUp(State& s, Session& session);
// False: entries that should be there are gone, and the device has to log in again.
[[nodiscard]] bool OnRead(State& s, const PendingRead& pending, hub::Reply& reply);

// The device asks for everything after `seq` again (REQUIRES: seq >= acked), or is silent.
void Rewind(State& s, Session& session, uint64_t seq);

// The inbox has entries up to `head`.
void SawHead(State& s, Session& session, uint64_t head);

void OnSilentTimer(State& s, SessionId id);
void OnCloseTimer(State& s, SessionId id);
void OnReadTimer(State& s, SessionId id);

}  // namespace nightjar::core::deliver
