#include "persister/rocksdb_keys.h"

#include "persister/record_check.h"

namespace nightjar::storage {

std::string Prefix(std::string_view name) {
  std::string prefix;
  prefix.reserve(name.size() + 1);
  prefix.append(name).push_back('\0');
  return prefix;
}

std::string After(std::string prefix) {
  ++prefix.back();
  return prefix;
}

std::string MessageKey(std::string_view chat, MsgId id) {
  std::string key;
  key.reserve(chat.size() + 9);
  key.append(chat).push_back('\0');
  const uint64_t inverse = kMaxStoredMsgId - id;
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(inverse >> shift));
  return key;
}

MsgId MessageIdOf(std::string_view key) {
  uint64_t inverse = 0;
  for (const char c : key.substr(key.size() - 8)) {
    inverse = (inverse << 8) | static_cast<unsigned char>(c);
  }
  return kMaxStoredMsgId - inverse;
}

std::string RowKey(std::string_view name, Kind kind, std::string_view rest) {
  std::string key;
  key.reserve(name.size() + 2 + rest.size());
  key.append(name).push_back('\0');
  key.push_back(static_cast<char>(kind));
  key.append(rest);
  return key;
}

std::string MuteKey(std::string_view uid, std::string_view chat, std::string_view device) {
  std::string rest(chat);
  rest.push_back('\0');
  rest.append(device);
  return RowKey(uid, Kind::kMute, rest);
}

Row ParseRow(std::string_view key) {
  Row row;
  const size_t end = key.find('\0');
  if (end == std::string_view::npos || end + 1 >= key.size()) return row;
  row.ok = true;
  row.name = key.substr(0, end);
  row.kind = static_cast<Kind>(key[end + 1]);
  row.rest = key.substr(end + 2);
  return row;
}

}  // namespace nightjar::storage
