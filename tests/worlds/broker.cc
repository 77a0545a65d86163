#include "tests/worlds/broker.h"

#include <algorithm>
#include <utility>

#include "tests/contract/hub/print.h"
#include "tests/worlds/world.h"

namespace nightjar::worlds {

Broker::Broker(World& world, int index)
    : world_(world),
      index_(index),
      config_(world.shape().config),
      line_(
          world.scheduler(), world.dice(), world.coverage(), world.shape(),
          [this](const hub::Call& call) { return world_.Execute(call, name()); },
          [this](const hub::Call& call) { world_.NotOnePartition(call); }),
      relay_(world.scheduler(), world.dice(), world.coverage(), world.shape().hub_line, world.hub(),
             "b" + std::to_string(index + 1), RelayEnds()) {
  config_.broker_id = "b" + std::to_string(index + 1);
}

RelayLine::Ends Broker::RelayEnds() {
  return {[this] { Do([this] { Feed(core::RelayUp{}); }); },
          [this](const hub::Relayed& what) {
            Do([this, what] {
              world_.Say("{} is told by relay: {}", name(), hub::contract::Print(what));
              Feed(core::Relayed{what});
            });
          },
          [this](const hub::Relayed&) { return world_.CopiesOfRelayed(); }};
}

int64_t Broker::well_since() const {
  const bool unwell = !alive() || paused_ || !line_.up() || world_.time() < no_beats_until_;
  return unwell ? INT64_MAX : std::max(unwell_at_, no_beats_until_);
}

void Broker::LoseBeats(int64_t until) {
  if (until == 0) {  // no more
    unwell_at_ = std::max(unwell_at_, std::min(world_.time(), no_beats_until_));
    no_beats_until_ = 0;
  } else {
    no_beats_until_ = std::max(no_beats_until_, until);
  }
  line_.LoseBeats(no_beats_until_);
}

Now Broker::now() const { return world_.BrokerNow(index_); }

// ---- the process -------------------------------------------------------------------------------

void Broker::Start() {
  if (alive()) return;
  ++life_;
  config_.incarnation = ++incarnation_;
  name_ = config_.broker_id + "#" + std::to_string(incarnation_);
  unwell_at_ = world_.time();
  draining_ = false;
  if (world_.shape().brokers > 1) relay_.Connect();
  hub::Beat claim;  // as the shell does before there is a core
  claim.broker = name();
  claim.first = true;
  (void)world_.Execute(claim, name());
  last_session_ = 0;
  engine_ = std::make_unique<core::Engine>(config_, world_.keys());
  world_.trace().Note(world_.time(), "start", life_);
  world_.Say("{} starts", name());
  armed_ = INT64_MAX;
  Arm();
  world_.scheduler().After(world_.dice().Between(1, 300), [this, life = life_] {
    if (life == life_) HubConnect();
  });
  world_.scheduler().After(world_.dice().Between(1, 1500), [this, life = life_] {
    if (life == life_) ServiceIn();
  });
}

void Broker::Kill() {
  if (!alive()) return;
  world_.trace().Note(world_.time(), "kill", life_);
  world_.Say("{} is killed", name());
  world_.OnBrokerDied();
  Stop();
}

void Broker::Stop() {
  line_.Die();
  relay_.Cut();
  draining_ = false;
  engine_.reset();
  paused_ = false;
  backlog_.clear();
  service_ = 0;
  by_client_id_.clear();
  auto sessions = std::move(sessions_);
  sessions_.clear();
  for (auto& [id, conn] : sessions) {
    conn->server_open = false;
    world_.CloseClientSoon(conn);
  }
}

void Broker::Pause() {
  if (!alive() || paused_) return;
  paused_ = true;
  world_.coverage().Hit(Point::kBrokerPaused);
  world_.Say("{} is paused", name());
}

void Broker::Wake() {
  if (!paused_) return;
  paused_ = false;
  unwell_at_ = world_.time();
  world_.Say("{} wakes, {} events behind", name(), backlog_.size());
  auto backlog = std::move(backlog_);
  backlog_.clear();
  for (auto& event : backlog) {
    if (alive()) event();
  }
  if (alive() && now().mono_ms >= engine_->NextDeadline()) Feed(core::Tick{});
}

void Broker::Do(std::function<void()> event) {
  if (!alive()) return;
  if (paused_) {
    backlog_.push_back(std::move(event));
  } else {
    event();
  }
}

// ---- the hub -----------------------------------------------------------------------------------

void Broker::HubConnect() {
  if (!alive() || line_.up() || !world_.HubThere()) return;
  world_.Say("{}: hub connected", name());
  unwell_at_ = world_.time();
  Do([this] { Feed(core::HubUp{}); });
  line_.Connect();
}

void Broker::HubCut(const char* why, bool one) {
  if (!alive() || (one && !line_.up())) return;
  world_.Say("{}: hub connection breaks: {}, {} calls under way", name(), why, line_.size());
  if (line_.up()) Do([this] { Feed(core::HubDown{"it broke"}); });
  one ? line_.CutOne() : line_.Cut();
}

void Broker::HubDied(uint32_t server) {
  if (alive() && line_.up()) Do([this] { Feed(core::HubDown{"it died"}); });
  line_.ServerDied(server);
}

void Broker::Drain() {
  if (!alive() || std::exchange(draining_, true)) return;
  world_.Say("{} is to drain", name());
  Do([this] { Feed(core::Drain{}); });
}

// As the shell does it: who is still there is told, and the process ends.
void Broker::Emptied() {
  world_.coverage().Hit(Point::kDrained);
  world_.scheduler().After(1, [this, life = life_] {
    if (life != life_) return;
    Do([this] {
      world_.Say("{} is empty, and stops", name());
      Feed(core::Stopping{});
      Stop();
      world_.scheduler().After(world_.dice().Between(10, 4000), [this] { Start(); });
    });
  });
}

// ---- the engine --------------------------------------------------------------------------------

core::Verdict Broker::Feed(core::Event event) {
  core::Actions actions;
  engine_->Handle(std::move(event), now(), actions);
  for (core::Action& action : actions.list) Act(action);
  Arm();
  return actions.verdict;
}

void Broker::Act(core::Action& action) {
  if (auto* publish = std::get_if<core::PublishTo>(&action)) {
    PublishTo(*publish);
  } else if (auto* ask = std::get_if<core::AskHub>(&action)) {
    AskHub(*ask);
  } else if (auto* kick = std::get_if<core::Kick>(&action)) {
    KickSoon(kick->session);
  } else if (auto* all = std::get_if<core::PublishAll>(&action)) {
    world_.StoreAsked(index_, life_, all->topic, all->payload, service_ != 0);
  } else if (auto* why = std::get_if<core::CannotGoOn>(&action)) {
    world_.Break("engine", name() + " cannot go on: " + why->reason);
  } else if (std::holds_alternative<core::Emptied>(action)) {
    Emptied();
  } else if (auto* line = std::get_if<core::LogLine>(&action)) {
    world_.OnLog(*line);
    world_.Say("{} logs: {}", name(), line->text);
  }
}

void Broker::AskHub(core::AskHub& ask) {
  if (const auto* beat = std::get_if<hub::Beat>(&ask.call)) {
    name_ = beat->broker;
    incarnation_ = std::max<uint64_t>(incarnation_, std::stoull(name_.substr(name_.find('#') + 1)));
  }
  world_.trace().Note(world_.time(), "ask", ask.token, ask.call.index());
  if (world_.trace().printing())
    world_.Say("{} asks {}: {}", name(), ask.token, hub::contract::Print(ask.call));
  line_.Submit(std::move(ask.call), [this, life = life_, token = ask.token](hub::Reply reply) {
    if (life != life_) return;
    world_.SpoilReply(reply);
    Do([this, token, reply = std::move(reply)] {
      if (world_.trace().printing()) {
        world_.Say("{} is answered {}: {}", name(), token, hub::contract::Print(reply));
      }
      Feed(core::HubReplied{token, reply});
    });
  });
}

void Broker::PublishTo(const core::PublishTo& publish) {
  const auto it = sessions_.find(publish.session);
  if (it == sessions_.end()) return;
  world_.Down(it->second, publish.topic, publish.payload);
}

// As the shell does it: a pass or two later, if it is still the newest of its client id.
void Broker::KickSoon(core::SessionId session) {
  world_.trace().Note(world_.time(), "kick", session);
  if (world_.IgnoresKick()) return;
  world_.scheduler().After(world_.dice().Between(1, 200), [this, life = life_, session] {
    if (life != life_) return;
    Do([this, session] {
      if (session == service_) {  // the persister comes again
        service_ = 0;
        Feed(core::Disconnected{session});
        return ServiceLater();
      }
      const auto it = sessions_.find(session);
      if (it == sessions_.end()) return;
      const ConnPtr conn = it->second;
      world_.Say("{}: session {} of {} is kicked", name(), session, conn->client_id);
      world_.CloseClientSoon(conn);
      End(conn);
    });
  });
}

void Broker::Arm() {
  const int64_t next = engine_->NextDeadline();
  if (next == INT64_MAX) return;
  const int64_t slack = world_.shape().tick_slack_ms;
  const int64_t at = slack == 0 ? next : (next / slack + 1) * slack;
  if (at >= armed_) return;
  armed_ = at;
  world_.scheduler().At(at, [this, life = life_, at] {
    if (life != life_ || at != armed_) return;
    armed_ = INT64_MAX;
    Do([this] {
      Feed(core::Tick{});
      Arm();
    });
  });
}

void Broker::ClockStepped() {
  if (alive()) Do([this] { Feed(core::Tick{}); });
}

// ---- lines -------------------------------------------------------------------------------------

void Broker::OnConnect(const ConnPtr& conn) {
  if (!alive()) return world_.CloseClientSoon(conn);
  Do([this, conn] {
    conn->asked = true;
    if (conn->cut && world_.dice().Chance(500)) return;  // the broker sees the broken socket first
    conn->life = life_;
    conn->session = ++last_session_;
    const auto verdict =
        Feed(core::ConnectAsked{conn->session, conn->client_id, conn->user, conn->token, true});
    world_.trace().Note(world_.time(), "connect", conn->session, static_cast<uint64_t>(verdict),
                        conn->client_id);
    world_.Say("{}: {} connects as session {}: {}", name(), conn->client_id, conn->session,
               verdict == core::Verdict::kAllow ? "let in" : "refused");
    if (verdict != core::Verdict::kAllow) return world_.CloseClientSoon(conn);
    // The broker takes the new one in first, then closes the old.
    ConnPtr& current = by_client_id_[conn->client_id];
    const ConnPtr old = std::exchange(current, conn);
    conn->server_open = true;
    sessions_[conn->session] = conn;
    if (old && old->server_open) {
      world_.coverage().Hit(Point::kTakeover);
      world_.CloseClientSoon(old);
      End(old);
    }
    world_.AcceptClient(conn);
  });
}

void Broker::OnSubscribe(const ConnPtr& conn, const std::string& filter) {
  Do([this, conn, filter] {
    if (!conn->server_open) return;
    conn->heard |= filter == "i" || filter.find("inbox/") != std::string::npos;
    Feed(core::SubscribeAsked{conn->session, filter, 0});
  });
}

void Broker::OnPublish(const ConnPtr& conn, const std::string& topic, const std::string& payload) {
  Do([this, conn, topic, payload] {
    if (!conn->server_open) return;
    if (Feed(core::PublishAsked{conn->session, topic}) != core::Verdict::kAllow) return;
    conn->heard = !topic.starts_with("presence/");  // who says that they are leaving has no inbox
    Feed(core::Published{conn->session, topic, payload, 0});
  });
}

void Broker::OnEnd(const ConnPtr& conn) {
  Do([this, conn] {
    if (conn->server_open) End(conn);
  });
}

void Broker::End(const ConnPtr& conn) {
  conn->server_open = false;
  sessions_.erase(conn->session);
  const auto it = by_client_id_.find(conn->client_id);
  if (it != by_client_id_.end() && it->second == conn) by_client_id_.erase(it);
  world_.trace().Note(world_.time(), "end", conn->session);
  world_.Say("{}: session {} of {} is over", name(), conn->session, conn->client_id);
  Feed(core::Disconnected{conn->session});
  // Its last will is looked at after that.
  std::string will = "presence/" + conn->client_id;
  std::replace(will.begin(), will.end(), ':', '/');
  if (world_.dice().Chance(300)) Feed(core::PublishAsked{conn->session, will});
}

// ---- the persister -----------------------------------------------------------------------------

void Broker::ServiceIn() {
  if (!alive() || service_ != 0 || !world_.PersisterUp()) return;
  Do([this] {
    if (service_ != 0) return;
    const core::SessionId session = ++last_session_;
    const auto verdict = Feed(core::ConnectAsked{session, "svc-persister:p1", "svc-persister",
                                                 world_.Token("svc-persister", true), true});
    if (verdict != core::Verdict::kAllow) return ServiceLater();
    service_ = session;
    Feed(core::SubscribeAsked{session, "$share/store/svc/store/#", 0});
    Feed(core::SubscribeAsked{session, "svc/again/#", 0});
  });
}

void Broker::ServiceLater() {
  world_.scheduler().After(world_.dice().Between(100, 2000), [this, life = life_] {
    if (life == life_) ServiceIn();
  });
}

void Broker::ServiceOut() {
  if (!alive() || service_ == 0) return;
  Do([this] {
    if (service_ == 0) return;
    Feed(core::Disconnected{std::exchange(service_, 0)});
  });
}

void Broker::ServicePublish(const std::string& topic, const std::string& payload) {
  Do([this, topic, payload] {
    if (service_ == 0) return;
    if (Feed(core::PublishAsked{service_, topic}) != core::Verdict::kAllow) return;
    Feed(core::Published{service_, topic, payload, 0});
  });
}

}  // namespace nightjar::worlds
