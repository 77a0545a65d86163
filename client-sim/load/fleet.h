// Brains on connections: every device of the crowd as docs/protocol.md wants it, with the judge
// looking over its shoulder.
//
// Threads: the owner of the Swarm.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client-sim/brain/device_brain.h"
#include "client-sim/crowd/crowd.h"
#include "client-sim/judge/oracle.h"
#include "client-sim/load/party.h"
#include "client-sim/load/run.h"

namespace nightjar::load {

class Fleet final : public Party {
 public:
  struct Options {
    client::BrainOptions brain;
    int qos = 0;
    std::string key_file;
    std::vector<std::string> broker_names;  // for the judge's stories
    int64_t base_ns = 0, base_unix_ms = 0;  // one instant on both clocks
  };
  // `crowd` and `judge` must outlive it; no judge: nobody looks.
  Fleet(Options options, const crowd::Crowd* crowd, client::Oracle* judge);

  Now At(int64_t now_ns) const {
    return {now_ns / 1'000'000, options_.base_unix_ms + (now_ns - options_.base_ns) / 1'000'000};
  }
  using Answer = std::function<void(v1::Response&&, int64_t now_ns)>;
  // The device asks (again and again, over reconnects); `then` runs once, when it is answered.
  void Ask(uint32_t device, v1::Request request, int64_t now_ns, Answer then);
  // Empty: not known yet.
  const std::string& ChatId(uint32_t chat) const { return chats_[chat].id; }

  // -- Party --------------------------------------------------------------------------------------
  swarm::Login LoginOf(uint32_t client) override;
  void Subscribed(uint32_t client) override;
  swarm::Kind Came(uint32_t client, std::string_view topic, std::string_view payload,
                   int64_t now_ns) override;
  void PubackCame(uint32_t, uint16_t, int64_t) override {}
  void Down(uint32_t client, bool had_login, const std::string& reason) override;
  uint32_t ready() const override { return ready_; }
  void Introduce(uint32_t chat, int64_t now_ns) override;
  uint32_t introduced() const override { return introduced_; }
  void Write(uint32_t device, uint32_t chat, uint32_t bytes, int64_t intended_ns,
             int64_t now_ns) override;
  void ReadHistory(uint32_t device, uint32_t chat, int64_t now_ns) override;
  int64_t Timers(int64_t now_ns) override;
  bool Settled() const override;
  const char* KindName(swarm::Kind kind, bool up) const override;

 private:
  struct Device {
    explicit Device(client::DeviceBrain its_brain) : brain(std::move(its_brain)) {}
    client::DeviceBrain brain;
    client::DeviceId judge_id = 0;
    bool ready = false;
    int64_t scheduled_ms = INT64_MAX;  // in due_
    int64_t ready_since_ns = 0;
  };
  struct Unmarked {  // accepted, the first delivered mark awaited
    uint64_t msg_id;
    int64_t intended_ns;
    uint32_t device;
  };
  struct Chat {
    std::string id;
    bool known = false;  // the server has it
    std::vector<Unmarked> unmarked;
  };
  struct Due {
    int64_t at_ms;
    uint32_t device;
    bool operator>(const Due& other) const { return at_ms > other.at_ms; }
  };

  void AddMembers(uint32_t chat, size_t from, int64_t now_ns);
  // Lets the brain do what is due, and hands everything on.
  void Kick(uint32_t device, int64_t now_ns);
  void Carry(uint32_t device, client::Out& out, int64_t now_ns);
  void Tell(uint32_t device, client::Happening& happening, int64_t now_ns);
  void OnAccepted(uint32_t device, const client::SendAccepted& accepted, int64_t now_ns);
  void OnMark(uint32_t device, const client::MarkMoved& moved, int64_t now_ns);
  void Known(Chat& chat);
  void Schedule(uint32_t device);

  Options options_;
  const crowd::Crowd* crowd_;
  client::Oracle* judge_;
  std::vector<Device> devices_;
  std::vector<Chat> chats_;
  std::unordered_map<std::string, uint32_t> chat_of_;  // id -> index
  std::map<std::pair<uint32_t, std::string>, Answer> awaited_;
  std::vector<Due> due_;  // heap, earliest first
  client::Out out_, down_out_;
  uint32_t ready_ = 0, introduced_ = 0;
  uint64_t open_ = 0;      // written, no answer yet
  uint64_t unmarked_ = 0;  // of all chats
};

}  // namespace nightjar::load
