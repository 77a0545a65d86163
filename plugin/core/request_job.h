// A client's request on its way through the hub and the persisters.
#pragma once

#include <string>
#include <vector>

#include "common/hub/hub.h"
#include "nightjar/v1/client.pb.h"
#include "plugin/core/event.h"

namespace nightjar::core {

// A request between its steps.
struct RequestJob {
  SessionId session = 0;
  std::string uid, device;
  v1::Request request;
  std::string chat;          // it is about this one, if one
  int step = 0;              // of the handler
  uint32_t tries = 0;
  v1::Response response;     // as far as it is known
  hub::ChatRecord record;
  std::vector<hub::Member> members;
};

}  // namespace nightjar::core
