#include "tests/worlds/keeper.h"

#include <algorithm>
#include <utility>

#include "common/hub/split/parts.h"
#include "nightjar/v1/hub.pb.h"
#include "tests/worlds/world.h"

namespace nightjar::worlds {

Keeper::Keeper(World& world)
    : world_(world),
      line_(
          world.scheduler(), world.dice(), world.coverage(), world.shape(),
          [this](const hub::Call& call) {
            return world_.Execute(call, "keeper" + std::to_string(life_));
          },
          [this](const hub::Call& call) { world_.NotOnePartition(call); }),
      now_hub_(*this),
      hot_({.partitions = world.shape().hub.partitions,
            .mono_ms = [&world] { return world.time(); }}),
      reader_({.partitions = world.shape().hub.partitions}, now_hub_, store_, &hot_) {}

void Keeper::PartHub::Submit(hub::Call call, hub::Callback done) {
  if (!hub::PartitionOfCall(call, world_.shape().hub.partitions)) world_.NotOnePartition(call);
  done(world_.Execute(call, "reader"));
}

void Keeper::NowHub::Submit(hub::Call call, hub::Callback done) {
  World& world = keeper_.world_;
  const int64_t lost = keeper_.world_.shape().hub_line.lose_permille;
  if (!keeper_.line_.up() || !world.HubAnswers() ||
      (!world.settling() && world.dice().Chance(lost))) {
    return done(hub::Failure{hub::Failure::Kind::kUnavailable, "lost"});
  }
  if (world.shape().servers == 0) return done(world.Execute(call, "reader"));
  hub::SplitHub(parts_, world.shape().hub.partitions).Submit(std::move(call), std::move(done));
}

void Keeper::Start() {
  if (alive()) return;
  ++life_;
  persist::JournalConsumer::Options options;
  options.owner = "keeper" + std::to_string(life_);
  options.partitions = world_.shape().hub.partitions;
  options.read_count = static_cast<uint32_t>(world_.dice().Between(1, 20));
  options.seed = world_.dice().Next();
  consumer_ = std::make_unique<persist::JournalConsumer>(options);
  armed_ = INT64_MAX;
  world_.Say("{} starts", options.owner);
  if (world_.HubThere()) line_.Connect();
  Tick();
}

void Keeper::Die() {
  if (!alive()) return;
  world_.coverage().Hit(Point::kPersisterDied);
  world_.Say("keeper{} dies", life_);
  line_.Die();
  consumer_.reset();
  hot_.Clear();
}

void Keeper::Tick() {
  persist::Actions out;
  consumer_->Tick(world_.time(), out);
  Do(std::move(out));
  Arm();
}

void Keeper::Arm() {
  const int64_t at = std::max(consumer_->NextWakeMs(), world_.time() + 1);
  if (at >= armed_ || at == INT64_MAX) return;
  armed_ = at;
  world_.scheduler().At(at, [this, at, life = life_] {
    if (life != life_ || at != armed_ || !alive()) return;
    armed_ = INT64_MAX;
    Tick();
  });
}

Status Keeper::Put(const persist::Records& records) {
  if (away_) {
    world_.coverage().Hit(Point::kStoreFailed);
    return {Code::kUnavailable, "away"};
  }
  const Status status = store_.Put(records);
  if (!world_.settling() && world_.dice().Chance(world_.shape().store_fails_permille)) {
    world_.coverage().Hit(Point::kStoreFailed);
    return {Code::kUnavailable, "stored, but nobody was told"};
  }
  return status;
}

void Keeper::Do(persist::Actions actions) {
  for (persist::Action& action : actions) {
    if (auto* ask = std::get_if<persist::AskHub>(&action)) {
      line_.Submit(std::move(ask->call), [this, life = life_, tag = ask->tag](hub::Reply reply) {
        if (life != life_ || !alive()) return;
        persist::Actions more;
        consumer_->OnHubReply(tag, std::move(reply), world_.time(), more);
        Do(std::move(more));
        Arm();
      });
    } else if (auto* put = std::get_if<persist::PutRecords>(&action)) {
      // A disk takes its time, and the process may die before or after.
      world_.scheduler().After(
          world_.dice().Between(0, 30), [this, life = life_, records = put->records] {
            if (life != life_ || !alive()) return;
            const Status status = Put(*records);
            world_.trace().Note(world_.time(), "put", records->size(), status.ok());
            world_.Say("keeper puts {} records: {}", records->size(), status.ok() ? "ok" : "fails");
            if (!world_.settling() && world_.dice().Chance(5)) return world_.KillKeeper();
            persist::Actions more;
            consumer_->OnStored(status, world_.time(), more);
            Do(std::move(more));
            Arm();
          });
    } else if (auto* remember = std::get_if<persist::Remember>(&action)) {
      if (!remember->leases.empty()) hot_.SetLeases(remember->leases);
      for (const auto& round : remember->rounds) hot_.Stored(round);
    } else {
      world_.Say("keeper: {}", std::get<persist::Say>(action).text);
    }
  }
}

void Keeper::Take(int broker, uint64_t broker_life, const std::string& payload) {
  v1::StoreRequest request;
  if (!alive() || !request.ParseFromString(payload)) return;
  if (!world_.settling() && world_.dice().Chance(world_.shape().hub_line.lose_permille)) return;
  world_.scheduler().After(world_.dice().Between(0, 20), [this, life = life_, broker, broker_life,
                                                          request = std::move(request)] {
    if (life != life_ || !alive()) return;
    v1::StoreReply out;
    out.set_session(request.session());
    out.set_attempt(request.attempt());
    *out.mutable_response() = reader_.Answer(request.uid(), request.request());
    for (const auto& message : out.response().history().messages()) {
      if (!world_.Stored(message)) world_.coverage().Hit(Point::kHistoryFromJournal);
    }
    world_.StoreAnswered(broker, broker_life, request.reply_topic(), out.SerializeAsString());
  });
}

bool Keeper::ReadAll(const std::string& uid, const std::string& chat,
                     const std::function<void(const v1::History&)>& page) {
  v1::Request request;
  request.set_request_id("all");
  request.mutable_history()->set_chat_id(chat);
  request.mutable_history()->set_limit(50);
  request.mutable_history()->set_after_msg_id(1);
  while (true) {
    const v1::Response response = reader_.Answer(uid, request);
    if (!response.has_history()) return false;
    page(response.history());
    const int n = response.history().messages_size();
    if (!response.history().more() || n == 0) return true;
    request.mutable_history()->set_after_msg_id(response.history().messages(n - 1).msg_id());
  }
}

}  // namespace nightjar::worlds
