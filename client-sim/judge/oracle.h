// The judge: watches what devices tell and says whether the promises were kept
// (docs/guarantees.md):
//   G1, G2  everything accepted reached every member's devices, exactly once as people see it;
//   G3      every device got the messages of a chat in the order of their ids, and all saw the
//   same; G5      a delivered mark moved only forward, and only after an acknowledgement; in the
//   end all came; and the server never broke the protocol. What people were shown must have been
//   accepted from somebody, once: a message that nobody was told Accepted for is a repeat stored
//   twice.
//
// Pure; one owner. Feed happenings in the order in which they happened (over all devices). Devices
// are made known before the traffic starts; first version: it does not judge devices that appear
// later, push, or presence.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client-sim/brain/happening.h"

namespace nightjar::client {

class Oracle {
 public:
  static constexpr size_t kMostFaults = 100;

  // A device that is there from the beginning, connected or not.
  void Expect(const std::string& uid, const std::string& device);
  void Took(const std::string& uid, const std::string& device, const Happening& happening);

  struct Tally {
    uint64_t accepted = 0;
    uint64_t refused = 0;
    uint64_t owed = 0;       // deliveries that must have happened
    uint64_t delivered = 0;  // of those, how many did
    uint64_t marks_owed = 0;
    uint64_t marks = 0;
    uint64_t repeats = 0;  // copies that devices recognised and dropped: allowed, counted
  };
  Tally Count() const;
  // Nothing is outstanding any more.
  bool Settled() const;
  // What was broken, and (with `final`) what is still missing. Empty: all promises kept.
  std::vector<std::string> Faults(bool final) const;

  // Who must get the message: members when its id was given, without the author.
  std::set<std::string> Recipients(const std::string& chat_id, uint64_t msg_id) const;

 private:
  using DeviceKey = std::pair<std::string, std::string>;  // uid, device
  struct Interval {
    uint64_t joined = 0, left = UINT64_MAX;
  };
  struct Fact {  // an accepted message
    std::string author, device, text;
  };
  struct Chat {
    std::map<std::string, std::vector<Interval>> members;
    std::map<uint64_t, Fact> accepted;
    std::map<uint64_t, Fact> seen;  // what anybody was shown under an id (device unknown)
    std::map<std::string, std::set<uint64_t>>
        acked;  // uid -> ids acknowledged by one of the devices
    std::map<std::string, std::map<std::string, uint64_t>> marks;  // observer -> uid -> id
  };
  struct Seen {
    std::map<std::string, std::set<uint64_t>> shown;  // chat -> ids shown to the person
    std::map<std::string, uint64_t> last_in_order;    // chat -> newest that came by inbox
    std::map<uint64_t, std::pair<std::string, uint64_t>> by_seq;  // not acknowledged yet
    std::map<std::pair<std::string, uint64_t>, uint64_t> sent;    // (chat, client_msg_id) -> msg_id
    bool passed_over = false;  // a resync: what it passed over counts as acknowledged
  };

  void OnSync(const DeviceKey& who, const Synced& synced);
  void OnAccepted(const DeviceKey& who, const SendAccepted& accepted);
  void OnMessage(const DeviceKey& who, const MessageCame& came);
  void OnChange(const DeviceKey& who, const ChatChanged& changed);
  void OnAck(const DeviceKey& who, const AckSent& ack);
  void OnMark(const DeviceKey& who, const MarkMoved& moved);
  void OnAnswer(const v1::Response& response);
  void Fault(std::string what);
  bool HasFor(const DeviceKey& device, const std::string& chat_id, uint64_t msg_id) const;
  template <typename F>
  void ForEachOwed(F&& f) const;  // f(chat_id, msg_id, fact, device, done)
  template <typename F>
  void ForEachMark(F&& f) const;  // f(chat_id, author, uid, owed id, done)

  std::map<DeviceKey, Seen> devices_;
  std::map<std::string, Chat> chats_;
  std::vector<std::string> faults_;
  uint64_t refused_ = 0;
  uint64_t repeats_ = 0;
};

}  // namespace nightjar::client
