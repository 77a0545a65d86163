#include "plugin/core/fan_out.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/wire/names.h"
#include "plugin/core/fan_out_batch.h"
#include "plugin/core/leases.h"
#include "plugin/core/tell.h"

namespace nightjar::core::fan_out {
namespace {

constexpr uint32_t kTasksAtOnce = 64;  // of a partition, between two trims
constexpr int64_t kAgainMs = 1000;
constexpr int64_t kPollMs = 1000, kIdlePollMs = 5000, kSuspectMs = 15'000;
constexpr uint32_t kNoLane = UINT32_MAX;

FanOutPartition* Running(State& s, uint32_t partition, uint64_t run) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  return part.run == run && part.busy ? &part : nullptr;
}

void Read(State& s, std::vector<uint32_t> partitions) {
  if (partitions.empty()) return;
  for (const uint32_t p : partitions) {
    s.fan_out.partitions[p].busy = true;
    s.fan_out.partitions[p].more = false;
  }
  hub::ReadLog call;
  call.log = hub::Log::kTasks;
  call.partitions = partitions;
  call.count = kTasksAtOnce;
  Ask(s, std::move(call), PendingTasks{std::move(partitions)});
}

void AgainLater(State& s, uint32_t partition, uint32_t lane) {
  s.timers.Add(s.now.mono_ms + kAgainMs, TimerKind::kTaskAgain, partition | uint64_t{lane} << 32);
}

void Trim(State& s, uint32_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  hub::TrimLog call;
  call.log = hub::Log::kTasks;
  call.partitions.push_back({partition, part.token, part.upto});
  Ask(s, std::move(call), PendingTrim{partition, part.run});
}

// The members of a direct chat are in its id.
std::shared_ptr<const std::vector<hub::Member>> DirectMembers(const std::string& chat) {
  const std::optional<ChatName> name = ParseChatId(chat);
  if (!name || !name->direct) return nullptr;
  std::vector<hub::Member> members;
  for (const std::string& uid : name->Members()) members.push_back({.uid = uid});
  return std::make_shared<const std::vector<hub::Member>>(std::move(members));
}

void AskMembers(State& s, uint32_t partition, uint32_t at) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  hub::GetChat call;
  call.chat = part.lanes[at].chat;
  call.members = true;
  const CachedChat* known = s.chats.Find(call.chat);
  if (known != nullptr && known->whole) call.known_version = known->version;
  Ask(s, std::move(call), PendingTaskMembers{partition, part.run, at});
}

void Finish(State& s, uint32_t partition, uint32_t at) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  FanOutLane& lane = part.lanes[at];
  lane.queue.clear();
  lane.batch = 0;
  if (--part.open == 0) Trim(s, partition);
}

// What is next in the lane; REQUIRES: nothing of it is under way, and something is left.
void Begin(State& s, uint32_t partition, uint32_t at) {
  FanOutLane& lane = s.fan_out.partitions[partition].lanes[at];
  if (!lane.members) {
    auto direct = DirectMembers(lane.chat);
    if (!direct) return AskMembers(s, partition, at);
    SetMembers(s, lane, std::move(direct));
  }
  while (!PlanBatch(lane)) {
    lane.queue.erase(lane.queue.begin(), lane.queue.begin() + static_cast<ptrdiff_t>(lane.batch));
    if (lane.queue.empty()) return Finish(s, partition, at);
  }
  Queue(s, partition, at);
}

void FinishBatch(State& s, uint32_t partition, uint32_t at) {
  FanOutLane& lane = s.fan_out.partitions[partition].lanes[at];
  lane.queue.erase(lane.queue.begin(), lane.queue.begin() + static_cast<ptrdiff_t>(lane.batch));
  lane.batch = 0;
  if (lane.queue.empty()) return Finish(s, partition, at);
  Begin(s, partition, at);
}

