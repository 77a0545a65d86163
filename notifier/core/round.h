// One look at one user who is due: what to send to which device, and when all answers are there,
// what became of each message.
//
//   Round round(user, digest, options, now);
//   for each of round.notifications(): hand it to its gateway, and Answer() what that said
//   round.Settle() → up to where everything has its outcome, the outcomes, and when to look again
//
// Everything of a chat that is unread becomes one notification a device, so what comes within the
// window before the look is one with a count, and replaces the one before on the device's screen.
// A message has its outcome when all messages before it have theirs: the hub moves `owed` and adds
// the counts in one step, so that a crash before it repeats the round, and after it does not.
//
// One owner, no I/O, no clock.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "notifier/core/digest.h"
#include "notifier/core/outcome.h"
#include "notifier/core/user_state.h"

namespace nightjar::notify {

struct RoundOptions {
  int64_t window_ms = 2'000;                          // from becoming due to the look
  int64_t expire_ms = int64_t{4} * 24 * 3600 * 1000;  // a message's age at which nobody is told
  int64_t retry_ms = 30'000;                          // to the next look if a gateway named no time
  int64_t retry_most_ms = 3'600'000;                  // however late a gateway wants it
  std::array<bool, kGateways> gateways{};             // which are configured
};

// The first moment at which a user who became due at `due_ms` is looked at.
inline int64_t LookAtMs(const RoundOptions& options, int64_t due_ms) {
  return due_ms + options.window_ms;
}

struct Notification {
  uint32_t device = 0;  // index in UserState::devices
  uint32_t chat = 0;    // index in Digest::chats
  Gateway gateway = Gateway::kWebPush;
  int64_t expires_ms = 0;    // of the newest message; the gateway is to forget it then
  std::string collapse_key;  // one a user and chat; 24 characters of base64url
  uint32_t count = 0;        // messages of the chat that it stands for
  uint32_t badge = 0;        // unread over all chats
};

// What a gateway said, or why it could not be asked.
struct Answer {
  enum class Kind {
    kSent,
    kDeadToken,  // the registration is to be removed
    kFailed,     // this notification will never be taken
    kLater,      // try again
  };
  Kind kind = Kind::kFailed;
  int64_t after_ms = 0;  // kLater: not before so long from now; 0: no time was named
};

class Round {
 public:
  // `user` and `digest` must outlive the round. The digest begins at ScanFrom(user).
  Round(const UserState& user, const Digest& digest, const RoundOptions& options, int64_t now_ms);

  // Empty if nobody is to be told.
  const std::vector<Notification>& notifications() const { return notifications_; }
  // REQUIRES: index < notifications().size(). The last answer counts.
  void Answer(size_t index, const notify::Answer& answer);
  bool Finished() const { return unanswered_ == 0; }

  struct Settlement {
    uint64_t upto = 0;     // everything up to here has its outcome; 0: nothing new has
    Tally tally;           // of the messages in owed … upto
    bool again = false;    // something is left: look again
    int64_t again_ms = 0;  // when, Unix ms
  };
  // As things are at `now_ms`; what has no answer counts as kLater. A user who has a route again
  // owes the same as before and is not looked at until that is gone.
  Settlement Settle(int64_t now_ms) const;
  // UserState::told for the next round, if there is one.
  std::map<std::string, MsgId> Told() const;

 private:
  std::optional<Outcome> DecideChat(const std::string& chat) const;
  std::optional<Outcome> OfChat(uint32_t chat) const;
  std::optional<Outcome> OfMessage(const Digest::Owed& owed, int64_t now_ms) const;
  bool IsTold(const Digest::Owed& owed) const;
  void SettleGone(Settlement& settled) const;
  int64_t AgainMs(int64_t now_ms) const;
  void AddNotifications(uint32_t chat);

  const UserState& user_;
  const Digest& digest_;
  const RoundOptions options_;
  const int64_t now_ms_;
  std::vector<uint32_t> devices_;                // who may be told, by index
  std::vector<std::optional<Outcome>> decided_;  // by chat; nothing: the answers decide
  std::vector<std::vector<uint32_t>> of_chat_;   // by chat: its notifications
  std::vector<Notification> notifications_;
  std::vector<std::optional<notify::Answer>> answers_;
  size_t unanswered_ = 0;
};

}  // namespace nightjar::notify
