// A server of the protocol in a few lines, for testing devices and demo without a broker: chats,
// inboxes, acknowledgements, delivered marks, presence at once (no debounce). It can misbehave on
// request.
//
// One owner; everything happens inside the calls of its links.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client-sim/device/link.h"
#include "nightjar/v1/client.pb.h"

namespace nightjar::client {

class FakeServer {
 public:
  std::unique_ptr<Link> MakeLink(const std::string& uid, const std::string& device);

  // -- misbehaviour: each is used up by the next chance ------------------------------------------
  int lose_accepted = 0;        // the message is stored, the answer is lost, and so is the line
  int lose_frames = 0;          // inbox frames that never arrive
  int deliver_twice = 0;        // inbox frames that arrive twice
  int reject_for_now = 0;       // sends that are told UNAVAILABLE, 100 ms
  int mark_too_early = 0;       // delivered marks sent before anybody acknowledged
  int forget_message = 0;       // accepted and delivered to nobody
  bool ignore_repeats = false;  // stores a repeated send again

  size_t sends_seen() const { return sends_seen_; }
  // Breaks every line.
  void CutAll();

 private:
  class FakeLink;
  using DeviceKey = std::pair<std::string, std::string>;
  struct User {
    std::vector<v1::ServerFrame> inbox;     // entry i has seq i + 1
    std::map<std::string, uint64_t> acked;  // by device
  };
  struct Chat {
    std::set<std::string> members;
    std::map<std::pair<DeviceKey, uint64_t>, uint64_t> stored;  // (device, client_msg_id) -> msg_id
    std::map<std::string, uint64_t> marks;
    v1::Chat info;
  };

  void Subscribe(FakeLink& link, const std::string& filter);
  void Publish(FakeLink& link, const std::string& topic, const std::string& payload);
  void OnSend(FakeLink& link, const v1::Send& send);
  void OnAck(FakeLink& link, uint64_t seq, bool resend);
  void OnRequest(FakeLink& link, const v1::Request& request);
  void Append(const std::string& uid, const v1::ServerFrame& body, const DeviceKey& writer);
  void Mark(const std::string& chat_id, const std::string& uid, uint64_t msg_id);
  void Feed(FakeLink& link, uint64_t from);
  void ShowPresence(const std::string& uid, bool online);
  void Gone(FakeLink& link);

  std::map<DeviceKey, FakeLink*> links_;
  std::map<std::string, User> users_;
  std::map<std::string, Chat> chats_;
  uint64_t next_id_ = 1000;
  size_t sends_seen_ = 0;
};

}  // namespace nightjar::client
