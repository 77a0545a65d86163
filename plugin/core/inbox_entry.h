// Looking into stored inbox entries. Not a stage.
#pragma once

#include <string_view>

#include "plugin/core/session.h"

namespace nightjar::core {

// Chat, author and id of a stored entry. An entry that cannot be read gives empty ones: it still
// has its place in the inbox.
EntryRef ReadEntryInfo(std::string_view entry);

}  // namespace nightjar::core
