#include "persister/journal_consumer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace nightjar::persist {
namespace {

void Tell(Say::Level level, std::string text, Actions& out) {
  Say say;
  say.level = level;
  say.text = std::move(text);
  out.emplace_back(std::move(say));
}

// What went wrong with a call, if anything.
const hub::Failure* FailureOf(const hub::Reply& reply) { return std::get_if<hub::Failure>(&reply); }

}  // namespace

JournalConsumer::JournalConsumer(Options options)
    : options_(std::move(options)),
      backoff_(options_.retry_first_ms, options_.retry_cap_ms, options_.seed),
      mine_(options_.partitions, true),
      held_(options_.partitions),
      stalls_(options_.partitions),
      poll_ms_(options_.poll_ms) {}

void JournalConsumer::Tick(int64_t now_ms, Actions& out) {
  if (stopped_ || giving_back_) return;
  if (lease_tag_ == 0 && now_ms >= next_lease_ms_ && !stopping_) {
    AskLeases(options_.lease_ttl_ms, now_ms, out);
  }
  if (phase_ != Phase::kWaiting) return;
  if (stopping_) {
    // A lease question under way might take back what is given back: it is answered first.
    if (lease_tag_ == 0) {
      giving_back_ = true;
      AskLeases(0, now_ms, out);
    }
    return;
  }
  if (now_ms >= next_round_ms_) StartRound(now_ms, out);
}

int64_t JournalConsumer::NextWakeMs() const {
  constexpr int64_t kNever = INT64_MAX;
  const int64_t lease = lease_tag_ == 0 ? next_lease_ms_ : kNever;
  const int64_t round = phase_ == Phase::kWaiting ? next_round_ms_ : kNever;
  return std::min(lease, round);
}

void JournalConsumer::Stop(int64_t now_ms, Actions& out) {
  stopping_ = true;
  Tick(now_ms, out);
}

void JournalConsumer::Ask(hub::Call call, uint64_t& tag, Actions& out) {
  tag = next_tag_++;
  out.emplace_back(AskHub{tag, std::move(call)});
}

void JournalConsumer::OnHubReply(uint64_t tag, hub::Reply reply, int64_t now_ms, Actions& out) {
  if (tag == 0) return;
  if (tag == lease_tag_) {
    lease_tag_ = 0;
    OnLeases(reply, now_ms, out);
  } else if (tag == work_tag_) {
    work_tag_ = 0;
    const hub::Failure* failure = FailureOf(reply);
    if (failure != nullptr && failure->kind == hub::Failure::Kind::kFull &&
        phase_ == Phase::kLayingAside) {
      StallPartition(now_ms, out);
    } else if (failure != nullptr) {
      FailRound("hub: " + failure->message, Say::Level::kWarn, now_ms, out);
    } else if (auto* read = std::get_if<hub::ReadLogReply>(&reply)) {
      OnRead(std::move(*read), now_ms, out);
    } else if (const auto* trim = std::get_if<hub::TrimLogReply>(&reply)) {
      OnTrimmed(*trim, now_ms, out);
    } else if (std::holds_alternative<hub::Done>(reply)) {
      OnLaidAside(out);
    } else {
      FailRound("hub: an answer of another kind", Say::Level::kError, now_ms, out);
    }
  }
  Tick(now_ms, out);
}

// ---- leases -----------------------------------------------------------------------------------

void JournalConsumer::AskLeases(int64_t ttl_ms, int64_t now_ms, Actions& out) {
  hub::Lease lease;
  lease.role = hub::Role::kPersist;
  lease.owner = options_.owner;
  for (uint32_t p = 0; p < held_.size(); ++p) {
    if (mine_[p] || ttl_ms == 0) lease.partitions.push_back(p);
  }
  lease_asked_ = lease.partitions;
  lease.ttl_ms = ttl_ms;
  lease_asked_ms_ = now_ms;
  Ask(std::move(lease), lease_tag_, out);
}

