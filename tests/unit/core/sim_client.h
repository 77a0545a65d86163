// A client that does what docs/protocol.md says under Receiving and Sending, and keeps what it saw
// for judgement. One device; it outlives its connections.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/core/world.h"

namespace nightjar::core {

class SimClient {
 public:
  SimClient(World& world, std::string uid, std::string device)
      : world_(world), uid_(std::move(uid)), device_(std::move(device)) {}

  void Connect();
  void Disconnect();
  void Forget() { session_ = 0; }  // the broker died
  bool connected() const { return session_ != 0; }
  SessionId session() const { return session_; }
  bool synced() const { return synced_; }

  // Takes what came, in order. `lose` decides for each packet whether it never arrived.
  void Receive(const std::function<bool()>& lose);
  // Tells what is held; nothing new to tell: nothing.
  void Acknowledge();

  // A new message to this chat. Kept until answered.
  void Write(const std::string& chat);
  // Sends what is unanswered: of each chat at most 16 from the oldest on.
  void SendUnanswered();
  bool idle() const { return unanswered_.empty() && acked_ == held_; }
  size_t unanswered() const { return unanswered_.size(); }

  // ---- for the judge
  struct Seen {
    MsgId id = 0;
    std::string author;
    std::string text;
  };
  const std::string& uid() const { return uid_; }
  const std::string& device() const { return device_; }
  uint64_t held() const { return held_; }
  // By chat, in the order in which they were taken from the inbox.
  const std::map<std::string, std::vector<Seen>>& seen() const { return seen_; }
  // client_msg_id -> what Accepted said.
  const std::map<uint64_t, MsgId>& accepted() const { return accepted_; }
  struct Written {
    std::string chat, text;
  };
  const std::map<uint64_t, Written>& written() const { return written_; }
  // By chat: the newest message covered by an acknowledgement sent.
  const std::map<std::string, MsgId>& acknowledged() const { return acknowledged_; }
  // Marks it was told: chat, uid, msg_id.
  struct Told {
    std::string chat, uid;
    MsgId id = 0;
  };
  std::vector<Told> TakeTold() { return std::exchange(told_, {}); }
  std::vector<std::string> broken;  // promises that were, in words

 private:
  void OnFrame(const v1::ServerFrame& frame);
  void OnSync(const v1::Sync& sync);
  void OnEntry(const v1::ServerFrame& frame);
  void SendAck(bool resend);
  void Break(const std::string& what) { broken.push_back(uid_ + ":" + device_ + ": " + what); }

  World& world_;
  const std::string uid_, device_;
  SessionId session_ = 0;
  bool synced_ = false, asked_again_ = false;
  uint64_t epoch_ = 0, held_ = 0, acked_ = 0, last_id_ = 0;
  std::map<uint64_t, Written> written_;
  std::set<uint64_t> unanswered_;
  std::map<uint64_t, MsgId> accepted_;
  std::map<std::string, std::vector<Seen>> seen_;
  std::set<std::pair<std::string, MsgId>> have_;
  std::map<std::string, MsgId> newest_, acknowledged_;
  std::vector<Told> told_;
};

}  // namespace nightjar::core
