#include "tests/fakes/call_queue.h"

#include <utility>

namespace nightjar::hub {

void CallQueue::Submit(Call call, Callback done) {
  waiting_.push_back({std::move(call), std::move(done), std::nullopt});
}

bool CallQueue::Answer(Reply reply) {
  Callback done = std::move(waiting_.front().done);
  waiting_.pop_front();
  if (done) done(std::move(reply));
  return true;
}

bool CallQueue::TakeEffect() {
  for (Waiting& waiting : waiting_) {
    if (waiting.reply) continue;
    waiting.reply = execute_(waiting.call);
    return true;
  }
  return false;
}

bool CallQueue::RunOne() {
  if (waiting_.empty()) return false;
  if (!waiting_.front().reply) TakeEffect();
  return Answer(std::move(*waiting_.front().reply));
}

size_t CallQueue::Run(size_t most) {
  size_t done = 0;
  while (done < most && RunOne()) ++done;
  return done;
}

bool CallQueue::FailNext(Failure failure) {
  return !waiting_.empty() && Answer(std::move(failure));
}

bool CallQueue::LoseNext(Failure failure) {
  if (waiting_.empty()) return false;
  if (!waiting_.front().reply) TakeEffect();
  return Answer(std::move(failure));
}

bool CallQueue::RepeatNext() {
  if (waiting_.empty()) return false;
  if (!waiting_.front().reply) TakeEffect();
  return Answer(execute_(waiting_.front().call));
}

}  // namespace nightjar::hub
