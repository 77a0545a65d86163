// A device with its person: client-sim's brain, a line to a broker, and somebody who writes,
// leaves, comes back, joins and watches at random.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "client-sim/brain/device_brain.h"
#include "tests/worlds/conn.h"

namespace nightjar::worlds {

class World;

class Phone : public Client {
 public:
  struct Manners {
    bool json = false;       // protobuf JSON on the line
    bool brief = false;      // short topics
    uint32_t max_frame = 0;  // announced in Acks; 0: never
    int64_t clock_off_ms = 0;
    bool starts_online = true;
  };
  Phone(World& world, int number, std::string uid, std::string device, Manners manners);

  void Begin();
  void Ask(v1::Request request);  // the person wants this, too
  // No more mischief: comes online, stays, and finishes what it began.
  void Settle();

  // ---- faults
  void CutLine(bool half_open);
  void Roam();         // a new connection while the old one still stands
  void LeaveBehind();  // to another broker, while the old line stands and nobody is at its end
  void SendOld();      // something once sent is sent again as it was
  void SendGarbage();
  void GoAway();  // in order, for a while

  // Client
  void OnConnected(const ConnPtr& conn) override;
  void OnPacket(const ConnPtr& conn, const std::string& topic, const std::string& payload) override;
  void OnClosed(const ConnPtr& conn) override;

  const std::string& uid() const { return brain_.uid(); }
  const std::string& device() const { return brain_.device(); }
  std::string name() const { return uid() + ":" + device(); }
  const client::DeviceBrain& brain() const { return brain_; }
  const ConnPtr& conn() const { return conn_; }
  bool json() const { return manners_.json; }
  bool connected() const { return conn_ != nullptr && connected_; }
  // What it was last told on this connection about those it watches.
  const std::map<std::string, bool>& seen_online() const { return seen_online_; }
  const std::vector<std::string>& watched() const { return watched_; }
  // Nothing is unanswered or unacknowledged, as far as the device knows. (It may always be asking
  // for marks: of those who never come there are none.)
  bool Idle() const;

 private:
  void Connect();
  void ConnectLater(int64_t ms);
  void Drop();  // the near end, at once
  void Act();
  void ActLater();
  void Write();
  void AskSomething();
  void ChangeSomeGroup();
  void Do(client::Out& out);
  void Saw(const client::Happening& happening);
  void Arm();
  void WatchSync();
  Now now() const;

  World& world_;
  const int number_;
  const Manners manners_;
  client::DeviceBrain brain_;
  ConnPtr conn_;
  bool connected_ = false, wanted_ = false, settling_ = false, replaced_ = false;
  uint64_t comings_ = 0;  // planned ones of before mean nothing
  int tries_ = 0;
  int64_t armed_ = INT64_MAX;
  uint64_t written_ = 0;
  std::deque<std::string> sent_;  // payloads of sends, as they went out
  std::map<std::string, bool> seen_online_;
  std::map<std::pair<std::string, std::string>, uint64_t> marks_told_;  // by chat and uid
  std::vector<std::string> watched_;
};

}  // namespace nightjar::worlds