FanOutLane& LaneOf(FanOutPartition& part, const std::string& chat) {
  const auto it = std::find_if(part.lanes.begin(), part.lanes.end(),
                               [&](const FanOutLane& lane) { return lane.chat == chat; });
  if (it != part.lanes.end()) return *it;
  part.lanes.emplace_back().chat = chat;
  return part.lanes.back();
}

void Take(State& s, const hub::LogSlice& slice) {
  FanOutPartition& part = s.fan_out.partitions[slice.partition];
  for (size_t i = 0; i < slice.records.size(); ++i) {
    v1::FanOutTask task;
    if (!task.ParseFromString(slice.records[i])) {
      Log(s, LogLevel::kError,
          fmt::format("fan-out: partition {}: task {} cannot be read; put aside", slice.partition,
                      slice.first + i));
      Ask(s,
          hub::PutDeadLetter{slice.partition, slice.records[i], "fan-out task: cannot be decoded",
                             s.now.unix_ms},
          PendingIgnored{});
      continue;
    }
    LaneOf(part, task.chat_id()).queue.push_back(std::move(task));
  }
  part.upto = slice.first + slice.records.size();
  part.more = slice.end > part.upto;
  part.open = part.lanes.size();
  if (part.open == 0) return Trim(s, slice.partition);
  for (uint32_t at = 0; at < part.lanes.size(); ++at) Begin(s, slice.partition, at);
  Pump(s);
}

}  // namespace

void Start(State& s) {
  if (s.fan_out.started) return;
  s.fan_out.started = true;
  s.fan_out.partitions.resize(s.config.partitions);
  Suspect(s);
  s.fan_out.polling = true;
  s.timers.Add(s.now.mono_ms + kPollMs, TimerKind::kTasks, 0);
  OnLeaseTimer(s);
}

void Share(State& s) {
  if (s.fan_out.started) leases::Share(s);
}

void OnLeaseTimer(State& s) { leases::OnTimer(s); }

void OnLease(State& s, const PendingLease& pending, hub::Reply& reply) {
  std::vector<uint32_t> look = leases::OnLease(s, pending, reply);
  std::erase_if(look, [&](uint32_t partition) { return !leases::Mine(s, partition); });
  Read(s, std::move(look));
}

void Poke(State& s, const std::string& chat) {
  OnRelayed(s, {PartitionOf(chat, s.config.partitions)});
}

void OnRelayed(State& s, const hub::RelayedTask& task) {
  if (task.partition >= s.fan_out.partitions.size()) return;
  FanOutPartition& part = s.fan_out.partitions[task.partition];
  // Its holder is told, or polls; should it become ours, we look.
  if (!leases::Mine(s, task.partition)) return Suspect(s);
  if (part.busy) {
    part.more = true;
  } else {
    Read(s, {task.partition});
  }
}

void Suspect(State& s) { s.fan_out.poll_fast_until = s.now.mono_ms + kSuspectMs; }

void OnPollTimer(State& s) {
  FanOutState& fan = s.fan_out;
  const bool fast = s.now.mono_ms < fan.poll_fast_until;
  s.timers.Add(s.now.mono_ms + (fast ? kPollMs : kIdlePollMs), TimerKind::kTasks, 0);
  if (!s.hub_up) return;
  std::vector<uint32_t> look;
  for (uint32_t p = 0; p < fan.partitions.size(); ++p) {
    if (leases::Mine(s, p) && !fan.partitions[p].busy) look.push_back(p);
  }
  Read(s, std::move(look));
}

void OnTasks(State& s, const PendingTasks& pending, hub::Reply& reply) {
  hub::Failure failure;
  const auto* log = Expect<hub::ReadLogReply>(reply, failure);
  for (const uint32_t p : pending.partitions) {
    FanOutPartition& part = s.fan_out.partitions[p];
    if (!part.lanes.empty() || part.token == 0) continue;  // begun anew since
    part.busy = false;
    if (log == nullptr) {
      Suspect(s);
      continue;
    }
    const auto slice = std::find_if(log->slices.begin(), log->slices.end(),
                                    [&](const hub::LogSlice& it) { return it.partition == p; });
    if (slice != log->slices.end() && !slice->records.empty()) {
      part.busy = true;
      Take(s, *slice);
    } else if (part.more || slice != log->slices.end()) {
      Read(s, {p});
    }
  }
}

