#include "common/hub/sync_call.h"

#include <future>
#include <memory>

namespace nightjar::hub {

Reply CallAndWait(Hub& hub, Call call) {
  auto promise = std::make_shared<std::promise<Reply>>();
  std::future<Reply> future = promise->get_future();
  hub.Submit(std::move(call), [promise](Reply reply) { promise->set_value(std::move(reply)); });
  return future.get();
}

}  // namespace nightjar::hub
