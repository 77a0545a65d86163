#include "common/hub/redis/replicas.h"

#include <algorithm>
#include <charconv>

#include "common/hub/redis/command.h"
#include "common/hub/redis/opening.h"

namespace nightjar::hub {
namespace {

// An integer, or a string of digits.
std::optional<uint64_t> Number(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_INTEGER && reply.integer >= 0) {
    return static_cast<uint64_t>(reply.integer);
  }
  const std::string_view text = Text(reply);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

bool Continues(const LastMaster& last, const ServerHistory& now, uint64_t upto) {
  return now.before == last.history && now.before_end > upto;
}

}  // namespace

std::optional<MasterRole> ReadRole(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements < 3 ||
      Text(*reply.element[0]) != "master") {
    return {};
  }
  MasterRole role;
  const auto offset = Number(*reply.element[1]);
  const redisReply& replicas = *reply.element[2];
  if (!offset || replicas.type != REDIS_REPLY_ARRAY) return {};
  role.offset = *offset;
  for (size_t i = 0; i < replicas.elements; ++i) {
    const redisReply& replica = *replicas.element[i];
    if (replica.type != REDIS_REPLY_ARRAY || replica.elements < 3) return {};
    role.acknowledged.push_back(Number(*replica.element[2]).value_or(0));
  }
  return role;
}

uint32_t InStep(const MasterRole& role, uint64_t offset) {
  return static_cast<uint32_t>(
      std::count_if(role.acknowledged.begin(), role.acknowledged.end(),
                    [offset](uint64_t acknowledged) { return acknowledged >= offset; }));
}

Verdict Judge(const LastMaster& last, const ServerHistory& now, std::string_view address,
              bool file_complete) {
  if (last.history.empty()) return Verdict::kUnknown;
  if (now.id == last.history) {
    return now.offset >= last.proven ? Verdict::kSound : Verdict::kBroken;
  }
  if (Continues(last, now, last.proven)) return Verdict::kSound;
  // Another history out of nothing: a restart.
  const bool promoted = now.before.find_first_not_of('0') != std::string::npos;
  return !promoted && address == last.address && file_complete ? Verdict::kSound : Verdict::kBroken;
}

uint64_t FirstInStep(const LastMaster& last, const ServerHistory& now) {
  if (last.history.empty()) return 0;
  if (now.id != last.history && !Continues(last, now, 0)) return 0;  // offsets began anew
  return std::min(last.asked, now.offset);
}

ReplicaWatch::ReplicaWatch(const RedisOptions& options, uint32_t in_step, uint64_t asked)
    : least_(std::max<uint32_t>(options.replicas_min, 1)),
      wait_ms_(options.wait_ms),
      in_step_(in_step),
      asked_(asked),
      proven_(asked) {}

void ReplicaWatch::AppendCommands(std::string& out) {
  waiting_ = std::max(least_, in_step_);
  CommandWriter c;
  c.Clear().Arg("ROLE").AppendTo(out);
  c.Clear().Arg("WAIT").Arg(uint64_t{waiting_}).Arg(wait_ms_).AppendTo(out);
}

bool ReplicaWatch::OnRole(const redisReply& reply) {
  const auto role = ReadRole(reply);
  if (!role) {
    reason_ = "this Redis is not the master any more";
    return false;
  }
  in_step_ = InStep(*role, asked_);
  asked_ = role->offset;
  return true;
}

bool ReplicaWatch::OnWait(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_INTEGER) {
    reason_ = "Redis cannot say what replicas have: " + std::string(Text(reply));
    return false;
  }
  if (reply.integer < static_cast<long long>(waiting_)) {
    reason_ = "only " + std::to_string(reply.integer) + " of " + std::to_string(waiting_) +
              " replicas have what was written, after " + std::to_string(wait_ms_) + " ms";
    return false;
  }
  proven_ = asked_;
  return true;
}

}  // namespace nightjar::hub
