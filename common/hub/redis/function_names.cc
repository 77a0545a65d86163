// Which function of the library carries out a call.
#include <iterator>
#include <string_view>
#include <variant>

#include "common/hub/redis/encode.h"

namespace nightjar::hub {

std::string_view FunctionOf(const Call& call) {
  // In the order of the variant.
  constexpr std::string_view kNames[] = {"nj_send",
                                         "nj_append",
                                         "nj_create",
                                         "nj_update",
                                         "nj_chat",
                                         "nj_receipts",
                                         "nj_user_chats",
                                         "nj_login",
                                         "nj_logout",
                                         "nj_tail",
                                         "nj_sessions",
                                         "nj_inbox",
                                         "nj_ack",
                                         "nj_mark",
                                         "nj_tell_mark",
                                         "nj_heads",
                                         "nj_device",
                                         "nj_set_presence",
                                         "nj_presence",
                                         "nj_watch",
                                         "nj_beat",
                                         "nj_fence",
                                         "nj_gone",
                                         "nj_push",
                                         "nj_push",
                                         "nj_lease",
                                         "nj_read_log",
                                         "nj_trim_log",
                                         "nj_dead_letter",
                                         "nj_dead_letters",
                                         "nj_drop_dead_letter",
                                         "nj_restore_chat",
                                         "nj_restore_user",
                                         "nj_rebuild",
                                         "nj_retire",
                                         "nj_info"};
  static_assert(std::size(kNames) == std::variant_size_v<Call>);
  return kNames[call.index()];
}

}  // namespace nightjar::hub
