// What a device has written and not yet been answered for, by the rules of docs/protocol.md,
// "Sending": growing ids, repeats under the same id, at most 16 under way in a chat.
//
// Pure: no I/O, no clock. One owner. Bounded: Write() says no beyond `capacity` sends.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nightjar/v1/client.pb.h"

namespace nightjar::client {

class Outbox {
 public:
  // A send without any answer is repeated after this long on a line that stands, doubling up to the
  // cap: the server may hold a send back for 10 s while the hub is away.
  static constexpr int64_t kRepeatAfterMs = 12'000;
  static constexpr int64_t kRepeatCapMs = 60'000;

  struct Entry {
    v1::Send send;        // without a riding acknowledgement
    std::string chat_id;  // also for `to`: a direct chat's id is known beforehand
    int tries = 0;
    int64_t due_ms = 0;  // when to send it, or to repeat it
  };

  explicit Outbox(std::string uid, size_t capacity = 10'000)
      : uid_(std::move(uid)), capacity_(capacity) {}

  // Takes a message (client_msg_id is set here). The id, or 0 if the outbox is full.
  uint64_t Write(v1::Send send, int64_t unix_ms);

  // The connection is gone: everything unanswered will be repeated on the next.
  void Disconnected();
  // Sends to be put on the line now, in the order of writing. Marks them as in flight.
  std::vector<v1::Send> TakeDue(int64_t now_ms);
  // Costs something only after the outbox has changed.
  int64_t NextDeadline() const;

  // The entry that an answer settles; nothing if it is unknown (answered before).
  std::optional<Entry> Accepted(const v1::Accepted& accepted);
  // As above if the refusal is final; otherwise nothing, and the send will be repeated.
  std::optional<Entry> Rejected(const v1::Rejected& rejected, int64_t now_ms);

  bool empty() const { return unanswered_.empty(); }
  size_t size() const { return unanswered_.size(); }
  // Written by this object and settled, by either answer.
  bool Settled(uint64_t client_msg_id) const {
    return client_msg_id >= first_id_ && client_msg_id <= last_id_ && first_id_ != 0 &&
           !unanswered_.contains(client_msg_id);
  }
  uint64_t last_id() const { return last_id_; }

 private:
  static constexpr int64_t kNever = INT64_MAX;

  // Takes an answered entry out and moves its chat's window on.
  Entry Settle(uint64_t id);
  // Calls f(id) with those that may be under way now, chat by chat.
  template <typename F>
  void ForEachAllowed(F&& f) const;

  std::string uid_;
  size_t capacity_;
  uint64_t first_id_ = 0, last_id_ = 0;
  mutable int64_t next_due_ms_ = kNever;
  mutable bool changed_ = false;          // next_due_ms_ is to be found anew
  std::map<uint64_t, Entry> unanswered_;  // by client_msg_id, which is the order of writing
  // For each chat its sends from the oldest unanswered on, answered ones included: the hub
  // remembers the 16 highest ids, so the window may not slide past one that is still open.
  std::map<std::string, std::vector<uint64_t>> chats_;
};

}  // namespace nightjar::client
