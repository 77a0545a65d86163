#include "tests/unit/core/world.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace nightjar::core {
namespace {

// 32 bytes in base64url; a test's own.
constexpr char kKeys[] =
    R"({"keys":[{"kid":"t","alg":"HS256","secret":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})";

// One key file a test process; SignToken reads it.
const std::string& KeyFile() {
  struct File {
    File() { std::ofstream(path) << kKeys; }
    ~File() { std::filesystem::remove(path); }
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("nightjar_core_test_" + std::to_string(getpid()) + ".json"))
                                 .string();
  };
  static const File file;
  return file.path;
}

}  // namespace

World::Shared::Shared(uint32_t partitions)
    : hub(hub::FakeHubOptions{.clock = [this] { return now.unix_ms; }, .partitions = partitions}) {}

World::World(Config config)
    : World(std::make_shared<Shared>(config.partitions), std::move(config)) {}

World::World(World& beside, const std::string& broker_id, Config config)
    : World(beside.shared_, [&] {
        config.broker_id = broker_id;
        return std::move(config);
      }()) {}

World::World(std::shared_ptr<Shared> shared, Config config)
    : shared_(std::move(shared)),
      config_(std::move(config)),
      queue_(std::make_unique<hub::CallQueue>(
          [this](const hub::Call& call) { return hub().Execute(call); })),
      relay_(std::make_unique<hub::RelayQueue>(hub(), config_.broker_id)),
      key_file_(KeyFile()) {
  auto keys = KeySet::Parse(kKeys, "");
  EXPECT_TRUE(keys.ok()) << keys.status().message();
  keys_ = std::move(keys.value());
  shared_->worlds.push_back(this);
  StartProcess();
}

World::~World() { std::erase(shared_->worlds, this); }

std::string World::name() const {
  return config_.broker_id + "#" + std::to_string(config_.incarnation);
}

// As the shell does: listens, claims the id, and only then is there a core.
void World::StartProcess() {
  relay_->Connect();
  hub::Beat claim;
  claim.broker = name();
  claim.first = true;
  hub().Execute(claim);
  engine_ = std::make_unique<Engine>(config_, keys_);
}

void World::Die() {
  queue_->Clear();
  relay_->Cut();
  packets_.clear();
  kicked_.clear();
  paused_ = true;
}

void World::Restart() {
  Die();
  paused_ = false;
  ++config_.incarnation;
  StartProcess();
}

void World::Wake() {
  paused_ = false;
  Tick();
  RunHub();
}

bool World::RunOwn() {
  if (paused_) return false;
  bool any = queue_->RunOne();
  while (auto what = relay_->Take()) {
    any = true;
    Handle(Relayed{std::move(*what)});
  }
  return any;
}

void World::RunHub() {
  for (bool any = true; any;) {
    any = false;
    for (World* world : shared_->worlds) any |= world->RunOwn();
  }
}

std::string World::Token(const std::string& uid, const Connecting& how) const {
  Claims claims;
  claims.uid = uid;
  claims.device = how.pinned;
  claims.service = how.service;
  claims.expires_ms = shared_->now.unix_ms + how.ttl_ms;
  auto token = SignToken(key_file_, claims);
  EXPECT_TRUE(token.ok()) << token.status().message();
  return token.value();
}

void World::Handle(Event event) {
  if (on_event) on_event(event);
  Actions actions;
  engine_->Handle(std::move(event), shared_->now, actions);
  verdict_ = actions.verdict;
  for (Action& action : actions.list) {
    if (on_action) on_action(action);
    Do(action);
  }
}

void World::Do(Action& action) {
  if (auto* it = std::get_if<PublishTo>(&action)) {
    packets_[it->session].push_back({it->topic, it->payload, it->qos});
  } else if (auto* all = std::get_if<PublishAll>(&action)) {
    published_.push_back({all->topic, all->payload, 0});
  } else if (auto* kick = std::get_if<Kick>(&action)) {
    kicked_[kick->session] = true;
  } else if (auto* ask = std::get_if<AskHub>(&action)) {
    queue_->Submit(std::move(ask->call), [this, token = ask->token](hub::Reply reply) {
      Handle(HubReplied{token, std::move(reply)});
    });
  } else if (std::holds_alternative<Emptied>(action)) {
    emptied_ = true;
  } else if (auto* why = std::get_if<CannotGoOn>(&action)) {
    cannot_go_on_ = why->reason;
  } else if (auto* line = std::get_if<LogLine>(&action)) {
    log_.push_back(*line);
  }
}

