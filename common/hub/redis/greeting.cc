#include "common/hub/redis/greeting.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "common/hub/keys.h"
#include "common/hub/redis/command.h"
#include "common/hub/redis/decode.h"
#include "common/hub/redis/slot_map.h"

namespace nightjar::hub {
namespace {

constexpr int kOldestMajor = 7;  // functions came with it

Status Unexpected(std::string_view what, const redisReply& reply) {
  const Code code = MeansAway(reply) ? Code::kUnavailable : Code::kInternal;
  return {code, "Redis cannot serve (" + std::string(what) + "): " +
                    (IsError(reply) ? std::string(Text(reply)) : "a reply of the wrong shape")};
}

// The value of `name:` in an INFO reply.
std::string_view InfoField(std::string_view info, std::string_view name) {
  for (size_t at = 0; (at = info.find(name, at)) != std::string_view::npos; at += name.size()) {
    if (at != 0 && info[at - 1] != '\n') continue;
    const std::string_view rest = info.substr(at + name.size());
    if (rest.starts_with(":")) return rest.substr(1, rest.find('\r') - 1);
  }
  return {};
}

uint64_t InfoNumber(std::string_view info, std::string_view name) {
  const std::string_view text = InfoField(info, name);
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;  // 0 for what is missing, and for -1
}

std::string_view Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSound:
      return "sound";
    case Verdict::kBroken:
      return "broken";
    case Verdict::kUnknown:
      break;
  }
  return "unknown";
}

constexpr int64_t kSettleMs = 100;
constexpr uint64_t kPartitionsMost = 16384;  // more cannot be told apart by a Cluster either
constexpr size_t kSetUpAtOnce = 256;         // a few ms of the server

