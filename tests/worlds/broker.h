// A broker with the plugin: the real engine, its connection to the hub, and of MQTT what the engine
// sees. It can be killed, which forgets everything, and paused, which lets events pile up.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/wire/jwt.h"
#include "plugin/core/engine.h"
#include "tests/worlds/conn.h"
#include "tests/worlds/hub_link.h"
#include "tests/worlds/relay_line.h"

namespace nightjar::worlds {

class World;

class Broker {
 public:
  Broker(World& world, int index);

  void Start();  // dead -> alive, a new life; the hub comes a little later
  void Kill();
  void Pause();
  void Wake();
  bool alive() const { return engine_ != nullptr; }
  bool paused() const { return paused_; }
  uint64_t life() const { return life_; }
  std::string name() const { return name_; }  // as it beat last: it may begin another itself
  // Nothing has kept its beats from the hub since then (but a pause of the hub); INT64_MAX:
  // something does.
  int64_t well_since() const;

  void HubConnect();
  void HubCut(const char* why, bool one = false);  // `one`: to one of the servers
  void HubDied(uint32_t server);
  HubLink& line() { return line_; }
  void LoseBeats(int64_t until);
  RelayLine& relay() { return relay_; }
  void Drain();  // empties itself, stops, and starts again a little later
  bool draining() const { return draining_; }

  // ---- what arrives over lines
  void OnConnect(const ConnPtr& conn);
  void OnSubscribe(const ConnPtr& conn, const std::string& filter);
  void OnPublish(const ConnPtr& conn, const std::string& topic, const std::string& payload);
  void OnEnd(const ConnPtr& conn);

  // ---- the persister's connection
  void ServiceIn();
  void ServiceOut();
  bool service() const { return service_ != 0; }
  void ServicePublish(const std::string& topic, const std::string& payload);

  // What came with a step of the wall clock: timers by it are looked at.
  void ClockStepped();

  const core::Engine& engine() const { return *engine_; }
  const std::map<core::SessionId, ConnPtr>& sessions() const { return sessions_; }

 private:
  void Do(std::function<void()> event);  // now, or when awake
  core::Verdict Feed(core::Event event);
  void Act(core::Action& action);
  void AskHub(core::AskHub& ask);
  RelayLine::Ends RelayEnds();
  void Stop();  // the process ends, however
  void Emptied();
  void PublishTo(const core::PublishTo& publish);
  void KickSoon(core::SessionId session);
  void End(const ConnPtr& conn);
  void Arm();
  void ServiceLater();
  Now now() const;

  World& world_;
  const int index_;
  core::Config config_;
  HubLink line_;
  RelayLine relay_;
  std::unique_ptr<core::Engine> engine_;
  uint64_t life_ = 0;
  std::string name_;
  uint64_t incarnation_ = 0;  // the newest of any life
  bool paused_ = false, draining_ = false;
  int64_t unwell_at_ = 0, no_beats_until_ = 0;
  std::deque<std::function<void()>> backlog_;
  core::SessionId last_session_ = 0, service_ = 0;
  std::map<core::SessionId, ConnPtr> sessions_;
  std::map<std::string, ConnPtr> by_client_id_;
  int64_t armed_ = INT64_MAX;
};

}  // namespace nightjar::worlds
