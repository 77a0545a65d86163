// Redis's reply as the call's reply. Nothing is taken for granted: a wrong shape is kInternal.
#pragma once

#include <hiredis/hiredis.h>

#include "common/hub/hub.h"

namespace nightjar::hub {

// `raw` answers `call`. Error replies too: maxmemory reached is kFull (or the outcome that means it).
// Pure; any thread.
Reply Decode(const Call& call, const redisReply& raw);

// Is this error reply one of a server that cannot work now (loading, a replica, a failing disk, no
// functions), so that the call had no effect and may be asked again elsewhere or later?
bool MeansAway(const redisReply& raw);

}  // namespace nightjar::hub
