// The repeat windows of a chat, read back from its messages (docs/hub.md, "Repeat window").
//
// Threads: none; one owner.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/hub/keeping.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar::persist {

// Memory: what the hub would remember of the chat, whatever its length.
class SentWindows {
 public:
  // From the newest to the oldest: so the devices that sent last come first.
  void Add(const v1::Message& message);

  // In parts of a bounded size, each without a newest id.
  std::vector<hub::RestoreChat> Parts(const std::string& chat) const;

 private:
  struct User {
    std::map<std::string, std::map<uint64_t, MsgId>> sent;  // device -> client_msg_id -> msg_id
    uint64_t floor = 0;                                     // of devices beyond the bound
  };
  std::map<std::string, User> users_;
};

}  // namespace nightjar::persist
