// The names of the protocol: user ids, devices, client ids, chat ids. One place decides what is
// well formed. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nightjar {

bool ValidUid(std::string_view uid);        // [A-Za-z0-9_.-]{1,64}
bool ValidDevice(std::string_view device);  // [A-Za-z0-9_-]{1,32}

// An MQTT client id, "{uid}:{device}".
struct ClientId {
  std::string uid;
  std::string device;
};
std::optional<ClientId> ParseClientId(std::string_view client_id);

// "d:" + lower uid + ":" + higher uid in byte order; a notepad names the same uid twice.
std::string DirectChatId(std::string_view a, std::string_view b);
// "g:" + 26 lower-case base32 characters, the same for the same three (so a repeated create_chat
// finds its chat).
std::string GroupChatId(std::string_view uid, std::string_view device, std::string_view request_id);

struct ChatName {
  bool direct = false;
  std::string low, high;  // members of a direct chat, low <= high; equal in a notepad

  // Of a direct chat: low then high, or the one.
  std::vector<std::string> Members() const;
};
// Nothing if `chat_id` is no well-formed chat id.
std::optional<ChatName> ParseChatId(std::string_view chat_id);

// Which of `partitions` an id (a uid or a chat id) belongs to. Never changes once a hub is set up.
uint32_t PartitionOf(std::string_view id, uint32_t partitions);

}  // namespace nightjar
