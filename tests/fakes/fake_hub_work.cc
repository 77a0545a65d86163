// Push settings, leases, logs, the hub itself.
#include <algorithm>
#include <utility>

#include "tests/fakes/fake_hub.h"

namespace nightjar::hub {

using fake::LeaseState;
using fake::LogState;
using fake::PartitionState;

namespace {

LogState& LogOf(PartitionState& partition, Log log) {
  return log == Log::kJournal ? partition.journal : partition.tasks;
}

Failure Full(const char* what) { return {Failure::Kind::kFull, what}; }

}  // namespace

Reply FakeHub::Do(const PutPush& c) {
  if (JournalFull(c.uid)) return Full("the journal is at its bound");
  auto& push = state_.users[c.uid].push;
  if (c.registration.empty()) {
    push.erase(c.device);
  } else {
    push[c.device] = c.registration;
  }
  Journal(c.uid, c.journal);
  return Done{};
}

Reply FakeHub::Do(const PutMute& c) {
  if (JournalFull(c.uid)) return Full("the journal is at its bound");
  auto& mutes = state_.users[c.uid].mutes;
  const std::pair<std::string, std::string> what{c.chat, c.chat.empty() ? c.device : ""};
  if (c.until_ms == 0) {
    mutes.erase(what);
  } else {
    mutes[what] = c.until_ms;
  }
  Journal(c.uid, c.journal);
  return Done{};
}

Reply FakeHub::Do(const Lease& c) {
  LeaseReply reply;
  for (const uint32_t p : c.partitions) {
    LeaseState& lease = state_.partitions[p].leases[c.role];
    const bool held = lease.HeldAt(Clock());
    if (held && lease.owner != c.owner) {
      reply.tokens.push_back(0);
    } else if (c.ttl_ms == 0) {  // given back, or not held at all
      if (held) lease.owner.clear();
      reply.tokens.push_back(0);
    } else {
      if (!held) {
        lease.counter = std::max(lease.counter + 1, static_cast<uint64_t>(Clock()));
      }
      lease.owner = c.owner;
      lease.until = Clock() + c.ttl_ms;
      reply.tokens.push_back(lease.counter);
    }
  }
  return reply;
}

Reply FakeHub::Do(const ReadLog& c) {
  ReadLogReply reply;
  size_t bytes = 0;
  bool any = false, full = false;
  for (const uint32_t p : c.partitions) {
    const LogState& log = LogOf(state_.partitions[p], c.log);
    const uint64_t first = std::max(c.from, log.base);
    if (log.end() <= first) continue;
    LogSlice slice{p, first, log.end(), {}};
    for (uint64_t i = first; i < log.end() && slice.records.size() < c.count && !full; ++i) {
      const std::string& record = log.records[i - log.base];
      if (any && bytes + record.size() > c.bytes) {
        full = true;
      } else {
        bytes += record.size();
        any = true;
        slice.records.push_back(record);
      }
    }
    reply.slices.push_back(std::move(slice));
  }
  return reply;
}

Reply FakeHub::Do(const TrimLog& c) {
  TrimLogReply reply;
  const Role role = c.log == Log::kJournal ? Role::kPersist : Role::kFanOut;
  for (const auto& trim : c.partitions) {
    PartitionState& partition = state_.partitions[trim.partition];
    const LeaseState& lease = partition.leases[role];
    LogState& log = LogOf(partition, c.log);
    const bool held =
        lease.HeldAt(Clock()) && lease.counter == trim.token && trim.upto <= log.end();
    reply.held.push_back(held);
    if (!held) continue;
    for (; log.base < trim.upto && !log.records.empty(); ++log.base) log.records.pop_front();
  }
  return reply;
}

Reply FakeHub::Do(const PutDeadLetter& c) {
  auto& dead = state_.partitions[c.partition].dead;
  if (dead.size() >= options_.dead_max) return Full("too many dead letters");
  dead.push_back({c.now_ms, c.reason, c.record});
  return Done{};
}

Reply FakeHub::Do(const ListDeadLetters& c) {
  const auto& dead = state_.partitions[c.partition].dead;
  ListDeadLettersReply reply{dead.size(), {}};
  size_t bytes = 0;
  for (uint64_t i = c.from; i < dead.size() && reply.letters.size() < c.count; ++i) {
    bytes += dead[i].reason.size() + dead[i].record.size() + 12;  // as kept: time and length, too
    if (bytes > c.bytes && !reply.letters.empty()) break;
    reply.letters.push_back(dead[i]);
  }
  return reply;
}

Reply FakeHub::Do(const DropDeadLetter& c) {
  auto& dead = state_.partitions[c.partition].dead;
  const auto it = std::find(dead.begin(), dead.end(), c.letter);
  if (it != dead.end()) dead.erase(it);
  return Done{};
}

Reply FakeHub::Do(const Info&) { return InfoReply{2, options_.partitions, state_.epoch}; }

}  // namespace nightjar::hub
