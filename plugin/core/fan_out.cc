#include "plugin/core/fan_out.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/wire/names.h"
#include "plugin/core/fan_out_batch.h"
#include "plugin/core/leases.h"
#include "plugin/core/tell.h"

namespace nightjar::core::fan_out {
namespace {

constexpr uint32_t kTasksAtOnce = 32;  // of a partition, between two trims
constexpr int64_t kAgainMs = 1000;
constexpr int64_t kPollMs = 1000, kIdlePollMs = 5000, kSuspectMs = 15'000;

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

void AgainLater(State& s, uint32_t partition) {
  s.timers.Add(s.now.mono_ms + kAgainMs, TimerKind::kTaskAgain, partition);
}

void Trim(State& s, uint32_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  hub::TrimLog call;
  call.log = hub::Log::kTasks;
  call.partitions.push_back({partition, part.token, part.done});
  Ask(s, std::move(call), PendingTrim{partition, part.run});
}

void FinishBatch(State& s, uint32_t partition);

void AppendToMembers(State& s, uint32_t partition) {
  if (!PlanBatch(s.fan_out.partitions[partition])) return FinishBatch(s, partition);
  Queue(s, partition);
  Pump(s);
}

void BeginBatch(State& s, uint32_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  part.batch = 0;
  if (part.queue.empty()) return Trim(s, partition);
  hub::GetChat call;
  call.chat = part.queue.front().task.chat_id();
  if (part.members && part.chat == call.chat) return AppendToMembers(s, partition);
  call.members = true;
  const CachedChat* known = s.chats.Find(call.chat);
  if (known != nullptr && known->whole) call.known_version = known->version;
  Ask(s, std::move(call), PendingTaskMembers{partition, part.run, part.queue.front().position});
}

void FinishBatch(State& s, uint32_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  for (size_t i = std::max<size_t>(part.batch, 1); i > 0; --i) {
    part.done = part.queue.front().position + 1;
    part.queue.pop_front();
  }
  BeginBatch(s, partition);
}

void Take(State& s, const hub::LogSlice& slice) {
  FanOutPartition& part = s.fan_out.partitions[slice.partition];
  for (size_t i = 0; i < slice.records.size(); ++i) {
    FanOutPartition::Task task;
    task.position = slice.first + i;
    if (!task.task.ParseFromString(slice.records[i])) {
      Log(s, LogLevel::kError,
          fmt::format("fan-out: partition {}: task {} cannot be read; put aside", slice.partition,
                      task.position));
      Ask(s,
          hub::PutDeadLetter{slice.partition, slice.records[i], "fan-out task: cannot be decoded",
                             s.now.unix_ms},
          PendingIgnored{});
      part.done = task.position + 1;
      continue;
    }
    part.queue.push_back(std::move(task));
  }
  part.more = slice.end > slice.first + slice.records.size();
  BeginBatch(s, slice.partition);
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
    if (!part.queue.empty() || part.token == 0) continue;  // begun anew since
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
  if (part == nullptr || part->queue.empty()) return;
  if (part->queue.front().position != pending.position || part->outstanding > 0) return;
  hub::Failure failure;
  auto* got = Expect<hub::GetChatReply>(reply, failure);
  if (got == nullptr) return AgainLater(s, pending.partition);
  const v1::FanOutTask& task = part->queue.front().task;
  if (!got->found) {
    Log(s, LogLevel::kError, fmt::format("fan-out: a task of an unknown chat, {}", task.chat_id()));
    return FinishBatch(s, pending.partition);
  }
  const CachedChat* known = s.chats.Find(task.chat_id());
  if (got->members_included) {
    CachedChat chat = WholeChat(task.chat_id(), got->record.version, std::move(got->members));
    part->members = chat.members;
    s.chats.Put(std::move(chat));
  } else if (known != nullptr && known->whole && known->version == got->record.version) {
    part->members = known->members;
  } else {
    return BeginBatch(s, pending.partition);  // it has left the cache, or changed: ask again
  }
  part->chat = task.chat_id();
  AppendToMembers(s, pending.partition);
}

Outcome OnAppend(State& s, const PendingAppend& pending, hub::Reply& reply) {
  --s.fan_out.under_way;
  FanOutPartition* part = Running(s, pending.partition, pending.run);
  hub::Failure failure;
  auto* appended = Expect<hub::AppendReply>(reply, failure);
  Outcome outcome;
  if (part == nullptr || part->batch == 0) {
    outcome.look_all = appended == nullptr ||
                       !std::all_of(appended->deliveries.begin(), appended->deliveries.end(),
                                    [](auto& of) { return of.empty(); });
    Pump(s);
    return outcome;
  }
  --part->outstanding;
  if (appended != nullptr && appended->deliveries.size() == part->batch) {
    outcome.entries = Appended(*part, *appended);
  } else {
    part->failed = true;
    outcome.look_all = true;  // repeated, it passes over those it reached: nobody tells of them
  }
  const bool all = part->outstanding == 0;
  if (all && part->failed) {
    AgainLater(s, pending.partition);
  } else if (all && part->next >= part->members->size()) {
    FinishBatch(s, pending.partition);
  } else {
    Queue(s, pending.partition);
  }
  Pump(s);
  return outcome;
}

void OnTrim(State& s, const PendingTrim& pending, hub::Reply& reply) {
  FanOutPartition* part = Running(s, pending.partition, pending.run);
  if (part == nullptr) return;
  hub::Failure failure;
  const auto* trim = Expect<hub::TrimLogReply>(reply, failure);
  if (trim == nullptr) return AgainLater(s, pending.partition);
  if (trim->held.size() != 1 || !trim->held[0]) part->token = 0;  // another holds the lease now
  leases::StartOver(*part);
  if (part->more && leases::Mine(s, pending.partition)) Read(s, {pending.partition});
}

void OnAgainTimer(State& s, uint64_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  if (part.busy && part.outstanding == 0) BeginBatch(s, static_cast<uint32_t>(partition));
}

}  // namespace nightjar::core::fan_out
