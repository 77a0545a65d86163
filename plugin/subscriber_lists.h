// Short subscriber lists inside the broker. Mosquitto has one list of subscribers for each topic
// and walks it at every subscribe and at every disconnect; `i` is everybody's short inbox, so
// coming and going would cost as much as there are connections. Frames go to client ids, not to
// subscribers: it does not matter under which name the broker files such a subscription
// (docs/decisions/0011-short-inbox-lists.md).
#pragma once

#include <string_view>

#include "plugin/core/event.h"

namespace nightjar::plugin {

// Is this a topic filter that everybody subscribes to, with a list to be split?
bool SharedFilter(std::string_view filter);

// REQUIRES: SharedFilter. The first byte of the name under which the broker is to file it: one of
// 128, always the same for a session. No UTF-8 text consists of it, so no client can name it.
char ListFor(core::SessionId session);

}  // namespace nightjar::plugin
