// Calls and replies as text, for messages about mismatches.
#pragma once

#include <string>
#include <string_view>

#include "common/hub/hub.h"

namespace nightjar::hub::contract {

std::string Escape(std::string_view bytes);  // printable; others as \xNN
std::string IdText(MsgId id);                // "ms-offset+sequence"
std::string Print(const Call& call);
std::string Print(const Reply& reply);
std::string Print(const Relayed& relayed);

// Equal, where failures are so by kind alone: their words are the implementation's.
bool SameReply(const Reply& a, const Reply& b);

}  // namespace nightjar::hub::contract
