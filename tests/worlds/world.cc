#include "tests/worlds/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "tests/contract/hub/print.h"
#include "tests/worlds/json_line.h"
#include "tests/worlds/tokens.h"

namespace nightjar::worlds {
namespace {

constexpr uint64_t kBusyEvents = 3'000'000;
constexpr size_t kMostBroken = 10;

client::OracleOptions JudgeOptions(const Shape& shape) {
  client::OracleOptions options;
  options.story_happenings = 1 << 12;
  options.most_unsettled = 100'000;
  options.inbox_keeps = shape.hub.inbox_entries;
  // The ends of a line learn of its end at different times, a slow one's or a silent one's most.
  options.silent_line_ms = 300 + shape.line_ms + (shape.slow_line_permille > 0 ? 4000 : 0);
  for (const Fault fault : shape.faults) {
    if (fault == Fault::kDaysPass) options.inbox_keeps = 0;  // age takes entries out
    if (fault == Fault::kHalfOpen || fault == Fault::kRoaming || fault == Fault::kLeftBehind)
      options.silent_line_ms = 20'000;
  }
  options.late_slack_ms = 60'000;  // calls to the hub may wait, fail and be tried again
  return options;
}

bool HoldsSync(std::string topic, std::string payload) {
  if (topic.starts_with("json/") && !FromJsonLine(topic, payload)) return false;
  v1::ServerFrame frame;
  return frame.ParseFromString(payload) && frame.has_sync();
}

}  // namespace

World::World(uint64_t seed, std::ostream* out, Mutant mutant, const Chosen& chosen)
    : seed_(seed),
      mutant_(mutant),
      dice_(seed),
      trace_(out),
      shape_(ShapeOf(seed, chosen)),
      unix_base_(kTokensFrom),
      broker_skew_(static_cast<size_t>(shape_.brokers)),
      keys_(WorldKeys()),
      hub_([this] {
        hub::FakeHubOptions options = shape_.hub;
        options.clock = [this] { return HubClock(); };
        return options;
      }()),
      ledger_(coverage_),
      oracle_(JudgeOptions(shape_)) {
  newest_hub_ms_ = HubClock();
  Say("world {}: {}", seed, shape_.Describe());
  for (int i = 0; i < shape_.brokers; ++i) brokers_.push_back(std::make_unique<Broker>(*this, i));
  keeper_ = std::make_unique<Keeper>(*this);
}

World::~World() = default;

Outcome World::Run() {
  keeper_->Start();
  for (auto& broker : brokers_) broker->Start();
  MakePeople();
  FaultLater();
  bool finished = scheduler_.RunUntil(time() + shape_.busy_ms, kBusyEvents);
  if (finished) {
    StopFaults();
    finished = Settle();
  }
  if (finished) {
    Check();
  } else {
    Break("settling",
          "the world does not come to rest: " + Restless() + "\n" + oracle_.Outstanding());
  }
  for (const client::Violation& violation : oracle_.violations()) {
    Break(violation.promise, violation.what + "\n" + violation.story);
  }
  Outcome outcome;
  outcome.seed = seed_;
  outcome.hash = trace_.hash();
  outcome.events = scheduler_.done();
  outcome.virtual_ms = time() - 1'000'000;
  outcome.accepted = oracle_.Count().accepted;
  outcome.coverage = coverage_;
  outcome.broken = std::move(broken_);
  return outcome;
}

void World::Break(const std::string& promise, std::string what) {
  Say("BROKEN {}: {}", promise, what);
  if (broken_.size() < kMostBroken) broken_.push_back(promise + ": " + std::move(what));
}

// ---- time --------------------------------------------------------------------------------------

Now World::TrueNow() const { return {time(), unix_base_ + time()}; }

Now World::BrokerNow(int broker) const {
  return {time(), unix_base_ + time() + broker_skew_[static_cast<size_t>(broker)]};
}

int64_t World::HubClock() const { return unix_base_ + time() + hub_skew_; }

const std::string& World::Token(const std::string& uid, bool service) {
  return SomeToken(uid, service, TrueNow().unix_ms);
}

// ---- the hub -----------------------------------------------------------------------------------

hub::Reply World::Execute(const hub::Call& asked, const std::string& who) {
  hub::Call call = asked;
  if (auto* list = std::get_if<hub::ListSessions>(&call); list && shape_.page_most > 0) {
    list->limit = std::min(list->limit, shape_.page_most);
  }
  RaiseReceived(call);
  untold_ = Untold(call);
  newest_hub_ms_ = std::max(newest_hub_ms_, HubClock());
  ledger_.Before(call, state());
  const auto lived = state().living, dying = state().dying;
  hub::Reply reply = mutant_ == Mutant::kNone ? hub_.Execute(call) : ExecuteMutated(call);
  NoteBrokers(call, reply, lived, dying);
  TellJudge(call, reply);
  NoteBounds(call, reply);
  trace_.Note(time(), "hub", call.index(), reply.index());
  if (const auto* send = std::get_if<hub::SendReply>(&reply)) {
    trace_.Mix(send->msg_id);
    trace_.Mix(static_cast<uint64_t>(send->outcome));
  }
  if (trace_.printing()) {
    Say("  hub, for {}: {} -> {}", who, hub::contract::Print(call), hub::contract::Print(reply));
  }
  const std::string wrong = ledger_.After(call, reply, who, state(), newest_hub_ms_);
  if (!wrong.empty()) Break("hub", wrong);
  return reply;
}

void World::NotOnePartition(const hub::Call& call) {
  Break("split", "a call touches several partitions: " + hub::contract::Print(call));
}

// The judge is told who is in a group as the hub decides it: a change of the members may reach a
// device late, or fall out of every inbox, and who was in when says what is owed to whom (G1, G10).
void World::TellJudge(const hub::Call& call, const hub::Reply& reply) {
  if (untold_) return;
  const auto* done = std::get_if<hub::ChangeReply>(&reply);
  if (done == nullptr || done->outcome != hub::ChangeReply::Outcome::kDone) return;
  v1::ChatChange change;
  change.set_msg_id(done->msg_id);
  change.mutable_chat()->set_chat_id(done->record.chat);
  change.mutable_chat()->set_member_count(done->record.member_count);
  if (const auto* create = std::get_if<hub::CreateChat>(&call)) {
    change.set_kind(v1::ChatChange::CREATED);
    change.set_by(create->creator);
    for (const std::string& uid : create->members) change.mutable_chat()->add_members(uid);
  } else if (const auto* update = std::get_if<hub::UpdateChat>(&call)) {
    change.set_kind(v1::ChatChange::MEMBERS_CHANGED);
    change.set_by(update->by);
    for (const std::string& uid : update->add) change.add_added(uid);
    for (const std::string& uid : update->remove) change.add_removed(uid);
  }
  oracle_.ChatChanges(change);
}

void World::NoteBounds(const hub::Call& call, const hub::Reply& reply) {
  const auto* send = std::get_if<hub::SendReply>(&reply);
  const auto* change = std::get_if<hub::ChangeReply>(&reply);
  if ((send != nullptr && send->outcome == hub::SendReply::Outcome::kFull) ||
      (change != nullptr && change->outcome == hub::ChangeReply::Outcome::kFull)) {
    for (const auto& [p, partition] : state().partitions) {
      if (partition.tasks.records.size() >= shape_.hub.tasks_max) coverage_.Hit(Point::kTasksFull);
    }
  }
  const auto* login = std::get_if<hub::Login>(&call);
  const auto* in = std::get_if<hub::LoginReply>(&reply);
  if (login == nullptr || in == nullptr || !in->resync) return;
  const auto user = state().users.find(login->uid);
  if (user != state().users.end() && user->second.inbox.size() >= shape_.hub.inbox_entries) {
    coverage_.Hit(Point::kInboxTrimmed);
  }
}

// ---- lines -------------------------------------------------------------------------------------

ConnPtr World::NewConn(int phone, const std::string& uid, const std::string& device) {
  auto conn = std::make_shared<Conn>();
  conn->client = phone;
  conn->broker = static_cast<int>(dice_.Below(shape_.brokers));
  conn->client_id = uid + ":" + device;
  conn->user = uid;
  conn->token = Token(uid, false);
  conn->up_at = conn->down_at = time();
  scheduler_.At(conn->up_at += dice_.Below(shape_.line_ms + 1) + 1, [this, conn] {
    if (!conn->cut) brokers_[static_cast<size_t>(conn->broker)]->OnConnect(conn);
  });
  return conn;
}

int64_t LineDelay(Dice& dice, const Shape& shape, bool settling) {
  int64_t ms = dice.Below(shape.line_ms + 1);
  if (!settling && dice.Chance(shape.slow_line_permille)) ms += dice.Below(4000);
  return ms;
}

void World::UpSubscribe(const ConnPtr& conn, const std::string& filter) {
  conn->up_at = std::max(conn->up_at, time() + LineDelay(dice_, shape_, settling_));
  scheduler_.At(conn->up_at, [this, conn, filter] {
    if (conn->cut) return;
    Say("{} subscribes to {}", conn->client_id, filter);
    brokers_[static_cast<size_t>(conn->broker)]->OnSubscribe(conn, filter);
  });
}

void World::UpPublish(const ConnPtr& conn, const std::string& topic, const std::string& payload) {
  conn->up_at = std::max(conn->up_at, time() + LineDelay(dice_, shape_, settling_));
  scheduler_.At(conn->up_at, [this, conn, topic, payload] {
    if (conn->cut) return;
    trace_.Note(time(), "up", conn->session, 0, payload);
    if (trace_.printing()) Say("{} -> {}: {}", conn->client_id, topic, PacketText(topic, payload));
    brokers_[static_cast<size_t>(conn->broker)]->OnPublish(conn, topic, payload);
  });
}

void World::GoodBye(const ConnPtr& conn) {
  conn->client_open = false;
  if (dice_.Chance(500)) {
    UpPublish(
        conn,
        "presence/" + conn->user + conn->client_id.substr(conn->user.size()).replace(0, 1, "/"),
        "gone");
  }
  scheduler_.At(conn->up_at = std::max(conn->up_at, time() + dice_.Below(shape_.line_ms + 1)),
                [this, conn] { brokers_[static_cast<size_t>(conn->broker)]->OnEnd(conn); });
}

void World::Abandon(const ConnPtr& conn) {
  conn->client_open = false;
  scheduler_.At(conn->up_at = std::max(conn->up_at, time() + shape_.line_ms),
                [this, conn] { brokers_[static_cast<size_t>(conn->broker)]->OnEnd(conn); });
}

void World::CutSoon(const ConnPtr& conn, bool half_open) {
  if (conn->cut) return;
  // What is on the line at this moment may still arrive, up to some point.
  conn->cut = true;
  const int64_t server = half_open ? dice_.Between(1000, 15'000) : dice_.Below(300);
  const int64_t client = half_open ? dice_.Between(1000, 15'000) : dice_.Below(300);
  scheduler_.After(server,
                   [this, conn] { brokers_[static_cast<size_t>(conn->broker)]->OnEnd(conn); });
  scheduler_.After(client, [this, conn] {
    if (std::exchange(conn->client_open, false)) {
      phones_[static_cast<size_t>(conn->client)]->OnClosed(conn);
    }
  });
}

void World::AcceptClient(const ConnPtr& conn) {
  conn->down_at = std::max(conn->down_at, time() + LineDelay(dice_, shape_, settling_));
  scheduler_.At(conn->down_at, [this, conn] {
    if (!conn->cut && conn->client_open) {
      phones_[static_cast<size_t>(conn->client)]->OnConnected(conn);
    }
  });
}

void World::CloseClientSoon(const ConnPtr& conn) {
  conn->down_at = std::max(conn->down_at, time() + dice_.Below(shape_.line_ms + 1));
  scheduler_.At(conn->down_at, [this, conn] {
    if (!conn->cut && std::exchange(conn->client_open, false)) {
      phones_[static_cast<size_t>(conn->client)]->OnClosed(conn);
    }
  });
}

void World::Down(const ConnPtr& conn, const std::string& topic, std::string payload) {
  const bool tail = topic.find("tail/") != std::string::npos;
  if (tail) return;
  // Before a device has said anything the broker cannot know in which encoding to answer.
  const Phone& phone = *phones_[static_cast<size_t>(conn->client)];
  if (phone.json() && conn->heard && !topic.starts_with("json/")) {
    Break("JSON", phone.name() + " was sent what is not JSON: " + topic);
  }
  // A broker whose queue to a device is full drops what has QoS 0. Presence has nothing to make
  // that good, so it is spared. So is what comes to an inbox up to the first sync of a connection:
  // no queue is full then.
  const bool presence = topic.find("presence/") != std::string::npos;
  const bool spared = presence || !conn->synced;
  if (!presence && !conn->synced) conn->synced = HoldsSync(topic, payload);
  if (!settling_ && !spared && dice_.Chance(shape_.lossy_permille)) {
    Say("{} <- {}: dropped", conn->client_id, topic);
    return;
  }
  conn->down_at = std::max(conn->down_at, time() + LineDelay(dice_, shape_, settling_));
  scheduler_.At(conn->down_at, [this, conn, topic, payload = std::move(payload)] {
    if (conn->cut || !conn->client_open) return;
    trace_.Note(time(), "down", conn->session, 0, payload);
    if (trace_.printing()) Say("{} <- {}: {}", conn->client_id, topic, PacketText(topic, payload));
    phones_[static_cast<size_t>(conn->client)]->OnPacket(conn, topic, payload);
  });
}

// ---- what parts tell ---------------------------------------------------------------------------

void World::Saw(const Phone& phone, const client::Happening& happening) {
  if (std::holds_alternative<client::GapSeen>(happening)) coverage_.Hit(Point::kGapSeen);
  if (std::holds_alternative<client::RepeatCame>(happening)) coverage_.Hit(Point::kRepeatFrame);
  if (const auto* synced = std::get_if<client::Synced>(&happening)) {
    if (synced->resync) coverage_.Hit(Point::kResync);
  }
  if (std::holds_alternative<client::SendRefused>(happening)) coverage_.Hit(Point::kRefusedForGood);
  if (const auto* seen = std::get_if<client::PresenceSeen>(&happening)) {
    coverage_.Hit(seen->presence.online() ? Point::kOnlineSeen : Point::kOfflineSeen);
  }
  if (const auto* fault = std::get_if<client::ServerFault>(&happening)) {
    Say("{}: the server's fault: {}", phone.name(), fault->what);
  }
  for (size_t i = 0; i < phones_.size(); ++i) {
    if (phones_[i].get() == &phone) oracle_.Took(judged_[i], happening, TrueNow());
  }
}

void World::OnFrame(const Phone&, const std::string& payload, bool json, bool brief, size_t size) {
  v1::ServerFrame frame;
  if (!frame.ParseFromString(payload)) return;
  if (frame.has_message()) {
    if (json) coverage_.Hit(Point::kJson);
    if (brief) coverage_.Hit(Point::kBrief);
    if (frame.message().truncated()) coverage_.Hit(Point::kTruncated);
  }
  (void)size;
  if (frame.has_rejected()) {
    if (frame.rejected().error().code() == v1::RESOURCE_EXHAUSTED) coverage_.Hit(Point::kExhausted);
    if (frame.rejected().error().code() == v1::UNAVAILABLE) coverage_.Hit(Point::kUnavailable);
  }
  if (frame.has_notice()) {
    if (frame.notice().kind() == v1::Notice::BAD_FRAME) coverage_.Hit(Point::kBadFrame);
    if (frame.notice().kind() == v1::Notice::TOKEN_EXPIRED) coverage_.Hit(Point::kTokenExpired);
  }
  if (frame.seq() > 0 && frame.body_case() == v1::ServerFrame::BODY_NOT_SET) {
    coverage_.Hit(Point::kSkippedOwn);
  }
  if (frame.response().has_receipts()) coverage_.Hit(Point::kMarkAsked);
}

void World::OnLog(const core::LogLine& line) {
  if (line.text.find("acknowledges nothing") != std::string::npos)
    coverage_.Hit(Point::kSilentClosed);
  if (line.level == core::LogLevel::kError) Break("log", "an error was logged: " + line.text);
}

// ---- store -------------------------------------------------------------------------------------

void World::StoreAsked(int broker, uint64_t life, const std::string& topic,
                       const std::string& payload, bool connected) {
  (void)topic;
  if (!connected || !PersisterUp()) return coverage_.Hit(Point::kNoPersister);
  scheduler_.After(dice_.Below(5),
                   [this, broker, life, payload] { keeper_->Take(broker, life, payload); });
}

void World::StoreAnswered(int broker, uint64_t life, const std::string& topic,
                          const std::string& payload) {
  int64_t delay = dice_.Below(5);
  if (!settling_ && dice_.Chance(shape_.hub_line.late_permille)) delay += dice_.Below(3500);
  scheduler_.After(delay, [this, broker, life, topic, payload] {
    Broker& b = *brokers_[static_cast<size_t>(broker)];
    if (b.life() == life && b.alive()) b.ServicePublish(topic, payload);
  });
}

void World::KillKeeper() {
  keeper_->Die();
  for (auto& broker : brokers_) broker->ServiceOut();
  scheduler_.After(dice_.Between(200, 6000), [this] {
    if (keeper_->alive()) return;
    keeper_->Start();
    for (auto& broker : brokers_) broker->ServiceIn();
  });
}

bool World::Stored(const v1::Message& message) {
  const auto page = keeper_->store().History({message.chat_id(), message.msg_id() + 1, 0, 1});
  return page.ok() && !page->messages.empty() && page->messages.back().msg_id() == message.msg_id();
}

}  // namespace nightjar::worlds
