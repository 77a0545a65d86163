#include "plugin/core/requests.h"

#include "plugin/core/tell.h"

namespace nightjar::core::requests {

void Start(State& s, Session& session, v1::Request request) {
  v1::ServerFrame frame;
  frame.mutable_response()->set_request_id(request.request_id());
  frame.mutable_response()->mutable_error()->set_code(v1::UNAVAILABLE);
  Tell(s, session, frame);
}
Outcome OnReply(State&, PendingRequest&, hub::Reply&) { return {}; }
void OnStoreReply(State&, v1::StoreReply) {}
void OnStoreTimer(State&, uint64_t) {}

}  // namespace nightjar::core::requests
