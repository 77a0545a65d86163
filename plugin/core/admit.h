// Stage: who may connect, and who may publish and subscribe where; how often they may send; and
// when their token ends.
#pragma once

#include <string_view>

#include "plugin/core/state.h"

namespace nightjar::core::admit {

// CONNECT. The session on success, the same if it is asked about again; nothing if refused (the
// reason is logged).
Session* Connect(State& s, const ConnectAsked& event);

// May the session publish there? (`topic` parsed from `name`.)
bool MayPublish(const Session& session, const Topic& topic, std::string_view name);
// May it subscribe? (`topic` parsed from the filter.)
bool MaySubscribe(const Session& session, const Topic& topic, std::string_view filter);

// Takes one send from the device's allowance. 0: granted; else ms until there will be one.
uint32_t TakeSend(const State& s, Session& session);

// The session is over.
void Forget(State& s, const Session& session);
// Tells and closes sessions whose token has expired.
void CloseExpired(State& s);
// Steady ms at which to look again; INT64_MAX: never.
int64_t NextExpiry(const State& s);

}  // namespace nightjar::core::admit
