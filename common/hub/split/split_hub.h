// A hub over a hub whose calls may touch one partition each (a Redis Cluster): a call becomes calls
// of one partition, and their replies its reply.
//
// What differs from a hub that does every call in one step:
// - A part that fails fails the whole: the answer is the Failure of the first part that failed,
// given
//   when all parts have been answered. Others of them may have taken effect.
// - An ack is three steps: its marks; when all have been answered, the user's cursor; when it has
// moved,
//   telling the authors. A crash in between leaves marks that moved without the cursor, never the
//   other way round. An ack that is refused has moved its marks; they are not in its reply, and
//   nobody is told. That an author cannot be told does not fail the ack: what is told by relay may
//   be lost.
// - Small chats too are fanned out by tasks, unless everybody is in the chat's partition.
// - What is relayed of one Append comes in a message for each partition of its recipients.
// - ReadLog of several partitions: each has its share of `bytes`.
//
// Order: calls about one chat or one user take effect in the order of submission, as a Hub's do.
// The lower hub keeps it for what is submitted to it; all parts of a call are handed to it within
// Submit, in one order with those of other calls, except: the cursor of an ack waits for its marks,
// and what is about the same user and comes later (another ack, a logout, an append) waits behind
// it; so does, in turn, what is about a chat or user of what waits. Marks themselves do not wait
// for another ack's cursor, so what is held back is held for about one exchange with the lower hub.
//
// Threads: Submit from any, also from callbacks. Callbacks come as the lower hub's. The lower hub's
// come one at a time, or from within its Submit. Whoever destroys this has had the lower hub answer
// (or forget) everything before.
//
// Bounded: a call becomes at most one call a partition it names (an ack: one a mark, one, and one
// for each of the marks' authors). kHeldMost calls wait here; further ones that would have to are
// answered kFull.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/hub/hub.h"

namespace nightjar::hub {

class SplitHub final : public Hub {
 public:
  static constexpr size_t kHeldMost = 20'000;

  SplitHub(Hub& lower, uint32_t partitions) : lower_(lower), partitions_(partitions) {}
  SplitHub(const SplitHub&) = delete;
  SplitHub& operator=(const SplitHub&) = delete;

  void Submit(Call call, Callback done) override;

  // Calls that wait for an ack before them.
  size_t held() const;

 private:
  struct Item;    // a call on its way to the lower hub
  struct Acking;  // an ack with marks
  using Sent = std::pair<Call, Callback>;

  void SubmitAck(Ack ack, Callback done);
  void OnMarks(const std::shared_ptr<Acking>& acking);
  void OnAcked(const std::shared_ptr<Acking>& acking, Reply reply);

  // These three with the lock held.
  void Enter(const std::vector<std::shared_ptr<Item>>& items);
  void Enter(const std::shared_ptr<Item>& item);
  void Release(std::shared_ptr<Item> item);
  // Hands to the lower hub what is ready, in order; without the lock meanwhile.
  void Flush(std::unique_lock<std::mutex>& lock);
  bool MayHold(const std::vector<std::shared_ptr<Item>>& items) const;

  Hub& lower_;
  const uint32_t partitions_;
  mutable std::mutex mutex_;
  // Of each chat and user about whom something waits: that and all that came later, in order.
  std::unordered_map<std::string, std::deque<std::shared_ptr<Item>>> queues_;
  size_t held_ = 0;
  std::deque<Sent> ready_;
  bool flushing_ = false;
  std::vector<Callback> refused_;  // answered from the lower hub's next callback
};

}  // namespace nightjar::hub