void JournalConsumer::OnLeases(const hub::Reply& reply, int64_t now_ms, Actions& out) {
  if (giving_back_) {
    giving_back_ = false;
    stopped_ = true;
    return;
  }
  next_lease_ms_ = std::max(now_ms, lease_asked_ms_ + options_.lease_ttl_ms / 3);
  const auto* leases = std::get_if<hub::LeaseReply>(&reply);
  if (leases == nullptr || leases->tokens.size() != lease_asked_.size()) {
    const hub::Failure* failure = FailureOf(reply);
    if (!hub_away_) {
      Tell(Say::Level::kWarn, "leases not renewed: " + (failure ? failure->message : "odd answer"),
           out);
    }
    hub_away_ = true;
    return;
  }
  hub_away_ = false;
  const uint32_t before = held(now_ms);
  leased_until_ms_ = lease_asked_ms_ + options_.lease_ttl_ms;
  for (size_t i = 0; i < lease_asked_.size(); ++i) {
    held_[lease_asked_[i]] = {leases->tokens[i], leased_until_ms_};
  }
  out.emplace_back(Remember{held_, {}});
  const uint32_t after = held(now_ms);
  if (after != before || !leased_once_) {
    Tell(Say::Level::kInfo, fmt::format("leases held={} of={}", after, held_.size()), out);
  }
  if (after > before) next_round_ms_ = failing_ ? next_round_ms_ : now_ms;
  leased_once_ = true;
}

void JournalConsumer::Share(std::vector<bool> mine) {
  mine.resize(held_.size(), false);
  if (std::find(mine.begin(), mine.end(), true) == mine.end()) mine.assign(held_.size(), true);
  mine_ = std::move(mine);
}

uint32_t JournalConsumer::held(int64_t now_ms) const {
  return static_cast<uint32_t>(HeldPartitions(now_ms).size());
}

std::vector<uint32_t> JournalConsumer::HeldPartitions(int64_t now_ms) const {
  std::vector<uint32_t> partitions;
  for (uint32_t i = 0; i < held_.size(); ++i) {
    const auto p = static_cast<uint32_t>((first_partition_ + i) % held_.size());
    if (held_[p].token != 0 && now_ms < held_[p].until_ms) partitions.push_back(p);
  }
  return partitions;
}

// ---- one round --------------------------------------------------------------------------------

void JournalConsumer::StartRound(int64_t now_ms, Actions& out) {
  hub::ReadLog read;
  read.log = hub::Log::kJournal;
  read.partitions = HeldPartitions(now_ms);
  std::erase_if(read.partitions, [&](uint32_t p) { return now_ms < stalls_[p].again_ms; });
  read.count = options_.read_count;
  read.bytes = options_.read_bytes;
  if (read.partitions.empty()) {
    next_round_ms_ = now_ms + options_.idle_poll_ms;  // a lease that is won brings it forward
    return;
  }
  phase_ = Phase::kReading;
  Ask(std::move(read), work_tag_, out);
}

void JournalConsumer::OnRead(hub::ReadLogReply reply, int64_t now_ms, Actions& out) {
  trims_.clear();
  laid_aside_ = 0;
  for (const hub::LogSlice& slice : reply.slices) {
    if (slice.records.empty() || slice.partition >= held_.size()) continue;
    // The token of now: should the lease have been lost since, the trim is refused.
    trims_.push_back(
        {slice.partition, held_[slice.partition].token, slice.first + slice.records.size()});
  }
  if (trims_.empty()) {
    phase_ = Phase::kWaiting;
    poll_ms_ = std::min(options_.idle_poll_ms, poll_ms_ * 2);
    next_round_ms_ = now_ms + poll_ms_;
    failing_ = false;
    backoff_.Reset();
    return;
  }
  poll_ms_ = options_.poll_ms;
  // A reply that is full favours its first partitions: the next round begins behind the last one.
  first_partition_ = (trims_.back().partition + 1) % options_.partitions;
  batch_ = Batch(std::move(reply.slices));
  phase_ = Phase::kStoring;
  PutNext(out);
}

void JournalConsumer::PutNext(Actions& out) {
  if (auto records = batch_.Next()) {
    out.emplace_back(PutRecords{std::move(records)});
    return;
  }
  phase_ = Phase::kLayingAside;
  LayAsideNext(out);
}

void JournalConsumer::OnStored(const Status& status, int64_t now_ms, Actions& out) {
  if (phase_ != Phase::kStoring) return;
  if (status.ok()) {
    batch_.Stored();
    PutNext(out);
  } else if (status.code() == Code::kInvalidArgument) {
    batch_.Refused(status.message());
    PutNext(out);
  } else {
    FailRound(status.message(),
              status.code() == Code::kUnavailable ? Say::Level::kWarn : Say::Level::kError, now_ms,
              out);
  }
  Tick(now_ms, out);
}

hub::TrimLog::Upto& JournalConsumer::TrimOf(uint32_t partition) {
  return *std::find_if(trims_.begin(), trims_.end(),
                       [&](const hub::TrimLog::Upto& trim) { return trim.partition == partition; });
}

