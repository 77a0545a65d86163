// A small world for tests of the core: an engine, the hub in memory, clients that are lists of what
// they were sent, and time that moves when told. Nothing is real but the decisions. Several may
// stand beside each other: brokers of one hub, in one time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/wire/jwt.h"
#include "nightjar/v1/client.pb.h"
#include "nightjar/v1/hub.pb.h"
#include "plugin/core/engine.h"
#include "tests/fakes/fake_hub.h"
#include "tests/fakes/relay_queue.h"

namespace nightjar::core {

struct Packet {
  std::string topic;
  std::string payload;
  int qos = 0;
};

class World {
 public:
  explicit World(Config config = {});
  // Another broker of the hub that `beside` stands on.
  World(World& beside, const std::string& broker_id, Config config = {});
  ~World();

  // ---- the broker's side
  struct Connecting {
    bool clean = true;
    std::string user = {};    // empty: the uid
    std::string token = {};   // empty: a good one
    std::string pinned = {};  // device the token is for
    bool service = false;
    int64_t ttl_ms = int64_t{24} * 3600 * 1000;
  };
  // 0: refused.
  SessionId Connect(const std::string& uid, const std::string& device, Connecting how);
  SessionId Connect(const std::string& uid, const std::string& device) {
    return Connect(uid, device, {});
  }
  bool Subscribe(SessionId session, const std::string& filter, int qos = 0);
  void Unsubscribe(SessionId session, const std::string& filter);
  // As a packet: asked first, then published. False: denied.
  bool Publish(SessionId session, const std::string& topic, const std::string& payload,
               int qos = 0);
  void Disconnect(SessionId session);
  void Handle(Event event);
  void Tick() { Handle(core::Tick{}); }
  // Connected and subscribed to inbox/{uid}, answered; the sync frame is taken out.
  SessionId Device(const std::string& uid, const std::string& device);
  // The process dies and starts anew: sessions are gone, nothing was said to the hub.
  void Restart();
  // The process dies, and nobody starts it again.
  void Die();
  // The process stands still: nothing reaches its engine. Wake: it gets what waited.
  void Pause() { paused_ = true; }
  void Wake();
  Verdict verdict() const { return verdict_; }  // of the last event
  bool emptied() const { return emptied_; }
  const std::string& cannot_go_on() const { return cannot_go_on_; }
  std::string name() const;  // as it was started

  // ---- client messages
  bool Send(SessionId session, const v1::Send& send);
  bool SendText(SessionId session, uint64_t id, const std::string& to, const std::string& text);
  bool SendChat(SessionId session, uint64_t id, const std::string& chat, const std::string& text);
  bool Ack(SessionId session, uint64_t seq, bool resend = false);
  bool Request(SessionId session, const v1::Request& request);
  // Publishes, lets the hub work, and takes the response out.
  v1::Response Ask(SessionId session, v1::Request request);

  // ---- what came; taking empties
  std::vector<Packet> TakePackets(SessionId session);
  std::vector<v1::ServerFrame> Take(SessionId session);
  bool Kicked(SessionId session) const { return kicked_.contains(session); }
  std::vector<Packet>& published() { return published_; }  // through subscriptions (svc/...)
  const std::vector<LogLine>& log() const { return log_; }
  bool Logged(const std::string& part) const;

  // ---- hub and time
  // Until nothing waits, calls and relays, of all brokers.
  void RunHub();
  hub::CallQueue& queue() { return *queue_; }
  hub::RelayQueue& relay() { return *relay_; }
  hub::FakeHub& hub() { return shared_->hub; }
  void HubUp() { Handle(core::HubUp{}); }
  // Time passes for all, in steps from timer to timer; the hub answers at once.
  void Advance(int64_t ms);
  // The same, but the hub answers nobody.
  void AdvanceAlone(int64_t ms);
  Now now() const { return shared_->now; }

  Engine& engine() { return *engine_; }
  const Config& config() const { return config_; }
  std::string Token(const std::string& uid, const Connecting& how) const;
  uint64_t epoch() { return hub().state().epoch; }

  // If set, is told of every event and action, in order.
  std::function<void(const Event&)> on_event;
  std::function<void(const Action&)> on_action;

 private:
  struct Shared {
    explicit Shared(uint32_t partitions);
    Now now{1'000'000, 1'790'000'000'000};
    hub::FakeHub hub;
    std::vector<World*> worlds;
  };
  World(std::shared_ptr<Shared> shared, Config config);
  void StartProcess();
  void Do(Action& action);
  bool RunOwn();  // false: nothing waited
  void Step(int64_t end);

  std::shared_ptr<Shared> shared_;
  Config config_;
  std::unique_ptr<hub::CallQueue> queue_;
  std::unique_ptr<hub::RelayQueue> relay_;
  std::shared_ptr<const KeySet> keys_;
  std::string key_file_;
  std::unique_ptr<Engine> engine_;
  SessionId last_session_ = 0;
  Verdict verdict_ = Verdict::kNone;
  bool paused_ = false, emptied_ = false;
  std::string cannot_go_on_;
  std::map<SessionId, std::vector<Packet>> packets_;
  std::map<SessionId, bool> kicked_;
  std::vector<Packet> published_;
  std::vector<LogLine> log_;
};

v1::ServerFrame Parse(const Packet& packet);  // either encoding

}  // namespace nightjar::core
