// What a device holds of its inbox, by the rules of docs/protocol.md, "Receiving": which frames
// continue it, which are repeats, when something is missing, and when to acknowledge.
//
// Pure: no I/O, no clock. One owner. Times are steady milliseconds.
#pragma once

#include <cstdint>
#include <optional>

#include "nightjar/v1/client.pb.h"

namespace nightjar::client {

class InboxCursor {
 public:
  static constexpr int64_t kAckAfterMs = 200;        // acknowledgements are collected this long
  static constexpr int64_t kAskAgainAfterMs = 2000;  // a resend that brought nothing is asked again

  enum class Verdict {
    kNew,     // continues what is held; held has moved
    kRepeat,  // held already; drop it
    kGap,     // something before it is missing; drop it, a resend is owed
    kNoSync,  // a numbered frame before any sync: the server broke the protocol
  };

  // The connection is gone: what the next sync says counts, and nothing is owed on the old line.
  void Disconnected();
  // `sync` arrived. True if the device must rebuild with list_chats and open_chat.
  bool Sync(const v1::Sync& sync, int64_t now_ms);
  // A frame with seq > 0 arrived.
  Verdict Take(uint64_t seq, uint32_t skipped, int64_t now_ms);

  // When AckDue() will have something; INT64_MAX if never.
  int64_t NextDeadline() const;
  // An acknowledgement or a call for a resend, if its time has come.
  std::optional<v1::Ack> AckDue(int64_t now_ms);
  // Puts an owed acknowledgement on board of `send`. True if there was one.
  bool Ride(v1::Send& send);

  bool synced() const { return synced_; }
  uint64_t held() const { return held_; }
  uint64_t epoch() const { return epoch_; }
  uint64_t acked() const { return acked_; }

 private:
  bool synced_ = false;
  uint64_t epoch_ = 0;  // kept over connections, to recognise a new one; 0: never synced
  uint64_t held_ = 0;
  uint64_t acked_ = 0;
  int64_t ack_at_ms_ = INT64_MAX;
  int64_t resend_at_ms_ = INT64_MAX;  // when to ask (again) for what is missing
};

}  // namespace nightjar::client
