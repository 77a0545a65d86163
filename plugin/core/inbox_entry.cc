#include "plugin/core/inbox_entry.h"

#include "nightjar/v1/client.pb.h"

namespace nightjar::core {

EntryRef ReadEntryInfo(std::string_view entry) {
  auto info = std::make_shared<EntryInfo>();
  v1::ServerFrame frame;
  if (!frame.ParseFromArray(entry.data(), static_cast<int>(entry.size()))) return info;
  if (frame.has_message()) {
    info->chat = frame.message().chat_id();
    info->author = frame.message().author();
    info->msg_id = frame.message().msg_id();
    info->message = true;
  } else if (frame.has_chat_change()) {
    info->chat = frame.chat_change().chat().chat_id();
    info->author = frame.chat_change().by();
    info->msg_id = frame.chat_change().msg_id();
  }
  return info;
}

}  // namespace nightjar::core
