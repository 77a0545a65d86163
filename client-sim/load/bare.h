// The yardstick: the same talk over a plain broker, as somebody would do it by hand with QoS 1: a
// publish to the peer's inbox, a QoS 1 subscription, and a receipt of 24 bytes back. Pairs only.
#pragma once

#include <memory>

#include "client-sim/crowd/crowd.h"
#include "client-sim/load/party.h"

namespace nightjar::load {

// `crowd` must outlive it, and be all pairs with one device each.
std::unique_ptr<Party> MakeBareParty(const crowd::Crowd* crowd);

}  // namespace nightjar::load
