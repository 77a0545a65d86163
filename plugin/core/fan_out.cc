#include "plugin/core/fan_out.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/wire/names.h"
#include "plugin/core/tell.h"

namespace nightjar::core::fan_out {
namespace {

constexpr size_t kStep = 64;           // members an Append
constexpr uint32_t kTasksAtOnce = 32;  // of a partition, between two trims
constexpr int64_t kAgainMs = 1000;
constexpr int64_t kPollMs = 1000, kIdlePollMs = 5000, kSuspectMs = 15'000;

FanOutPartition* Running(State& s, uint32_t partition, uint64_t run) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  return part.run == run && part.busy ? &part : nullptr;
}

void StartOver(FanOutPartition& part) {
  ++part.run;
  part.busy = part.failed = false;
  part.outstanding = 0;
  part.queue.clear();
  part.members = {};
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

std::vector<std::string> Recipients(const CachedChat& chat, MsgId id) {
  std::vector<std::string> uids;
  for (const hub::Member& member : chat.members) {
    if (member.joined <= id && (member.left == 0 || id <= member.left)) uids.push_back(member.uid);
  }
  return uids;
}

void AppendTo(State& s, uint32_t partition, const std::vector<std::string>& uids) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  const v1::FanOutTask& task = part.queue.front().task;
  for (size_t from = 0; from < uids.size(); from += kStep) {
    hub::Append call;
    call.chat = task.chat_id();
    call.msg_id = task.msg_id();
    call.author = task.author();
    call.author_device = task.author_device();
    call.shared = task.shared();
    call.own = task.own();
    call.broker = s.broker;
    const auto begin = uids.begin() + static_cast<ptrdiff_t>(from);
    call.uids.assign(begin, begin + static_cast<ptrdiff_t>(std::min(kStep, uids.size() - from)));
    ++part.outstanding;
    Ask(s, std::move(call), PendingAppend{partition, part.run});
  }
}

void FinishTask(State& s, uint32_t partition);

void AppendToMembers(State& s, uint32_t partition) {
  const FanOutPartition& part = s.fan_out.partitions[partition];
  const auto uids = Recipients(part.members, part.queue.front().task.msg_id());
  if (uids.empty()) return FinishTask(s, partition);
  AppendTo(s, partition, uids);
}

void BeginTask(State& s, uint32_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  if (part.queue.empty()) return Trim(s, partition);
  part.failed = false;
  hub::GetChat call;
  call.chat = part.queue.front().task.chat_id();
  if (part.members.chat == call.chat) return AppendToMembers(s, partition);
  call.members = true;
  const CachedChat* known = s.chats.Find(call.chat);
  if (known != nullptr && known->whole) call.known_version = known->version;
  Ask(s, std::move(call), PendingTaskMembers{partition, part.run, part.queue.front().position});
}

void FinishTask(State& s, uint32_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  part.done = part.queue.front().position + 1;
  part.queue.pop_front();
  BeginTask(s, partition);
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
  BeginTask(s, slice.partition);
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

void OnLeaseTimer(State& s) {
  FanOutState& fan = s.fan_out;
  s.timers.Add(s.now.mono_ms + s.config.lease_ttl_ms / 3, TimerKind::kLease, 0);
  if (s.now.mono_ms - fan.renewed_at > s.config.lease_ttl_ms) {  // ours no more, for all we know
    for (FanOutPartition& part : fan.partitions) part.token = 0;
  }
  if (fan.leasing) return;
  fan.leasing = true;
  fan.asked_at = s.now.mono_ms;
  hub::Lease call;
  call.role = hub::Role::kFanOut;
  call.owner = s.broker;
  call.ttl_ms = s.config.lease_ttl_ms;
  for (uint32_t p = 0; p < s.config.partitions; ++p) call.partitions.push_back(p);
  Ask(s, std::move(call), PendingLease{});
}

void OnLease(State& s, hub::Reply& reply) {
  FanOutState& fan = s.fan_out;
  fan.leasing = false;
  hub::Failure failure;
  const auto* lease = Expect<hub::LeaseReply>(reply, failure);
  if (lease == nullptr || lease->tokens.size() != fan.partitions.size()) return;
  fan.renewed_at = fan.asked_at;
  std::vector<uint32_t> look;
  for (uint32_t p = 0; p < fan.partitions.size(); ++p) {
    FanOutPartition& part = fan.partitions[p];
    if (part.token == lease->tokens[p]) continue;
    part.token = lease->tokens[p];
    StartOver(part);
    if (part.token != 0) look.push_back(p);
  }
  Read(s, std::move(look));
}

void Poke(State& s, const std::string& chat) {
  if (!s.fan_out.started) return;
  const uint32_t partition = PartitionOf(chat, s.config.partitions);
  FanOutPartition& part = s.fan_out.partitions[partition];
  if (part.token == 0) return Suspect(s);  // its holder polls; should it become ours, we look
  if (part.busy) {
    part.more = true;
  } else {
    Read(s, {partition});
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
    if (fan.partitions[p].token != 0 && !fan.partitions[p].busy) look.push_back(p);
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
    return FinishTask(s, pending.partition);
  }
  const CachedChat* known = s.chats.Find(task.chat_id());
  if (got->members_included) {
    part->members = WholeChat(task.chat_id(), got->record.version, std::move(got->members));
    s.chats.Put(part->members);
  } else if (known != nullptr && known->whole && known->version == got->record.version) {
    part->members = *known;
  } else {
    return BeginTask(s, pending.partition);  // it has left the cache, or changed: ask again
  }
  AppendToMembers(s, pending.partition);
}

FreshEntry OnAppend(State& s, const PendingAppend& pending, hub::Reply& reply) {
  FanOutPartition* part = Running(s, pending.partition, pending.run);
  hub::Failure failure;
  auto* appended = Expect<hub::AppendReply>(reply, failure);
  if (part == nullptr || part->queue.empty()) {
    FreshEntry none;
    none.look_all = appended == nullptr || !appended->deliveries.empty();
    return none;
  }
  const v1::FanOutTask& task = part->queue.front().task;
  FreshEntry entry;
  if (appended != nullptr) {
    entry = {task.chat_id(),
             task.msg_id(),
             task.author(),
             !task.author().empty(),
             {task.shared()},
             {task.own()},
             0,
             std::move(appended->deliveries),
             false,
             false};
  } else {
    part->failed = true;
    entry.look_all =
        true;  // repeated, the append passes over those it reached: nobody tells of them
  }
  if (--part->outstanding > 0) return entry;
  if (part->failed) {
    AgainLater(s, pending.partition);
  } else {
    FinishTask(s, pending.partition);
  }
  return entry;
}

void OnTrim(State& s, const PendingTrim& pending, hub::Reply& reply) {
  FanOutPartition* part = Running(s, pending.partition, pending.run);
  if (part == nullptr) return;
  hub::Failure failure;
  const auto* trim = Expect<hub::TrimLogReply>(reply, failure);
  if (trim == nullptr) return AgainLater(s, pending.partition);
  if (trim->held.size() != 1 || !trim->held[0]) part->token = 0;  // another holds the lease now
  StartOver(*part);
  if (part->token != 0 && part->more) Read(s, {pending.partition});
}

void OnAgainTimer(State& s, uint64_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  if (part.busy && part.outstanding == 0) BeginTask(s, static_cast<uint32_t>(partition));
}

}  // namespace nightjar::core::fan_out
