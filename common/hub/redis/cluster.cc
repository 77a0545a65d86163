#include "common/hub/redis/cluster.h"

#include <algorithm>

#include "common/hub/split/parts.h"

namespace nightjar::hub {
namespace {

constexpr int64_t kAgainMs = 50;        // for calls that were turned away
constexpr int64_t kLeastAskMs = 100;    // between two questions for the map, when it is in doubt
constexpr int64_t kAskAnywayMs = 5000;  // when nothing is amiss

}  // namespace

// One master, with those that copy it.
struct Cluster::Member final : ServerOwner {
  Member(Cluster& c, uint64_t seed)
      : cluster(c), server(c.options_, c.traffic_, *this, c.Part(*this), seed) {}

  void OnUp(const ProbeResult& greeted) override { cluster.OnUp(*this, greeted); }
  void OnBreak(const std::string& why) override { cluster.OnBreak(*this, why); }
  void OnTurnedAway(Pending call, const std::optional<Redirect>& redirect) override {
    Partition& partition = cluster.partitions_[call.partition];
    partition.turned_away = true;
    partition.again = cluster.now_ + kAgainMs;
    for (Pending& later : server.Withdraw(call.partition)) cluster.Park(std::move(later));
    cluster.Park(std::move(call));
    if (redirect && redirect->kind == Redirect::Kind::kMoved) cluster.Doubt(redirect->to);
  }
  bool HoldsBack(uint32_t partition) const override {
    return cluster.partitions_[partition].turned_away;
  }
  void OnCame(uint32_t) override { cluster.TellIfServed(); }

