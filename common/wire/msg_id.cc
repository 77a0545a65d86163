#include "common/wire/msg_id.h"

namespace nightjar {

std::string MsgIdBytes(MsgId id) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(id >> (8 * i));
  return bytes;
}

MsgId MsgIdFromBytes(const char* bytes) {
  MsgId id = 0;
  for (int i = 0; i < 8; ++i) id |= MsgId{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return id;
}

}  // namespace nightjar