void JournalConsumer::LayAsideNext(Actions& out) {
  const std::vector<DeadLetter>& dead = batch_.dead();
  // Behind one that found no place none of the same partition is tried.
  while (laid_aside_ < dead.size() &&
         dead[laid_aside_].position >= TrimOf(dead[laid_aside_].partition).upto) {
    ++laid_aside_;
  }
  if (laid_aside_ < dead.size()) {
    hub::PutDeadLetter put;
    put.partition = dead[laid_aside_].partition;
    put.record = dead[laid_aside_].record;
    put.reason = dead[laid_aside_].reason;
    put.now_ms = 0;  // whoever submits it reads the clock
    return Ask(std::move(put), work_tag_, out);
  }
  RememberStored(out);
  phase_ = Phase::kTrimming;
  hub::TrimLog trim;
  trim.log = hub::Log::kJournal;
  trim.partitions = trims_;
  Ask(std::move(trim), work_tag_, out);
}

void JournalConsumer::RememberStored(Actions& out) {
  Remember remember;
  auto messages = batch_.TakeStored();
  for (size_t i = 0; i < messages.size(); ++i) {
    const hub::LogSlice& slice = batch_.slices()[i];
    if (slice.records.empty() || slice.partition >= held_.size()) continue;
    const hub::TrimLog::Upto& trim = TrimOf(slice.partition);
    remember.rounds.push_back(
        {slice.partition, trim.token, slice.first, trim.upto, std::move(messages[i])});
  }
  out.emplace_back(std::move(remember));
}

void JournalConsumer::OnLaidAside(Actions& out) {
  const DeadLetter& dead = batch_.dead()[laid_aside_++];
  ++counters_.dead;
  Tell(Say::Level::kError,
       fmt::format("dead letter partition={} bytes={} reason=\"{}\"", dead.partition,
                   dead.record.size(), dead.reason),
       out);
  if (std::exchange(stalls_[dead.partition].on, false)) {
    Tell(Say::Level::kInfo, fmt::format("dead letters again partition={}", dead.partition), out);
  }
  LayAsideNext(out);
}

// The dead letter at hand finds no place: its partition is trimmed up to there.
void JournalConsumer::StallPartition(int64_t now_ms, Actions& out) {
  const DeadLetter& dead = batch_.dead()[laid_aside_];
  Stall& stall = stalls_[dead.partition];
  stall.again_ms = now_ms + options_.retry_cap_ms;
  ++counters_.stalled;
  if (!std::exchange(stall.on, true)) {
    Tell(Say::Level::kError,
         fmt::format("dead letters full partition={}: its journal is kept and waits, the others go "
                     "on; bytes={} reason=\"{}\"",
                     dead.partition, dead.record.size(), dead.reason),
         out);
  }
  TrimOf(dead.partition).upto = dead.position;
  LayAsideNext(out);
}

void JournalConsumer::OnTrimmed(const hub::TrimLogReply& reply, int64_t now_ms, Actions& out) {
  uint64_t refused = 0;
  for (size_t i = 0; i < trims_.size(); ++i) {
    if (i < reply.held.size() && reply.held[i]) continue;
    ++refused;
    held_[trims_[i].partition] = {};
  }
  if (refused > 0) {
    out.emplace_back(Remember{held_, {}});
    counters_.fenced += refused;
    Tell(Say::Level::kWarn, fmt::format("leases lost={} before the trim", refused), out);
  }
  ++counters_.rounds;
  counters_.stored += batch_.size() - batch_.dead().size();
  EndRound(now_ms, out);
}

void JournalConsumer::EndRound(int64_t now_ms, Actions& out) {
  if (failing_) Tell(Say::Level::kInfo, "storing again", out);
  failing_ = false;
  backoff_.Reset();
  next_round_ms_ = batch_.backlog() ? now_ms : now_ms + poll_ms_;
  batch_ = Batch();
  phase_ = Phase::kWaiting;
}

void JournalConsumer::FailRound(const std::string& why, Say::Level level, int64_t now_ms,
                                Actions& out) {
  ++counters_.failures;
  const int64_t wait_ms = backoff_.NextMs();
  Tell(level, fmt::format("not stored, the journal keeps it, retry_ms={}: {}", wait_ms, why), out);
  failing_ = true;
  next_round_ms_ = now_ms + wait_ms;
  batch_ = Batch();  // nothing is held in memory meanwhile
  phase_ = Phase::kWaiting;
}

}  // namespace nightjar::persist