  Cluster& cluster;
  Shard shard;                       // as the map had it last
  std::vector<uint32_t> partitions;  // by the map
  std::vector<std::string> warnings;
  bool relay_up = false;
  Server server;
};

Cluster::Cluster(const RedisOptions& options, Traffic& traffic, ServerOwner& owner,
                 RelayHooks relay, uint64_t seed)
    : options_(options),
      traffic_(traffic),
      owner_(owner),
      hooks_(std::move(relay)),
      seed_(seed),
      partitions_(1),
      ask_backoff_(options.backoff_first_ms, options.backoff_cap_ms, seed) {}

Cluster::~Cluster() = default;

// ---- the map ----------------------------------------------------------------------------------

void Cluster::AskIfDue() {
  if (link_.state() != Link::State::kClosed) {
    if (now_ >= link_.deadline_ms()) NotAsked(link_.TooLate().message());
    return;
  }
  if (now_ < next_ask_) return;
  const RedisAddress to = NextToAsk();
  ask_.emplace(options_, to);
  next_ask_ = now_ + (Calm() ? kAskAnywayMs : options_.backoff_cap_ms);
  if (const Status status = link_.Open(now_, to, options_.sentinel_timeout_ms, *ask_);
      !status.ok()) {
    NotAsked(status.message());
  }
}

// All whom the map names, and those configured, in turn: one may be behind, or away.
RedisAddress Cluster::NextToAsk() {
  if (ask_first_) return *std::exchange(ask_first_, std::nullopt);
  std::vector<RedisAddress> all = options_.cluster;
  for (const auto& member : members_) {
    all.push_back(member->shard.master.address);
    for (const ClusterNode& replica : member->shard.replicas) all.push_back(replica.address);
  }
  return all[next_to_ask_++ % all.size()];
}

void Cluster::NotAsked(const std::string& why) {
  link_.Close();
  ask_.reset();
  next_ask_ = now_ + ask_backoff_.NextMs();
  if (members_.empty()) owner_.OnBreak(why);
}

void Cluster::Doubt(const std::optional<RedisAddress>& ask) {
  if (ask) ask_first_ = ask;
  next_ask_ = std::min(next_ask_, now_ + kLeastAskMs);
}

void Cluster::Apply(SlotMap map) {
  ask_backoff_.Reset();
  map_ = std::move(map);
  std::vector<Member*> here;
  for (const Shard& shard : map_->shards()) here.push_back(&MemberOf(shard, *map_, here));
  for (size_t i = 0; i < here.size(); ++i) here[i]->shard = map_->shards()[i];
  Assign();
}

// The member that this master is, or is the successor of.
Cluster::Member& Cluster::MemberOf(const Shard& shard, const SlotMap& map,
                                   const std::vector<Member*>& taken) {
  for (const auto& member : members_) {
    if (member->shard.master.id == shard.master.id) return *member;
  }
  if (Member* replaced = Replaced(shard, map, taken)) return *replaced;
  auto made = std::make_unique<Member>(*this, seed_ += 2);
  made->shard = shard;
  std::lock_guard lock(members_mutex_);
  return *members_.emplace_back(std::move(made));
}

// Of those whose master has none of the slots any more: whose replica this was, or, since a map
// does not name every replica (one that still copies is left out), whose partition it has. Whoever
// is wrongly taken for a successor can prove nothing, and is as good as not known.
Cluster::Member* Cluster::Replaced(const Shard& shard, const SlotMap& map,
                                   const std::vector<Member*>& taken) {
  const auto gone = [&](const Member& member) {
    return !map.IsMaster(member.shard.master.id) &&
           std::find(taken.begin(), taken.end(), &member) == taken.end();
  };
  for (const auto& member : members_) {
    const auto& replicas = member->shard.replicas;
    const bool of_it =
        std::any_of(replicas.begin(), replicas.end(),
                    [&shard](const ClusterNode& node) { return node.id == shard.master.id; });
    if (of_it && gone(*member)) return member.get();
  }
  for (uint32_t p = 0; p < partitions_.size(); ++p) {
    const auto now = map.ShardOf(SlotOfPartition(p));
    if (!now || map.shards()[*now].master.id != shard.master.id) continue;
    Member* before = partitions_[p].at;
    if (before != nullptr && gone(*before)) return before;
  }
  return nullptr;
}

// Who has what from now on. Calls that wait elsewhere come with their partition; while one of it is
// under way elsewhere, they wait for that.
void Cluster::Assign() {
  if (!map_) return;
  for (const auto& member : members_) member->partitions.clear();
  for (uint32_t p = 0; p < partitions_.size(); ++p) {
    Partition& partition = partitions_[p];
    Member* at = nullptr;
    if (const auto shard = map_->ShardOf(SlotOfPartition(p))) {
      const std::string& id = map_->shards()[*shard].master.id;
      for (const auto& member : members_) {
        if (member->shard.master.id == id) at = member.get();
      }
    }
    if (at != nullptr) at->partitions.push_back(p);
    Member* before = std::exchange(partition.at, at);
    if (before == nullptr || before == at) continue;
    if (at != nullptr) at->server.Comes(p, KnownUnder(*before, p));
    for (Pending& call : before->server.Withdraw(p)) Park(std::move(call));
    if (before->server.HasWritten(p)) partition.turned_away = true;
  }
  for (const auto& member : members_) {
    member->server.Place(member->shard.master.address, member->partitions, now_);
  }
  TellIfServed();
}

// The history under which the partition was known where it was: it was moved from there if that
// server is still one of the masters, for who takes over takes all. Empty: nothing is known.
std::string Cluster::KnownUnder(const Member& before, uint32_t partition) const {
  return map_->IsMaster(before.shard.master.id) ? before.server.HistoryOf(partition)
                                                : std::string();
}

bool Cluster::Calm() const {
  return up_told_ && std::all_of(members_.begin(), members_.end(), [this](const auto& member) {
           return member->relay_up || member->partitions.empty() || hooks_.broker_id.empty();
         });
}

// ---- calls ------------------------------------------------------------------------------------

void Cluster::Add(Pending call) {
  if (!counted_) {
    uncounted_.push_back(std::move(call));
    return;
  }
  call.number = ++submitted_;
  // One of several comes from no SplitHub: the server that it goes to refuses it.
  call.partition =
      PartitionOfCall(call.call, static_cast<uint32_t>(partitions_.size())).value_or(0);
  Partition& partition = partitions_[call.partition];
  if (partition.turned_away || !partition.calls.empty() || partition.at == nullptr) {
    partition.calls.push_back(std::move(call));
  } else {
    partition.at->server.Add(std::move(call));
  }
}

void Cluster::Park(Pending call) {
  std::deque<Pending>& calls = partitions_[call.partition].calls;
  const auto after = std::find_if(calls.rbegin(), calls.rend(), [&call](const Pending& other) {
    return other.number < call.number;
  });
  calls.insert(after.base(), std::move(call));
}

void Cluster::Expire() {
  const auto expire = [this](std::deque<Pending>& calls) {
    while (!calls.empty() && calls.front().deadline_ms <= now_) {
      Pending call = std::move(calls.front());
      calls.pop_front();
      traffic_.Answer(call, Unavailable("no server of the Cluster has this partition"));
    }
  };
  expire(uncounted_);
  for (Partition& partition : partitions_) expire(partition.calls);
}

void Cluster::Release() {
  for (uint32_t p = 0; p < partitions_.size(); ++p) {
    Partition& partition = partitions_[p];
    if (!partition.turned_away && partition.calls.empty()) continue;
    const bool under_way = std::any_of(members_.begin(), members_.end(), [p](const auto& member) {
      return member->server.HasWritten(p);
    });
    if (under_way || now_ < partition.again || partition.at == nullptr ||
        !partition.at->server.Serves(p)) {
      continue;
    }
    partition.turned_away = false;
    for (Pending& call : partition.calls) partition.at->server.Add(std::move(call));
    partition.calls.clear();
  }
}

// ---- what members tell ------------------------------------------------------------------------

void Cluster::OnUp(Member& member, const ProbeResult& greeted) {
  member.warnings = greeted.warnings;
  if (!counted_) {
    counted_ = true;
    partitions_.resize(greeted.info.partitions);
    greet_again_ = &member;
    std::deque<Pending> calls;
    calls.swap(uncounted_);
    for (Pending& call : calls) Add(std::move(call));
  }
  if (greet_again_ == nullptr && member.server.Serves(0)) info_ = greeted.info;
  TellIfServed();
}

void Cluster::OnBreak(Member& member, const std::string& why) {
  if (&member == greet_again_) return;
  Doubt();
  if (member.partitions.empty()) return;
  up_told_ = false;
  owner_.OnBreak(why);
}

void Cluster::TellIfServed() {
  if (up_told_ || !counted_ || !info_) return;
  for (uint32_t p = 0; p < partitions_.size(); ++p) {
    if (partitions_[p].at == nullptr || !partitions_[p].at->server.Serves(p)) return;
  }
  up_told_ = true;
  ProbeResult all{.server_version = {}, .info = *info_, .warnings = {}};
  for (const auto& member : members_) {
    if (member->partitions.empty()) continue;
    for (const std::string& warning : member->warnings) {
      all.warnings.push_back(Text(member->shard.master.address) + ": " + warning);
    }
  }
  owner_.OnUp(all);
}

RelayHooks Cluster::Part(Member& member) const {
  RelayHooks part = hooks_;
  part.on_state = [this, &member](bool up) { const_cast<Cluster*>(this)->OnRelay(member, up); };
  return part;
}

// Told is the whole: down when one is away, up when all listen, and then again whenever one has
// begun anew: what was published in its partitions before is lost.
void Cluster::OnRelay(Member& member, bool up) {
  member.relay_up = up;
  if (!up) Doubt();
  if (!hooks_.on_state) return;
  const bool all = std::all_of(members_.begin(), members_.end(), [](const auto& other) {
    return other->relay_up || other->partitions.empty();
  });
  if (relay_told_ && (up || !all)) hooks_.on_state(relay_told_ = false);
  if (all && !relay_told_) hooks_.on_state(relay_told_ = true);
}

// Who told how many partitions there are was greeted with the first alone.
void Cluster::GreetWithAll() {
  greet_again_->server.Reopen(now_);
  greet_again_ = nullptr;
  Assign();
}

// ---- work -------------------------------------------------------------------------------------

void Cluster::Work(int64_t now, bool write) {
  now_ = now;
  if (greet_again_ != nullptr) GreetWithAll();
  AskIfDue();
  Expire();
  if (write) Release();
  for (const auto& member : members_) member->server.Work(now, write);
  if (up_told_) return;
  owner_.OnPartly(std::any_of(members_.begin(), members_.end(),
                              [](const auto& member) { return member->server.up(); }));
}

int64_t Cluster::DueMs(int64_t now) const {
  if (greet_again_ != nullptr) return now;
  int64_t next = link_.state() == Link::State::kClosed ? next_ask_ : link_.deadline_ms();
  if (!uncounted_.empty()) next = std::min(next, uncounted_.front().deadline_ms);
  for (const Partition& partition : partitions_) {
    if (!partition.calls.empty()) next = std::min(next, partition.calls.front().deadline_ms);
    if (partition.again > now) next = std::min(next, partition.again);
  }
  for (const auto& member : members_) next = std::min(next, member->server.DueMs(now));
  return next;
}

bool Cluster::idle() const {
  return uncounted_.empty() &&
         std::all_of(partitions_.begin(), partitions_.end(),
                     [](const Partition& partition) { return partition.calls.empty(); }) &&
         std::all_of(members_.begin(), members_.end(),
                     [](const auto& member) { return member->server.idle(); });
}

int64_t Cluster::GatherLeft(int64_t now) const {
  int64_t left = 0;
  for (const auto& member : members_) left = std::max(left, member->server.GatherLeft(now));
  return left;
}

void Cluster::AppendSockets(std::vector<pollfd>& sockets) const {
  sockets.push_back({link_.fd(), link_.events(), 0});
  for (const auto& member : members_) member->server.AppendSockets(sockets);
}

const pollfd* Cluster::OnSockets(const pollfd* sockets, int64_t now) {
  now_ = now;
  const pollfd asked = *sockets++;
  for (const auto& member : members_) sockets = member->server.OnSockets(sockets, now);
  if (asked.revents == 0) return sockets;
  const Status status = link_.OnEvents(asked.revents, now, [](const redisReply&) { return true; });
  if (!status.ok()) {
    NotAsked(status.message());
  } else if (link_.state() == Link::State::kUp) {
    link_.Close();
    Apply(ask_->map());
  }
  return sockets;
}

void Cluster::Stop(const std::string& why) {
  link_.Close();
  for (const auto& member : members_) member->server.Stop(why);
  std::deque<Pending> rest;
  rest.swap(uncounted_);
  for (Partition& partition : partitions_) {
    for (Pending& call : partition.calls) rest.push_back(std::move(call));
    partition.calls.clear();
  }
  for (Pending& call : rest) traffic_.Answer(call, Unavailable(why));
}

RelayLink::Counts Cluster::relay_counts() const {
  std::lock_guard lock(members_mutex_);
  RelayLink::Counts sum;
  for (const auto& member : members_) {
    const RelayLink::Counts counts = member->server.relay_counts();
    sum.ups += counts.ups;
    sum.relayed += counts.relayed;
    sum.bad += counts.bad;
  }
  return sum;
}

}  // namespace nightjar::hub
