// One device of one user, as docs/protocol.md wants clients to behave: repeats sends until they are
// answered, holds the inbox without gaps, acknowledges in batches, recognises what it has, resyncs,
// asks for missing delivered marks. Everything but the connection itself.
//
// Pure: no I/O, no clock, no threads; the same brain lives behind Paho, in load tests and in
// simulated worlds. One owner makes every call. Hand in what came, do what is in `Out`.
//
// Memory: about 700 bytes, 200 for each chat that it has heard of, and what is unanswered.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "client-sim/brain/chat_notes.h"
#include "client-sim/brain/happening.h"
#include "client-sim/brain/inbox_cursor.h"
#include "client-sim/brain/outbox.h"
#include "common/base/clock.h"
#include "common/wire/topics.h"

namespace nightjar::client {

struct Packet {
  std::string topic;
  std::string payload;
};

// What is to be done and what has happened, in order. Cleared by every call that fills it; keep one
// and hand it in again, so that its memory is used again.
struct Out {
  std::vector<std::string> subscribe;  // topic filters; before any packet
  std::vector<Packet> publish;
  std::vector<Happening> happened;
  bool replaced = false;  // another connection took this client id over: do not reconnect

  void Clear() {
    subscribe.clear();
    publish.clear();
    happened.clear();
    replaced = false;
  }
};

struct BrainOptions {
  bool short_topics = false;  // s, a, r and i in place of the long names (protobuf only)
  uint32_t max_frame = 0;     // announced on every connection; 0: nothing is
  Encoding encoding = Encoding::kProtobuf;
};

class DeviceBrain {
 public:
  static constexpr int64_t kRequestAgainMs = 5'000;  // an unanswered request is repeated
  static constexpr int64_t kMarkMissingMs = 60'000;  // a missing mark is asked for
  static constexpr int64_t kMarkPassedMs = 1'000;    // the same if its hint may have passed us by
  static constexpr size_t kOpenAtOnce = 4;           // chats read at the same time after a resync

  DeviceBrain(std::string uid, std::string device, BrainOptions options = {});

  // -- the person's wishes; acted on by the next Tick -------------------------------------------
  // The client_msg_id, or 0 if too much is unanswered.
  uint64_t SendToChat(const std::string& chat_id, std::string text, Now now);
  uint64_t SendToUser(const std::string& uid, std::string text, Now now);
  // Sets the request id (returned) and repeats the request until it is answered.
  std::string Ask(v1::Request request, Now now);
  // Follows the presence of `uid`, on this (from the next Tick on) and every later connection.
  void Watch(const std::string& uid);

  // -- the line ---------------------------------------------------------------------------------
  void Connected(Now now, Out& out);
  void Disconnected(std::string reason, Now now, Out& out);
  // A packet came on a subscribed topic.
  void Arrived(std::string_view topic, std::string_view payload, Now now, Out& out);
  // Time has passed, or wishes were made.
  void Tick(Now now, Out& out);
  // Steady time of the earliest thing to do, INT64_MAX if none. Cheap.
  int64_t NextDeadline() const;

  const std::string& uid() const { return uid_; }
  const std::string& device() const { return device_; }
  bool synced() const { return cursor_.synced(); }
  const InboxCursor& cursor() const { return cursor_; }
  // Sends without an answer yet.
  size_t unanswered() const { return outbox_.size(); }
  // Requests without an answer yet.
  size_t asking() const { return requests_.size() + to_open_.size(); }
  // How far `uid` has everything of the chat, as far as this device was told.
  uint64_t Mark(const std::string& chat_id, const std::string& uid) const;

 private:
  struct Pending {
    v1::Request request;
    int64_t due_ms = 0;
    bool resync = false;  // part of rebuilding
  };
  static constexpr size_t kMostRefused = 64;

  uint64_t Write(v1::Send send, const std::string& chat_id, std::string text, Now now);
  std::string Ask(v1::Request request, bool resync, Now now);
  // Marks of so many chats do not fit a frame of max_frame: asked for again, half of them at a
  // time.
  bool AskedInHalves(const v1::Response& response, const v1::Request& request, Now now);
  void SubscribeWatched(Out& out);
  void TickInto(Now now, Out& out);
  void Frame(std::string_view payload, Now now, Out& out);
  void Body(v1::ServerFrame& frame, Now now, Out& out);
  void OnSync(const v1::Sync& sync, Now now, Out& out);
  void OnMessage(uint64_t seq, v1::Message&& message, Now now, Out& out);
  void OnAccepted(const v1::Accepted& accepted, Now now, Out& out);
  void OnRejected(const v1::Rejected& rejected, Now now, Out& out);
  void OnResponse(v1::Response&& response, Now now, Out& out);
  void OnMark(const std::string& chat_id, const v1::DeliveredMark& mark, Out& out);
  // `late`: it was stored some time ago, so its mark may have been told while we did not hear.
  void Own(ChatNotes& chat, uint64_t msg_id, bool late, Now now);
  // This device was told Accepted for it.
  bool Answered(const v1::Message& message) const;
  // Asks for the marks that this device's user still misses; all of them, or those overdue.
  void AskMarks(bool overdue_only, Now now);
  ChatNotes& Chat(const std::string& chat_id);

  // -- after a resync ---------------------------------------------------------------------------
  void BeginResync(Now now);
  bool Listing() const;  // the list of chats has not come yet, or not all of it
  void OpenMore(Now now);
  void Rebuilt(const v1::Request& request, v1::Response& response, Now now, Out& out);
  void ReadBack(const std::string& chat_id, uint64_t before, Now now);

  std::string uid_;
  std::string device_;
  BrainOptions options_;
  bool connected_ = false;
  bool was_synced_ = false;
  uint64_t head_ = 0;  // of the inbox when this connection began: up to here it is catching up
  InboxCursor cursor_;
  Outbox outbox_;
  std::vector<Wrote> wrote_;       // not told yet
  std::vector<uint64_t> refused_;  // client_msg_ids refused for good, the newest ones
  std::map<std::string, Pending> requests_;
  std::vector<std::string> to_open_;  // chats still to be opened after a resync
  uint64_t last_request_ = 0;
  std::vector<std::string> watched_;
  size_t subscribed_ = 0;  // the first so many of them, on the present line
  std::map<std::string, ChatNotes> chats_;
  int64_t marks_check_ms_ = INT64_MAX;
};

}  // namespace nightjar::client
