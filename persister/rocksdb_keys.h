// Keys of the store's tables, as docs/storage.md describes them. The one place that builds and
// reads them. Names hold no 0x00 byte, so 0x00 ends them.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/wire/msg_id.h"

namespace nightjar::storage {

// What a row of `chats` or `users` holds; the byte after the name and 0x00.
enum class Kind : char {
  kMeta = 'r',      // chats: ChatMeta
  kMember = 'm',    // chats: + uid -> MemberSpan
  kMark = 'd',      // chats: + uid -> Mark
  kNames = 'n',     // users: UserNames
  kUserChat = 'c',  // users: + chat -> nothing
  kPush = 'p',      // users: + device -> PushRegistered
  kMute = 'u',      // users: + chat + 0x00 + device -> Muted
};

// name + 0x00: what all rows of a chat or a user begin with.
std::string Prefix(std::string_view name);
// The first key after every key that begins with `prefix`. REQUIRES: not empty, last byte not 0xff.
std::string After(std::string prefix);

// messages: chat + 0x00 + (2^63 - 1 - id), big-endian: the newest comes first.
std::string MessageKey(std::string_view chat, MsgId id);
// REQUIRES: a key made by MessageKey.
MsgId MessageIdOf(std::string_view key);

// chats and users: name + 0x00 + kind [+ rest].
std::string RowKey(std::string_view name, Kind kind, std::string_view rest = {});
std::string MuteKey(std::string_view uid, std::string_view chat, std::string_view device);

struct Row {
  bool ok = false;
  Kind kind = Kind::kMeta;
  std::string_view name, rest;  // into the key
};
Row ParseRow(std::string_view key);

}  // namespace nightjar::storage
