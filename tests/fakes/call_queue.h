// A port whose calls wait until somebody lets them happen: the test, or a simulation's scheduler.
// Several may stand in front of one FakeHub, one for each engine.
//
// Threads: none; one owner. Callbacks run inside the method that answers, and may submit again.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>

#include "common/hub/hub.h"

namespace nightjar::hub {

class CallQueue : public Hub {
 public:
  using Executor = std::function<Reply(const Call&)>;
  explicit CallQueue(Executor execute) : execute_(std::move(execute)) {}

  void Submit(Call call, Callback done) override;  // stores

  size_t size() const { return waiting_.size(); }  // submitted and not answered
  // REQUIRES: i < size(). 0 is the oldest.
  const Call& Peek(size_t i = 0) const { return waiting_[i].call; }

  // The oldest call takes effect (unless it has) and is answered. False: nothing there.
  bool RunOne();
  // Until nothing waits, what callbacks submit included. Returns how many were answered. At most
  // `most`, against callbacks that never stop submitting.
  size_t Run(size_t most = 1'000'000);
  // The oldest call that has not taken effect does now; its answer stays under way.
  bool TakeEffect();

  // The oldest call is answered by a failure: without having taken effect (unless TakeEffect() was
  // first)...
  bool FailNext(Failure failure = {Failure::Kind::kUnavailable, "failed by the test"});
  // ...or after it has: what a connection does that dies before the reply.
  bool LoseNext(Failure failure = {Failure::Kind::kUnavailable, "reply lost by the test"});
  // The oldest call takes effect twice, and the second reply is its answer: what a hub does that
  // repeats after a reconnect.
  bool RepeatNext();

  // Forgets everything that waits, unanswered: the process behind this port has died. What has not
  // taken effect never will.
  void Clear() { waiting_.clear(); }

 private:
  struct Waiting {
    Call call;
    Callback done;
    std::optional<Reply> reply;  // has taken effect
  };
  bool Answer(Reply reply);

  Executor execute_;
  std::deque<Waiting> waiting_;
};

}  // namespace nightjar::hub