SessionId World::Connect(const std::string& uid, const std::string& device, Connecting how) {
  const SessionId session = ++last_session_;
  const std::string client_id = uid + ":" + device;
  const std::string user = how.user.empty() ? uid : how.user;
  const std::string token = how.token.empty() ? Token(uid, how) : how.token;
  Handle(ConnectAsked{session, client_id, user, token, how.clean});
  return verdict_ == Verdict::kAllow ? session : 0;
}

bool World::Subscribe(SessionId session, const std::string& filter, int qos) {
  Handle(SubscribeAsked{session, filter, qos});
  return verdict_ == Verdict::kAllow;
}

void World::Unsubscribe(SessionId session, const std::string& filter) {
  Handle(Unsubscribed{session, filter});
}

bool World::Publish(SessionId session, const std::string& topic, const std::string& payload,
                    int qos) {
  Handle(PublishAsked{session, topic});
  if (verdict_ != Verdict::kAllow) return false;
  Handle(Published{session, topic, payload, qos});
  return verdict_ == Verdict::kAllow;
}

void World::Disconnect(SessionId session) { Handle(Disconnected{session}); }

SessionId World::Device(const std::string& uid, const std::string& device) {
  const SessionId session = Connect(uid, device);
  EXPECT_NE(session, 0U);
  EXPECT_TRUE(Subscribe(session, "inbox/" + uid));
  RunHub();
  const auto frames = Take(session);
  EXPECT_TRUE(!frames.empty() && frames[0].has_sync()) << uid << ":" << device;
  return session;
}

bool World::Send(SessionId session, const v1::Send& send) {
  return Publish(session, "chat/send", send.SerializeAsString());
}

bool World::SendText(SessionId session, uint64_t id, const std::string& to,
                     const std::string& text) {
  v1::Send send;
  send.set_client_msg_id(id);
  send.set_to(to);
  send.set_text(text);
  return Send(session, send);
}

bool World::SendChat(SessionId session, uint64_t id, const std::string& chat,
                     const std::string& text) {
  v1::Send send;
  send.set_client_msg_id(id);
  send.set_chat_id(chat);
  send.set_text(text);
  return Send(session, send);
}

bool World::Ack(SessionId session, uint64_t seq, bool resend) {
  v1::Ack ack;
  ack.set_seq(seq);
  ack.set_epoch(epoch());
  ack.set_resend(resend);
  return Publish(session, "chat/ack", ack.SerializeAsString());
}

bool World::Request(SessionId session, const v1::Request& request) {
  return Publish(session, "chat/req", request.SerializeAsString());
}

v1::Response World::Ask(SessionId session, v1::Request request) {
  if (request.request_id().empty()) request.set_request_id("r");
  EXPECT_TRUE(Request(session, request));
  RunHub();
  for (const v1::ServerFrame& frame : Take(session)) {
    if (frame.has_response()) return frame.response();
  }
  ADD_FAILURE() << "no response to " << request.ShortDebugString();
  return {};
}

std::vector<Packet> World::TakePackets(SessionId session) {
  return std::exchange(packets_[session], {});
}

std::vector<v1::ServerFrame> World::Take(SessionId session) {
  std::vector<v1::ServerFrame> frames;
  for (const Packet& packet : TakePackets(session)) frames.push_back(Parse(packet));
  return frames;
}

bool World::Logged(const std::string& part) const {
  return std::any_of(log_.begin(), log_.end(), [&](const LogLine& line) {
    return line.text.find(part) != std::string::npos;
  });
}

void World::Step(int64_t end) {
  Now& now = shared_->now;
  int64_t next = end;
  for (const World* world : shared_->worlds) {
    if (!world->paused_) next = std::min(next, world->engine_->NextDeadline());
  }
  next = std::max(next, now.mono_ms + 1);
  now.unix_ms += next - now.mono_ms;
  now.mono_ms = next;
  for (World* world : shared_->worlds) {
    if (!world->paused_) world->Tick();
  }
}

void World::Advance(int64_t ms) {
  const int64_t end = now().mono_ms + ms;
  RunHub();
  while (now().mono_ms < end) {
    Step(end);
    RunHub();
  }
}

void World::AdvanceAlone(int64_t ms) {
  const int64_t end = now().mono_ms + ms;
  while (now().mono_ms < end) Step(end);
}

v1::ServerFrame Parse(const Packet& packet) {
  v1::ServerFrame frame;
  if (packet.topic.starts_with("json/")) {
    const auto status = google::protobuf::util::JsonStringToMessage(packet.payload, &frame);
    EXPECT_TRUE(status.ok()) << packet.payload;
  } else {
    EXPECT_TRUE(frame.ParseFromString(packet.payload));
  }
  return frame;
}

}  // namespace nightjar::core