void OnMembers(State& s, const PendingTaskMembers& pending, hub::Reply& reply) {
  FanOutPartition* part = Running(s, pending.partition, pending.run);
  if (part == nullptr) return;
  FanOutLane& lane = part->lanes[pending.lane];
  hub::Failure failure;
  auto* got = Expect<hub::GetChatReply>(reply, failure);
  if (got == nullptr) return AgainLater(s, pending.partition, pending.lane);
  if (!got->found) {
    Log(s, LogLevel::kError, fmt::format("fan-out: a task of an unknown chat, {}", lane.chat));
    return Finish(s, pending.partition, pending.lane);
  }
  const CachedChat* known = s.chats.Find(lane.chat);
  if (got->members_included) {
    CachedChat chat = WholeChat(lane.chat, got->record.version, std::move(got->members));
    SetMembers(s, lane, chat.members);
    s.chats.Put(std::move(chat));
  } else if (known != nullptr && known->whole && known->version == got->record.version) {
    SetMembers(s, lane, known->members);
  }  // else it has left the cache, or changed: asked again
  Begin(s, pending.partition, pending.lane);
  Pump(s);
}

Outcome OnAppend(State& s, const PendingAppend& pending, hub::Reply& reply) {
  s.fan_out.under_way -= pending.entries;
  FanOutPartition* part = Running(s, pending.partition, pending.run);
  hub::Failure failure;
  auto* appended = Expect<hub::AppendReply>(reply, failure);
  Outcome outcome;
  if (part == nullptr) {
    outcome.look_all = appended == nullptr ||
                       !std::all_of(appended->deliveries.begin(), appended->deliveries.end(),
                                    [](auto& of) { return of.empty(); });
    Pump(s);
    return outcome;
  }
  FanOutLane& lane = part->lanes[pending.lane];
  --lane.outstanding;
  if (appended != nullptr && appended->deliveries.size() == lane.batch) {
    outcome.entries = Appended(lane, *appended);
  } else {
    lane.failed = true;
    outcome.look_all = true;  // repeated, it passes over those it reached: nobody tells of them
  }
  const bool all = lane.outstanding == 0;
  if (all && lane.failed) {
    AgainLater(s, pending.partition, pending.lane);
  } else if (all && lane.next >= lane.order.size()) {
    FinishBatch(s, pending.partition, pending.lane);
  } else {
    Queue(s, pending.partition, pending.lane);
  }
  Pump(s);
  return outcome;
}

void OnTrim(State& s, const PendingTrim& pending, hub::Reply& reply) {
  FanOutPartition* part = Running(s, pending.partition, pending.run);
  if (part == nullptr) return;
  hub::Failure failure;
  const auto* trim = Expect<hub::TrimLogReply>(reply, failure);
  if (trim == nullptr) {
    part->trim_again = true;
    return AgainLater(s, pending.partition, kNoLane);
  }
  if (trim->held.size() != 1 || !trim->held[0]) part->token = 0;  // another holds the lease now
  leases::StartOver(*part);
  if (part->more && leases::Mine(s, pending.partition)) Read(s, {pending.partition});
}

void OnAgainTimer(State& s, uint64_t key) {
  const auto partition = static_cast<uint32_t>(key), at = static_cast<uint32_t>(key >> 32);
  FanOutPartition& part = s.fan_out.partitions[partition];
  if (at == kNoLane) {
    if (std::exchange(part.trim_again, false)) Trim(s, partition);
    return;
  }
  if (at >= part.lanes.size()) return;
  const FanOutLane& lane = part.lanes[at];
  if (lane.queue.empty() || lane.outstanding > 0) return;
  Begin(s, partition, at);
  Pump(s);
}

}  // namespace nightjar::core::fan_out
