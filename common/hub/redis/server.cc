#include "common/hub/redis/server.h"

#include <algorithm>
#include <limits>

#include "common/hub/redis/decode.h"

namespace nightjar::hub {
namespace {

constexpr int64_t kSetupAgainMs = 50;  // for a partition that is on its way
constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";

}  // namespace

Server::Server(const RedisOptions& options, Traffic& traffic, ServerOwner& owner, RelayHooks relay,
               uint64_t seed)
    : options_(options),
      traffic_(traffic),
      owner_(owner),
      hooks_(relay),
      backoff_(options.backoff_first_ms, options.backoff_cap_ms, seed),
      relay_(options, Hold(std::move(relay)), seed + 1),
      written_(std::numeric_limits<int64_t>::min() / 2) {}

// Everything that waits goes out_ in one write. With replicas_ to wait for, what comes meanwhile
// gathers for the next batch.
void Server::Pump() {
  if (link_.state() != Link::State::kUp || BatchUnderWay()) return;
  out_.clear();
  if (flying_.empty()) asked_ = now_;
  while (!waiting_.empty()) {
    Pending pending = std::move(waiting_.front());
    waiting_.pop_front();
    if (in_cluster() && !encoder_->Serves(pending.partition)) {
      owner_.OnTurnedAway(std::move(pending), {});
      continue;
    }
    if (std::optional<Reply> local = encoder_->Encode(pending.call, out_)) {
      traffic_.Answer(pending, std::move(*local));
      continue;
    }
    if (pending.sent) traffic_.repeated.fetch_add(1, std::memory_order_relaxed);
    pending.sent = true;
    flying_.push_back(std::move(pending));
  }
  AskForPartitions();
  const int64_t quiet = now_ - link_.heard_ms();
  if (flying_.empty() && quiet >= options_.ping_ms) {
    flying_.push_back({.call = Info{}, .done = {}, .kind = Pending::Kind::kPing});
    out_.append(kPing);
  }
  if (replicas_ && (!out_.empty() || !relayed_.empty())) {
    relayed_asked_ = relayed_.size();
    flying_.push_back({.call = Info{}, .done = {}, .kind = Pending::Kind::kRole});
    flying_.push_back({.call = Info{}, .done = {}, .kind = Pending::Kind::kWait});
    replicas_->AppendCommands(out_);
  }
  if (out_.empty()) return;
  link_.Queue(out_);
  written_ = now_;
  traffic_.writes.fetch_add(1, std::memory_order_relaxed);
  if (const Status status = link_.Flush(); !status.ok()) Break(status.message());
}

bool Server::OnReply(const redisReply& raw) {
  if (flying_.empty()) return true;  // a reply to nothing; nobody can be misled by it
  if (MeansAway(raw)) {
    flying_.front().sent = false;  // refused as a whole: it had no effect
    return false;
  }
  Pending pending = std::move(flying_.front());
  flying_.pop_front();
  if (late_ > 0) --late_;
  switch (pending.kind) {
    case Pending::Kind::kCall:
      OnCallReply(std::move(pending), raw);
      return true;
    case Pending::Kind::kSetup:
      return OnSetup(pending.partition, raw);
    case Pending::Kind::kRole:
      if (replicas_->OnRole(raw)) return true;
      trouble_ = replicas_->reason();
      return false;
    case Pending::Kind::kWait:
      return OnWait(raw);
    case Pending::Kind::kPing:
      return true;
  }
  return true;
}

void Server::OnCallReply(Pending pending, const redisReply& raw) {
  if (!pending.done) return;
  if (in_cluster()) {
    const auto redirect = ReadRedirect(raw, master_);
    if (redirect) pending.sent = false;
    if (redirect || (owner_.HoldsBack(pending.partition) && MayRepeat(pending.call))) {
      owner_.OnTurnedAway(std::move(pending), redirect);
      return;
    }
  }
  Reply reply = Decode(pending.call, raw);
  if (replicas_) {
    held_.emplace_back(std::move(pending), std::move(reply));
  } else {
    traffic_.Answer(pending, std::move(reply));
  }
}

// False: what the batch did may be lost with this master_, so it is told to nobody, and asked_
// again.
bool Server::OnWait(const redisReply& raw) {
  if (!replicas_->OnWait(raw)) {
    trouble_ = replicas_->reason();
    return false;
  }
  std::deque<std::pair<Pending, Reply>> ready;
  ready.swap(held_);
  for (auto& [pending, reply] : ready) traffic_.Answer(pending, std::move(reply));
  for (; relayed_asked_ > 0; --relayed_asked_) {
    hooks_.on_message(std::move(relayed_.front()));
    relayed_.pop_front();
  }
  return true;
}

// What was relayed_ has been done by another connection's call, whose WAIT this one knows nothing
// of. It is kept until a batch of this connection's own, written_ after it came, is with the
// replicas_.
RelayHooks Server::Hold(RelayHooks to) {
  if (options_.durability != Durability::kReplica || !to.on_message) return to;
  to.on_message = [this](Relayed message) {
    relayed_.push_back(std::move(message));
    if (relayed_.size() <= options_.max_calls) return;
    relayed_.clear();  // as if the subscription had been away: the receiver compares heads
    relayed_asked_ = 0;
    if (hooks_.on_state) hooks_.on_state(false), hooks_.on_state(true);
  };
  to.on_state = [this, told = std::move(to.on_state)](bool up) {
    relayed_.clear();
    relayed_asked_ = 0;
    if (told) told(up);
  };
  return to;
}

void Server::OpenIfDue() {
  if (link_.state() != Link::State::kClosed || now_ < next_open_) return;
  Status status;
  if (in_cluster()) {
    if (!placed_ || placed_here_.empty()) return;
    master_ = *placed_;
    status = OpenMaster();
  } else if (options_.sentinels.empty()) {
    master_ = AddressOf(options_);
    status = OpenMaster();
  } else {  // each time another one: this one may be behind
    sentinel_.emplace(options_);
    status = link_.Open(now_, options_.sentinels[next_sentinel_++ % options_.sentinels.size()],
                        options_.sentinel_timeout_ms, *sentinel_);
  }
  if (!status.ok()) Break(status.message());
}

Status Server::OpenMaster() {
  sentinel_.reset();
  greeted_with_ = placed_here_;
  greeting_.emplace(options_, last_, Text(master_), placed_here_, came_from_);
  return link_.Open(now_, master_, options_.connect_timeout_ms, *greeting_);
}

void Server::OnLinkEvents(short revents) {
  const bool was_up = link_.state() == Link::State::kUp;
  Status status =
      link_.OnEvents(revents, now_, [this](const redisReply& raw) { return OnReply(raw); });
  if (status.ok() && link_.state() == Link::State::kUp && sentinel_) {
    master_ = sentinel_->master();
    status = OpenMaster();
  }
  if (!status.ok()) {
    Break(trouble_.empty() ? status.message() : std::exchange(trouble_, {}));
  } else if (!was_up && link_.state() == Link::State::kUp) {
    LinkUp();
  }
}

void Server::LinkUp() {
  const ProbeResult& greeted = greeting_->result();
  last_ = greeting_->link();
  backoff_.Reset();
  encoder_.emplace(greeting_->epochs(), options_.journal_max, options_.tasks_max,
                   greeting_->ids_from_ms(), in_cluster());
  if (options_.durability == Durability::kReplica) {
    replicas_.emplace(options_, greeting_->in_step(), last_.master.asked);
  }
  FollowRelay();
  traffic_.connects.fetch_add(1, std::memory_order_relaxed);
  owner_.OnUp(greeted);
}

// Those that the batch under way had answered come first.
std::deque<Pending> Server::TakeWritten() {
  std::deque<Pending> written;
  written.swap(flying_);
  for (; !held_.empty(); held_.pop_back()) written.push_front(std::move(held_.back().first));
  late_ = 0;
  return written;
}

// The connection is over. What may be repeated goes back to the head of what waits, in its order.
void Server::Break(const std::string& why) {
  link_.Close();
  sentinel_.reset();
  encoder_.reset();
  if (replicas_) {
    last_.master.proven = replicas_->proven();
    last_.master.asked = replicas_->asked();
  }
  replicas_.reset();
  relayed_asked_ = 0;
  std::deque<Pending> lost = TakeWritten();
  for (; !lost.empty(); lost.pop_back()) {
    Pending& pending = lost.back();
    if (pending.done && in_cluster() && owner_.HoldsBack(pending.partition) &&
        (!pending.sent || MayRepeat(pending.call))) {
      owner_.OnTurnedAway(std::move(pending), {});
    } else if (pending.done && (!pending.sent || MayRepeat(pending.call))) {
      waiting_.push_front(std::move(pending));
    } else if (pending.done) {
      flying_.push_front(std::move(pending));  // for the moment: to be failed in order, below
    }
  }
  lost.swap(flying_);
  next_open_ = now_ + backoff_.NextMs();
  owner_.OnBreak(why);
  for (Pending& pending : lost) traffic_.Answer(pending, Unavailable(why));
}

void Server::CheckLink() {
  switch (link_.state()) {
    case Link::State::kClosed:
      return;
    case Link::State::kConnecting:
    case Link::State::kGreeting:
      if (now_ >= link_.deadline_ms()) Break(link_.TooLate().message());
      return;
    case Link::State::kUp:
      if (!flying_.empty() && now_ - std::max(link_.heard_ms(), asked_) >= options_.silence_ms) {
        Break("Redis has been silent for " + std::to_string(options_.silence_ms) + " ms");
      }
      return;
  }
}

// Deadlines come in order in both queues (what is repeated is older than what waits behind it).
void Server::Expire() {
  for (auto& [pending, reply] : held_) {
    if (pending.deadline_ms > now_) break;
    traffic_.Answer(pending, Unavailable("no answer from Redis in time"));
  }
  for (; late_ < flying_.size() &&
         (flying_[late_].kind != Pending::Kind::kCall || flying_[late_].deadline_ms <= now_);
       ++late_) {
    traffic_.Answer(flying_[late_], Unavailable("no answer from Redis in time"));
  }
  while (!waiting_.empty() && waiting_.front().deadline_ms <= now_) {
    Pending pending = std::move(waiting_.front());
    waiting_.pop_front();
    traffic_.Answer(pending, Unavailable("Redis is away"));
  }
}

void Server::Stop(const std::string& why) {
  link_.Close();
  relay_.Stop();
  std::deque<Pending> rest = TakeWritten();
  for (Pending& pending : waiting_) rest.push_back(std::move(pending));
  waiting_.clear();
  for (Pending& pending : rest) traffic_.Answer(pending, Unavailable(why));
}

void Server::AppendSockets(std::vector<pollfd>& sockets) const {
  sockets.push_back({link_.fd(), link_.events(), 0});
  sockets.push_back({relay_.fd(), relay_.events(), 0});
}

const pollfd* Server::OnSockets(const pollfd* sockets, int64_t now) {
  now_ = now;
  if (sockets[0].revents != 0) OnLinkEvents(sockets[0].revents);
  if (sockets[1].revents != 0) relay_.OnEvents(sockets[1].revents, now);
  return sockets + 2;
}

// ---- in a Cluster -----------------------------------------------------------------------------

void Server::Place(const RedisAddress& at, std::vector<uint32_t> partitions, int64_t now) {
  now_ = now;
  const bool moved = placed_ != at;
  placed_ = at;
  placed_here_ = std::move(partitions);
  const auto left_here = [this](uint32_t p) {
    return !std::binary_search(placed_here_.begin(), placed_here_.end(), p);
  };
  std::erase_if(greeted_with_, left_here);
  std::erase_if(came_from_, [&](const auto& from) { return left_here(from.first); });
  if (moved || placed_here_.empty()) {
    if (link_.state() != Link::State::kClosed) {
      Break(placed_here_.empty() ? "it serves nothing any more" : "it is at " + Text(at) + " now");
    }
    if (moved) next_open_ = now, backoff_.Reset();
  }
  if (placed_here_.empty()) relay_.Follow(at, {}, {}, now);
  if (!encoder_) return;
  bool left = false;
  for (uint32_t p = 0; p < encoder_->partitions(); ++p) {
    if (!encoder_->Serves(p) || !left_here(p)) continue;
    encoder_->SetEpoch(p, 0);
    left = true;
  }
  if (left) FollowRelay();
}

void Server::Comes(uint32_t partition, std::string history) {
  if (history.empty()) {
    came_from_.erase(partition);
  } else {
    came_from_[partition] = std::move(history);
  }
}

std::string Server::HistoryOf(uint32_t partition) const {
  return replicas_ && Serves(partition) ? last_.master.history : std::string();
}

void Server::Reopen(int64_t now) {
  now_ = now;
  if (link_.state() != Link::State::kClosed) Break("it is to be greeted anew");
  backoff_.Reset();
  next_open_ = now;
}

std::deque<Pending> Server::Withdraw(uint32_t partition) {
  std::deque<Pending> of, rest;
  for (Pending& pending : waiting_) {
    (pending.partition == partition ? of : rest).push_back(std::move(pending));
  }
  waiting_.swap(rest);
  return of;
}

bool Server::HasWritten(uint32_t partition) const {
  const auto is_of = [partition](const Pending& pending) {
    return pending.kind == Pending::Kind::kCall && pending.partition == partition;
  };
  return std::any_of(flying_.begin(), flying_.end(), is_of) ||
         std::any_of(held_.begin(), held_.end(),
                     [&is_of](const auto& answer) { return is_of(answer.first); });
}

// What has come since the greeting was moved here as it was, and stands under what the others here
// do; also what was here then and has been away since. What was here then, but on its way, is
// judged as the others were.
void Server::AskForPartitions() {
  if (!in_cluster() || now_ < next_setup_) return;
  CommandWriter c(true);
  for (const uint32_t p : placed_here_) {
    if (encoder_->Serves(p) || p >= encoder_->partitions()) continue;
    next_setup_ = now_ + kSetupAgainMs;
    const std::string address = Text(master_);
    const bool was_here = std::binary_search(greeted_with_.begin(), greeted_with_.end(), p);
    const std::string verdict = !replicas_ ? "" : was_here ? greeting_->VerdictFor(p) : "sound";
    WriteSetup(c,
               {.partitions = encoder_->partitions(),
                .known_epoch = last_.epoch,
                .verdict = verdict,
                .history = last_.master.history,
                .address = address,
                .rebuilding = options_.rebuilding},
               {p});
    c.AppendTo(out_);
    flying_.push_back({.call = Info{}, .done = {}, .kind = Pending::Kind::kSetup, .partition = p});
  }
}

bool Server::OnSetup(uint32_t partition, const redisReply& raw) {
  if (ReadRedirect(raw, master_)) return true;  // it is still on its way
  const auto setup = ReadSetup(raw, {partition});
  if (!setup.ok()) {
    trouble_ = setup.status().message();
    return false;
  }
  if (!std::binary_search(placed_here_.begin(), placed_here_.end(), partition)) return true;
  encoder_->SetEpoch(partition, setup.value().epochs.front());
  encoder_->NotBefore(setup.value().ids_from_ms);
  last_.epoch = std::max(last_.epoch, setup.value().epochs.front());
  FollowRelay();
  owner_.OnCame(partition);
  return true;
}

bool Server::AllServed() const {
  return std::all_of(placed_here_.begin(), placed_here_.end(),
                     [this](uint32_t p) { return Serves(p) || p >= encoder_->partitions(); });
}

void Server::FollowRelay() {
  std::vector<uint32_t> partitions;
  for (uint32_t p = 0; p < encoder_->partitions(); ++p) {
    if (encoder_->Serves(p)) partitions.push_back(p);
  }
  relay_.Follow(master_, last_.run_id, partitions, now_);
}

void Server::Work(int64_t now, bool write) {
  now_ = now;
  Expire();
  CheckLink();
  OpenIfDue();
  relay_.Work(now_);
  if (write) Pump();
}

int64_t Server::GatherLeft(int64_t now) const {
  if (link_.state() != Link::State::kUp) return 0;
  return std::max<int64_t>(0, written_ + options_.gather_ms - now);
}

int64_t Server::DueMs(int64_t now) const {
  int64_t next = std::min(now + options_.ping_ms, relay_.DueMs());
  if (late_ < flying_.size()) next = std::min(next, flying_[late_].deadline_ms);
  const auto held_one = std::find_if(
      held_.begin(), held_.end(), [](const auto& answer) { return answer.first.done != nullptr; });
  if (held_one != held_.end()) next = std::min(next, held_one->first.deadline_ms);
  if (!waiting_.empty()) next = std::min(next, waiting_.front().deadline_ms);
  if (in_cluster() && encoder_ && !AllServed()) next = std::min(next, next_setup_);
  switch (link_.state()) {
    case Link::State::kClosed:
      return in_cluster() && placed_here_.empty() ? next : std::min(next, next_open_);
    case Link::State::kConnecting:
    case Link::State::kGreeting:
      return std::min(next, link_.deadline_ms());
    case Link::State::kUp:
      break;
  }
  return std::min(next, flying_.empty() ? link_.heard_ms() + options_.ping_ms
                                        : std::max(link_.heard_ms(), asked_) + options_.silence_ms);
}

}  // namespace nightjar::hub