// Integers, or strings of digits, of an array reply.
bool Numbers(const redisReply& reply, size_t count, uint64_t* out) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements < count) return false;
  for (size_t i = 0; i < count; ++i) {
    const redisReply& item = *reply.element[i];
    if (item.type == REDIS_REPLY_INTEGER) {
      out[i] = static_cast<uint64_t>(item.integer);
    } else if (item.type == REDIS_REPLY_STRING) {
      const auto [end, error] = std::from_chars(item.str, item.str + item.len, out[i]);
      if (error != std::errc() || end != item.str + item.len) return false;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

void WriteSetup(CommandWriter& c, const SetupArgs& args, const std::vector<uint32_t>& which) {
  c.Function(args.rebuilding ? "nj_setup_closed" : "nj_setup",
             keys::Join(keys::kHub, keys::PartitionTail(which.front())))
      .Arg(kLayoutVersion)
      .Arg(uint64_t{args.partitions})
      .Arg(args.known_epoch)
      .Arg(args.verdict)
      .Arg(args.history)
      .Arg(args.address);
  for (const uint32_t partition : which) c.Arg(keys::PartitionTail(partition));
}

Result<SetupReply> ReadSetup(const redisReply& reply, const std::vector<uint32_t>& which) {
  std::vector<uint64_t> numbers(3 + which.size());
  if (!Numbers(reply, numbers.size(), numbers.data())) return Unexpected("nj_setup", reply);
  if (numbers[0] != kLayoutVersion) {
    return Status(Code::kFailedPrecondition, "this hub has layout " + std::to_string(numbers[0]) +
                                                 ", this program " +
                                                 std::to_string(kLayoutVersion));
  }
  const auto damaged = [](uint32_t partition, const std::string& how) {
    return Status(Code::kInternal,
                  "the key `hub:{" + std::to_string(partition) + "}` is damaged: " + how);
  };
  if (numbers[1] == 0 || numbers[1] > kPartitionsMost) {
    return damaged(which.front(), "it says " + std::to_string(numbers[1]) + " partitions");
  }
  SetupReply setup{static_cast<uint32_t>(numbers[1]), static_cast<int64_t>(numbers[2]), {}};
  for (size_t i = 0; i < which.size(); ++i) {
    if (which[i] >= setup.partitions || numbers[3 + i] == 0) return damaged(which[i], "no epoch");
    setup.epochs.push_back(numbers[3 + i]);
  }
  return setup;
}

Greeting::Greeting(const RedisOptions& options, LastLink last, std::string address,
                   const std::vector<uint32_t>& served, std::map<uint32_t, std::string> moved)
    : options_(options),
      library_(options.library.empty() ? LibraryText() : options.library),
      last_(std::move(last)),
      address_(std::move(address)),
      moved_(std::move(moved)),
      all_(served.empty()) {
  if (all_) to_set_up_.push_back({0});  // says how many there are
  for (const uint32_t partition : served) to_set_up_.push_back({partition});
  Skip();
}

void Greeting::Skip() {
  if (step_ == Step::kAuth && options_.password.empty()) step_ = Step::kServer;
  // Numbers of another server's life name other people's connections.
  if (step_ == Step::kKillLast && (last_.client_id == 0 || last_.run_id != link_.run_id)) {
    step_ = Step::kClientId;
  }
  if (step_ == Step::kSelect && options_.db == 0) step_ = Step::kConfig;
  if (step_ == Step::kSettle && !replicated()) step_ = Step::kVersion;
  if (step_ == Step::kReplicated && !replicated()) step_ = Step::kDone;
}

std::string Greeting::Next() const {
  CommandWriter c(!options_.cluster.empty());
  switch (step_) {
    case Step::kAuth:
      c.Arg("AUTH");
      if (!options_.user.empty()) c.Arg(options_.user);
      c.Arg(options_.password);
      break;
    case Step::kServer:
      c.Arg("INFO").Arg("server").Arg("replication").Arg("cluster");
      break;
    case Step::kKillLast:
      c.Arg("CLIENT").Arg("KILL").Arg("ID").Arg(last_.client_id);
      break;
    case Step::kClientId:
      c.Arg("CLIENT").Arg("ID");
      break;
    case Step::kSelect:
      c.Arg("SELECT").Arg(int64_t{options_.db});
      break;
    case Step::kConfig:
      c.Arg("CONFIG").Arg("GET").Arg("maxmemory-policy").Arg("appendonly").Arg("appendfsync");
      c.Arg("no-appendfsync-on-rewrite");
      break;
    case Step::kSettle:
      c.Arg("WAIT").Arg(connected_).Arg(kSettleMs);
      break;
    case Step::kReplicas:
      c.Arg("ROLE");
      break;
    case Step::kVersion:
      c.Arg("FCALL_RO").Arg("nj_version").Arg("0");
      break;
    case Step::kLoad:
      c.Arg("FUNCTION").Arg("LOAD").Arg("REPLACE").Arg(library_);
      break;
    case Step::kSetup: {
      const std::string verdict = VerdictFor(to_set_up_.front().front());
      WriteSetup(c,
                 {.partitions = epochs_.empty() ? options_.partitions : result_.info.partitions,
                  .known_epoch = last_.epoch,
                  .verdict = verdict,
                  .history = history_.id,
                  .address = address_,
                  .rebuilding = options_.rebuilding},
                 to_set_up_.front());
      break;
    }
    case Step::kReplicated:
      c.Arg("WAIT").Arg(uint64_t{in_step_}).Arg(options_.wait_ms);
      break;
    case Step::kDone:
      break;
  }
  std::string out;
  c.AppendTo(out);
  return out;
}

std::string Greeting::VerdictFor(uint32_t partition) const {
  if (!replicated()) return {};
  const Verdict verdict = Judge(last_.master, history_, address_, file_complete_);
  const auto moved = moved_.find(partition);
  // Not if this server went on from that very history: then it was not moved here.
  if (verdict == Verdict::kUnknown && moved != moved_.end() && moved->second != history_.before) {
    return "moved:" + moved->second;
  }
  return std::string(Name(verdict));
}

Status Greeting::Take(const redisReply& reply) {
  const bool error = IsError(reply);
  switch (step_) {
    case Step::kAuth:
      if (error)
        return {Code::kUnauthenticated, "Redis refused the password: " + std::string(Text(reply))};
      step_ = Step::kServer;
      return {};
    case Step::kServer:
      return TakeServer(reply);
    case Step::kKillLast:
      if (error) WarnOfLast(reply);
      step_ = Step::kClientId;
      return {};
    case Step::kClientId:
      if (reply.type == REDIS_REPLY_INTEGER) {
        link_.client_id = static_cast<uint64_t>(reply.integer);
      } else {
        WarnOfLast(reply);
      }
      step_ = Step::kSelect;
      Skip();
      return {};
    case Step::kSelect:
      if (error) return Unexpected("SELECT", reply);
      step_ = Step::kConfig;
      return {};
    case Step::kConfig:
      TakeConfig(reply);
      step_ = Step::kSettle;
      Skip();
      return {};
    case Step::kSettle:
      if (error) return Unexpected("WAIT", reply);
      step_ = Step::kReplicas;
      return {};
    case Step::kReplicas:
      return TakeReplicas(reply);
    case Step::kVersion:
      return TakeVersion(reply);
    case Step::kLoad:
      if (error) return Unexpected("loading the functions", reply);
      step_ = Step::kSetup;
      return {};
    case Step::kSetup:
      return TakeSetup(reply);
    case Step::kReplicated:
      return TakeReplicated(reply);
    case Step::kDone:
      break;
  }
  return {Code::kInternal, "a reply that nobody asked for"};
}

Status Greeting::TakeServer(const redisReply& reply) {
  if (IsError(reply) && Text(reply).starts_with("NOAUTH")) {
    return {Code::kUnauthenticated, "Redis wants a password and none is configured"};
  }
  if (reply.type != REDIS_REPLY_STRING) return Unexpected("INFO", reply);
  const std::string_view version = InfoField(Text(reply), "redis_version");
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  if (major < kOldestMajor) {
    return {Code::kFailedPrecondition,
            "Redis " + std::string(version) + " is too old: 7.0 or newer is needed (functions)"};
  }
  const std::string_view info = Text(reply);
  // Of a failover that is under way or that was just made: whoever said this is the master is
  // behind.
  if (InfoField(info, "role") == "slave") {
    return {Code::kUnavailable, "Redis at " + address_ + " is a replica"};
  }
  result_.server_version = version;
  link_.run_id = InfoField(info, "run_id");
  history_ = {std::string(InfoField(info, "master_replid")),
              std::string(InfoField(info, "master_replid2")),
              InfoNumber(info, "second_repl_offset"), InfoNumber(info, "master_repl_offset")};
  connected_ = InfoNumber(info, "connected_slaves");
  const bool in_cluster = InfoField(info, "cluster_enabled") == "1";
  if (in_cluster == options_.cluster.empty()) {
    return {Code::kFailedPrecondition,
            "Redis at " + address_ + (in_cluster ? " is of a Cluster" : " is not of a Cluster") +
                ", and is configured as if it were" + (in_cluster ? " not" : "")};
  }
  if (in_cluster && connected_ > 0 && !replicated()) {
    return {Code::kFailedPrecondition,
            "durability fsync cannot be kept by a Cluster with replicas (Redis at " + address_ +
                " has " + std::to_string(connected_) +
                "): a failover loses whatever the master has in its own file only, accepted "
                "messages too; durability replica waits for the replicas"};
  }
  step_ = Step::kKillLast;
  Skip();
  return {};
}

void Greeting::WarnOfLast(const redisReply& reply) {
  result_.warnings.push_back(
      "Redis does not let connections be told apart and ended (CLIENT ID, CLIENT KILL): what a "
      "stalled one still holds may run late: " +
      std::string(Text(reply)));
}

void Greeting::TakeConfig(const redisReply& reply) {
  auto& warnings = result_.warnings;
  if (reply.type != REDIS_REPLY_ARRAY) {
    warnings.push_back(
        "Redis does not let its settings be read: whether Accepted is durable there "
        "cannot be checked");
    return;
  }
  std::map<std::string, std::string, std::less<>> settings;
  for (size_t i = 0; i + 1 < reply.elements; i += 2) {
    settings[std::string(Text(*reply.element[i]))] = Text(*reply.element[i + 1]);
  }
  if (settings["appendonly"] != "yes") {
    warnings.push_back("Accepted would not be durable: Redis has appendonly " +
                       settings["appendonly"] + " (needed: yes)");
  } else if (settings["appendfsync"] != "always") {
    warnings.push_back("Accepted would not be durable: Redis has appendfsync " +
                       settings["appendfsync"] + " (needed: always)");
  } else if (settings["no-appendfsync-on-rewrite"] == "yes") {
    warnings.push_back(
        "Accepted would not be durable while Redis rewrites its file: "
        "no-appendfsync-on-rewrite yes (needed: no)");
  } else {
    file_complete_ = true;
  }
  if (settings["maxmemory-policy"] != "noeviction") {
    warnings.push_back("Redis may throw chats away when memory runs out: maxmemory-policy " +
                       settings["maxmemory-policy"] + " (needed: noeviction)");
  }
}

Status Greeting::TakeReplicas(const redisReply& reply) {
  const auto role = ReadRole(reply);
  if (!role) return Unexpected("ROLE", reply);
  in_step_ = InStep(*role, FirstInStep(last_.master, history_));
  link_.master = {address_, history_.id, role->offset, role->offset};
  step_ = Step::kVersion;
  if (in_step_ >= options_.replicas_min && in_step_ > 0) return {};
  return {Code::kUnavailable, "Redis at " + address_ + " has " + std::to_string(in_step_) +
                                  " replicas in step, and " +
                                  std::to_string(std::max<uint32_t>(options_.replicas_min, 1)) +
                                  " must have what is accepted"};
}

// What the setup wrote decides by which numbers everybody goes on: replicas have it before anybody
// does. And whether replicas keep up at all is known before the first call waits for it.
Status Greeting::TakeReplicated(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_INTEGER) return Unexpected("WAIT", reply);
  if (reply.integer < static_cast<long long>(in_step_)) {
    return {Code::kUnavailable, "only " + std::to_string(reply.integer) + " of " +
                                    std::to_string(in_step_) + " replicas of Redis at " + address_ +
                                    " answer"};
  }
  step_ = Step::kDone;
  return {};
}

Status Greeting::TakeVersion(const redisReply& reply) {
  const LibraryState ours = StateOf(library_);
  step_ = Step::kLoad;
  if (IsError(reply)) {
    // Not there yet. Whatever else is wrong, loading will tell.
    return MeansAway(reply) && !Text(reply).starts_with("ERR") ? Unexpected("functions", reply)
                                                               : Status();
  }
  uint64_t numbers[2];
  if (!Numbers(reply, 2, numbers) || reply.elements < 3) return Unexpected("nj_version", reply);
  const LibraryState there{numbers[0], numbers[1], std::string(Text(*reply.element[2]))};
  if (there.layout != ours.layout) {
    return {Code::kFailedPrecondition,
            "this hub belongs to another layout: its functions have layout " +
                std::to_string(there.layout) + ", this program " + std::to_string(ours.layout)};
  }
  if (!ShouldReplace(there, ours)) step_ = Step::kSetup;
  return {};
}

Status Greeting::TakeSetup(const redisReply& reply) {
  const std::vector<uint32_t> some = std::move(to_set_up_.front());
  to_set_up_.pop_front();
  const bool first = epochs_.empty();
  if (!options_.cluster.empty() && ReadRedirect(reply, {})) {
    if (first && to_set_up_.empty()) {
      return {Code::kUnavailable, "Redis at " + address_ + " has no partition by now"};
    }
  } else {
    const auto setup = ReadSetup(reply, some);
    if (!setup.ok()) return setup.status();
    const SetupReply& there = setup.value();
    if (first) {
      epochs_.resize(there.partitions);
      result_.info = {kLayoutVersion, there.partitions, there.epochs.front()};
    }
    if (there.partitions != epochs_.size()) {
      return {Code::kInternal, "the keys `hub:{…}` do not agree on how many partitions there are"};
    }
    for (size_t i = 0; i < some.size(); ++i) {
      epochs_[some[i]] = there.epochs[i];
      link_.epoch = std::max(link_.epoch, there.epochs[i]);
    }
    ids_from_ms_ = std::max(ids_from_ms_, there.ids_from_ms);
  }
  if (first && all_) SetUpTheRest();
  if (!to_set_up_.empty()) return {};
  step_ = Step::kReplicated;
  Skip();
  return {};
}

void Greeting::SetUpTheRest() {
  for (uint32_t p = 1; p < epochs_.size(); ++p) {
    if (p == 1 || to_set_up_.back().size() == kSetUpAtOnce) to_set_up_.emplace_back();
    to_set_up_.back().push_back(p);
  }
}

}  // namespace nightjar::hub
