#include "plugin/subscriber_lists.h"

namespace nightjar::plugin {

bool SharedFilter(std::string_view filter) { return filter == "i"; }

// Sessions are numbered in turn, so the lists stay equally long.
char ListFor(core::SessionId session) { return static_cast<char>(0x80 | (session & 0x7f)); }

}  // namespace nightjar::plugin
