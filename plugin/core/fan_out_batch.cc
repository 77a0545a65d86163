#include "plugin/core/fan_out_batch.h"

#include <algorithm>
#include <utility>

#include "plugin/core/leases.h"
#include "plugin/core/tell.h"

namespace nightjar::core::fan_out {
namespace {

// Bounds of a step: users, entries (users x messages), and bytes of them all.
constexpr size_t kUsers = 64, kEntries = 256, kBytes = 256 * 1024;
constexpr size_t kBatchBytes = kBytes / 16;  // so that a step still serves some users
constexpr size_t kPerPartition = 2;          // steps under way

bool IsRecipient(const hub::Member& member, MsgId id) {
  return member.joined <= id && (member.left == 0 || id <= member.left);
}

// The newest id up to which everybody is a recipient who is one of `id`, and nobody else.
MsgId SameUntil(const std::vector<hub::Member>& members, MsgId id) {
  MsgId until = UINT64_MAX;
  for (const hub::Member& member : members) {
    if (member.joined > id) until = std::min(until, member.joined - 1);
    if (member.left != 0 && member.left >= id) until = std::min(until, member.left);
  }
  return until;
}

size_t Bytes(const v1::FanOutTask& task) {
  return std::max(task.shared().size(), task.own().size());
}

void ToNextRecipient(FanOutPartition& part) {
  const MsgId id = part.queue.front().task.msg_id();
  const auto& members = *part.members;
  while (part.next < members.size() && !IsRecipient(members[part.next], id)) ++part.next;
}

// REQUIRES: `next` is a recipient.
void Step(State& s, uint32_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  hub::Append call;
  call.chat = part.chat;
  call.broker = s.broker;
  for (size_t i = 0; i < part.batch; ++i) {
    const v1::FanOutTask& task = part.queue[i].task;
    call.messages.push_back(
        {task.msg_id(), task.author(), task.author_device(), task.shared(), task.own()});
  }
  while (part.next < part.members->size() && call.uids.size() < part.users) {
    call.uids.push_back((*part.members)[part.next++].uid);
    ToNextRecipient(part);
  }
  ++part.outstanding;
  ++s.fan_out.under_way;
  Ask(s, std::move(call), PendingAppend{partition, part.run});
}

}  // namespace

bool PlanBatch(FanOutPartition& part) {
  const MsgId first = part.queue.front().task.msg_id();
  const MsgId until = SameUntil(*part.members, first);
  size_t bytes = Bytes(part.queue.front().task) + 1;
  MsgId last = first;
  for (part.batch = 1; part.batch < std::min(part.queue.size(), hub::kAppendMessages);
       ++part.batch) {
    const v1::FanOutTask& task = part.queue[part.batch].task;
    if (task.chat_id() != part.chat || task.msg_id() <= last || task.msg_id() > until) break;
    if (bytes + Bytes(task) > kBatchBytes) break;
    bytes += Bytes(task);
    last = task.msg_id();
  }
  part.users = std::clamp<size_t>(kBytes / bytes, 1, std::min(kUsers, kEntries / part.batch));
  part.failed = false;
  part.next = 0;
  ToNextRecipient(part);
  return part.next < part.members->size();
}

void Queue(State& s, uint32_t partition) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  if (part.ready || part.batch == 0 || part.failed || part.outstanding >= kPerPartition) return;
  if (part.next >= part.members->size()) return;
  part.ready = true;
  s.fan_out.ready.push_back(partition);
}

void Pump(State& s) {
  FanOutState& fan = s.fan_out;
  while (fan.under_way < s.config.appends_at_once && !fan.ready.empty()) {
    const uint32_t partition = fan.ready.front();
    fan.ready.pop_front();
    FanOutPartition& part = fan.partitions[partition];
    part.ready = false;
    // Begun anew since, or failed: then it does not belong here.
    if (part.batch == 0 || part.failed || part.next >= part.members->size()) continue;
    Step(s, partition);
    Queue(s, partition);
  }
}

std::vector<FreshEntry> Appended(const FanOutPartition& part, hub::AppendReply& reply) {
  std::vector<FreshEntry> entries;
  for (size_t i = 0; i < reply.deliveries.size() && i < part.batch; ++i) {
    if (reply.deliveries[i].empty()) continue;
    const v1::FanOutTask& task = part.queue[i].task;
    FreshEntry entry;
    entry.chat = task.chat_id();
    entry.msg_id = task.msg_id();
    entry.author = task.author();
    entry.message = !task.author().empty();
    entry.shared = {task.shared()};
    entry.own = {task.own()};
    entry.deliveries = std::move(reply.deliveries[i]);
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace nightjar::core::fan_out
