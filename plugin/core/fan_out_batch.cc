#include "plugin/core/fan_out_batch.h"

#include <algorithm>
#include <utility>

#include "common/wire/names.h"
#include "plugin/core/tell.h"

namespace nightjar::core::fan_out {
namespace {

// Bounds of a step: users, entries (users x messages), and bytes of them all.
constexpr size_t kUsers = 64, kEntries = 256, kBytes = 256 * 1024;
constexpr size_t kBatchBytes = kBytes / 16;  // so that a step still serves some users
constexpr size_t kPerLane = 2;               // steps under way

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

const hub::Member& At(const FanOutLane& lane, size_t place) {
  return (*lane.members)[lane.order[place]];
}

void ToNextRecipient(FanOutLane& lane) {
  const MsgId id = lane.queue.front().msg_id();
  while (lane.next < lane.order.size() && !IsRecipient(At(lane, lane.next), id)) ++lane.next;
}

// REQUIRES: `next` is a recipient.
void Step(State& s, uint32_t partition, uint32_t at) {
  FanOutPartition& part = s.fan_out.partitions[partition];
  FanOutLane& lane = part.lanes[at];
  hub::Append call;
  call.chat = lane.chat;
  call.broker = s.broker;
  for (size_t i = 0; i < lane.batch; ++i) {
    const v1::FanOutTask& task = lane.queue[i];
    call.messages.push_back(
        {task.msg_id(), task.author(), task.author_device(), task.shared(), task.own()});
  }
  while (lane.next < lane.order.size() && call.uids.size() < lane.users) {
    call.uids.push_back(At(lane, lane.next++).uid);
    ToNextRecipient(lane);
  }
  PendingAppend pending{partition, part.run, at, call.uids.size() * call.messages.size()};
  ++lane.outstanding;
  s.fan_out.under_way += pending.entries;
  Ask(s, std::move(call), std::move(pending));
}

}  // namespace

void SetMembers(const State& s, FanOutLane& lane,
                std::shared_ptr<const std::vector<hub::Member>> members) {
  lane.members = std::move(members);
  std::vector<std::pair<uint32_t, uint32_t>> places;
  places.reserve(lane.members->size());
  for (uint32_t i = 0; i < lane.members->size(); ++i) {
    places.emplace_back(PartitionOf((*lane.members)[i].uid, s.config.partitions), i);
  }
  std::sort(places.begin(), places.end());
  lane.order.clear();
  for (const auto& [partition, i] : places) lane.order.push_back(i);
}

bool PlanBatch(FanOutLane& lane) {
  const MsgId first = lane.queue.front().msg_id();
  const MsgId until = SameUntil(*lane.members, first);
  size_t bytes = Bytes(lane.queue.front()) + 1;
  MsgId last = first;
  for (lane.batch = 1; lane.batch < std::min(lane.queue.size(), hub::kAppendMessages);
       ++lane.batch) {
    const v1::FanOutTask& task = lane.queue[lane.batch];
    if (task.msg_id() <= last || task.msg_id() > until) break;
    if (bytes + Bytes(task) > kBatchBytes) break;
    bytes += Bytes(task);
    last = task.msg_id();
  }
  lane.users = std::clamp<size_t>(kBytes / bytes, 1, std::min(kUsers, kEntries / lane.batch));
  lane.failed = false;
  lane.next = 0;
  ToNextRecipient(lane);
  return lane.next < lane.order.size();
}

void Queue(State& s, uint32_t partition, uint32_t at) {
  FanOutLane& lane = s.fan_out.partitions[partition].lanes[at];
  if (lane.ready || lane.batch == 0 || lane.failed || lane.outstanding >= kPerLane) return;
  if (lane.next >= lane.order.size()) return;
  lane.ready = true;
  s.fan_out.ready.emplace_back(partition, at);
}

void Pump(State& s) {
  FanOutState& fan = s.fan_out;
  while (fan.under_way < s.config.entries_at_once && !fan.ready.empty()) {
    const auto [partition, at] = fan.ready.front();
    fan.ready.pop_front();
    std::vector<FanOutLane>& lanes = fan.partitions[partition].lanes;
    if (at >= lanes.size()) continue;  // of a run that is over
    FanOutLane& lane = lanes[at];
    lane.ready = false;
    // Begun anew since, or failed: then it does not belong here.
    if (lane.batch == 0 || lane.failed || lane.next >= lane.order.size()) continue;
    Step(s, partition, at);
    Queue(s, partition, at);
  }
}

std::vector<FreshEntry> Appended(const FanOutLane& lane, hub::AppendReply& reply) {
  std::vector<FreshEntry> entries;
  for (size_t i = 0; i < reply.deliveries.size() && i < lane.batch; ++i) {
    if (reply.deliveries[i].empty()) continue;
    const v1::FanOutTask& task = lane.queue[i];
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
