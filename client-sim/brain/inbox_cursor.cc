#include "client-sim/brain/inbox_cursor.h"

#include <algorithm>

namespace nightjar::client {

void InboxCursor::Disconnected() {
  synced_ = false;
  ack_at_ms_ = INT64_MAX;
  resend_at_ms_ = INT64_MAX;
}

bool InboxCursor::Sync(const v1::Sync& sync, int64_t now_ms) {
  const bool other_epoch = epoch_ != 0 && epoch_ != sync.epoch();
  // What is held beyond `start` was never acknowledged, or the acknowledgement was lost. It comes
  // again and is recognised by (chat_id, msg_id).
  synced_ = true;
  epoch_ = sync.epoch();
  held_ = sync.start();
  acked_ = sync.start();
  ack_at_ms_ = INT64_MAX;
  resend_at_ms_ = INT64_MAX;
  (void)now_ms;
  return sync.resync() || other_epoch;
}

InboxCursor::Verdict InboxCursor::Take(uint64_t seq, uint32_t skipped, int64_t now_ms) {
  if (!synced_) return Verdict::kNoSync;
  if (seq <= held_) {
    // Repeats come when acknowledgements did not arrive: say again what is held.
    if (ack_at_ms_ == INT64_MAX) ack_at_ms_ = now_ms + kAckAfterMs;
    return Verdict::kRepeat;
  }
  // seq > held here, so the subtraction cannot wrap before the comparison is decided.
  if (seq - held_ - 1 > skipped) {
    if (resend_at_ms_ == INT64_MAX) resend_at_ms_ = now_ms;
    return Verdict::kGap;
  }
  held_ = seq;
  resend_at_ms_ = INT64_MAX;
  if (ack_at_ms_ == INT64_MAX) ack_at_ms_ = now_ms + kAckAfterMs;
  return Verdict::kNew;
}

int64_t InboxCursor::NextDeadline() const { return std::min(ack_at_ms_, resend_at_ms_); }

std::optional<v1::Ack> InboxCursor::AckDue(int64_t now_ms) {
  if (!synced_ || now_ms < NextDeadline()) return std::nullopt;
  v1::Ack ack;
  ack.set_seq(held_);
  ack.set_epoch(epoch_);
  if (now_ms >= resend_at_ms_) {
    ack.set_resend(true);
    resend_at_ms_ = now_ms + kAskAgainAfterMs;
  }
  acked_ = held_;
  ack_at_ms_ = INT64_MAX;
  return ack;
}

bool InboxCursor::Ride(v1::Send& send) {
  if (!synced_ || ack_at_ms_ == INT64_MAX) return false;
  send.set_ack(held_);
  send.set_epoch(epoch_);
  acked_ = held_;
  ack_at_ms_ = INT64_MAX;
  return true;
}

}  // namespace nightjar::client
