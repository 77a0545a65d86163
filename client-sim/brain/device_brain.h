// One device of one user, as docs/protocol.md wants clients to behave: repeats sends until they are
// answered, holds the inbox without gaps, acknowledges in batches, recognises what it has, resyncs,
// asks for missing delivered marks. Everything but the connection itself.
//
// Pure: no I/O, no clock, no threads; the same brain lives behind Paho, in load tests and in
// simulated worlds. One owner makes every call. Hand in what came, do what is in `Out`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "client-sim/brain/happening.h"
#include "client-sim/brain/inbox_cursor.h"
#include "client-sim/brain/outbox.h"
#include "common/base/clock.h"

namespace nightjar::client {

struct Packet {
  std::string topic;
  std::string payload;
};

// What is to be done and what has happened, in order. Cleared by every call that fills it.
struct Out {
  std::vector<std::string> subscribe;  // topic filters; before any packet
  std::vector<Packet> publish;
  std::vector<Happening> happened;
  bool replaced = false;  // another connection took this client id over: do not reconnect
};

class DeviceBrain {
 public:
  static constexpr size_t kKnownPerChat = 10'000;    // message ids remembered to recognise repeats
  static constexpr int64_t kRequestAgainMs = 5'000;  // an unanswered request is repeated
  static constexpr int64_t kMarkMissingMs = 60'000;  // a missing mark is asked for

  DeviceBrain(std::string uid, std::string device);

  // -- the person's wishes; acted on by the next Tick -------------------------------------------
  // The client_msg_id, or 0 if too much is unanswered.
  uint64_t SendToChat(const std::string& chat_id, std::string text, Now now);
  uint64_t SendToUser(const std::string& uid, std::string text, Now now);
  // Sets the request id (returned) and repeats the request until it is answered.
  std::string Ask(v1::Request request, Now now);
  // Follows the presence of `uid`, on this and every later connection.
  void Watch(const std::string& uid);

  // -- the line ---------------------------------------------------------------------------------
  void Connected(Now now, Out& out);
  void Disconnected(std::string reason, Now now, Out& out);
  // A packet came on a subscribed topic.
  void Arrived(std::string_view topic, std::string_view payload, Now now, Out& out);
  // Time has passed, or wishes were made.
  void Tick(Now now, Out& out);
  // Steady time of the earliest thing to do, INT64_MAX if none.
  int64_t NextDeadline() const;

  const std::string& uid() const { return uid_; }
  const std::string& device() const { return device_; }
  bool synced() const { return cursor_.synced(); }
  const InboxCursor& cursor() const { return cursor_; }
  // Sends without an answer yet.
  size_t unanswered() const { return outbox_.size(); }
  // Requests without an answer yet.
  size_t asking() const { return requests_.size(); }
  // How far `uid` has everything of the chat, as far as this device was told.
  uint64_t Mark(const std::string& chat_id, const std::string& uid) const;

 private:
  struct Pending {
    v1::Request request;
    int64_t due_ms = 0;
  };
  struct ChatState {
    std::set<uint64_t> known;               // message ids this device has
    std::set<std::string> members;          // as far as known
    std::map<std::string, uint64_t> marks;  // uid -> delivered up to
    uint64_t newest_own = 0;                // newest message of this user, which marks should reach
    int64_t own_since_ms = 0;               // when that one became known
  };

  void Frame(std::string_view payload, Now now, Out& out);
  void Body(const v1::ServerFrame& frame, Now now, Out& out);
  void OnSync(const v1::Sync& sync, Now now, Out& out);
  void OnMessage(uint64_t seq, const v1::Message& message, Now now, Out& out);
  void OnAccepted(const v1::Accepted& accepted, Now now, Out& out);
  void OnRejected(const v1::Rejected& rejected, Now now, Out& out);
  void OnResponse(const v1::Response& response, Now now, Out& out);
  void OnChat(const v1::Chat& chat);
  void OnMark(const std::string& chat_id, const v1::DeliveredMark& mark, Out& out);
  void Own(const std::string& chat_id, uint64_t msg_id, Now now);
  // Asks for the marks that this device's user still misses; all of them, or those overdue.
  void AskMarks(bool overdue_only, Now now);
  bool Misses(const ChatState& chat) const;
  ChatState& Chat(const std::string& chat_id);
  // True if the id is new to this device; remembers it.
  static bool Learn(ChatState& chat, uint64_t msg_id);

  std::string uid_;
  std::string device_;
  bool connected_ = false;
  bool was_synced_ = false;
  InboxCursor cursor_;
  Outbox outbox_;
  std::map<std::string, Pending> requests_;
  std::set<std::string> resync_requests_;  // request ids of a running resync
  uint64_t last_request_ = 0;
  std::set<std::string> watched_;
  std::map<std::string, ChatState> chats_;
  int64_t marks_check_ms_ = INT64_MAX;
};

}  // namespace nightjar::client
