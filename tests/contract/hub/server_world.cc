// The hub on a real server. What no call shows is read from its keys, as docs/hub.md describes
// them.
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "common/hub/keys.h"
#include "common/hub/redis/library.h"
#include "common/hub/redis/redis_hub.h"
#include "common/hub/redis/testing.h"
#include "common/hub/split/split_hub.h"
#include "common/hub/sync_call.h"
#include "common/wire/names.h"
#include "nightjar/v1/hub.pb.h"
#include "tests/contract/hub/print.h"
#include "tests/contract/hub/world.h"

namespace nightjar::hub::contract {

namespace {

// The library with the test's clock and the test's bound for inboxes, and with a digest of its own,
// so that it takes the place of one with another bound. `split`: a call may touch one partition
// only.
std::string LibraryForContract(size_t inbox_bound, bool split) {
  std::string library = Replaced(TestLibrary(), "local INBOX_ENTRIES = 10000\n",
                                 fmt::format("local INBOX_ENTRIES = {}\n", inbox_bound));
  const std::string digest = StateOf(library).digest;
  library = Replaced(std::move(library), digest, fmt::format("{:0{}}", inbox_bound, digest.size()));
  return split ? OnePartitionOnly(std::move(library)) : library;
}

// One server of a kind for the whole program, started by its first use and stopped at exit.
TestRedis& Server(const std::string& program) {
  static std::map<std::string, std::unique_ptr<TestRedis>> servers;
  auto& server = servers[program];
  if (!server) server = std::make_unique<TestRedis>(std::vector<std::string>{}, program);
  if (!server->ok()) throw std::runtime_error(program + ": " + server->error());
  return *server;
}

// All keys of the server with what they hold, in one command: each a counted list of counted
// strings.
const char* const kReadAll = R"lua(
local out = {}
local function put(s) out[#out + 1] = #s .. ':' .. s end
for _, key in ipairs(redis.call('KEYS', '*')) do
  local type, v = redis.call('TYPE', key).ok, nil
  if type == 'hash' then v = redis.call('HGETALL', key)
  elseif type == 'list' then v = redis.call('LRANGE', key, 0, -1)
  elseif type == 'zset' then v = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif type == 'set' then v = redis.call('SMEMBERS', key)
  elseif type == 'string' then v = {redis.call('GET', key)}
  else v = {} end
  put(key)
  put(tostring(#v))
  for i = 1, #v do put(v[i]) end
end
return table.concat(out))lua";

using Values = std::vector<std::string>;

std::map<std::string, Values> ReadAll(const TestRedis& server) {
  const std::string text = server.Command({"EVAL", kReadAll, "0"});
  size_t at = 0;
  const auto next = [&] {
    const size_t colon = text.find(':', at);
    if (colon == std::string::npos) throw std::runtime_error("cannot read the keys: " + text);
    const size_t size = std::stoul(text.substr(at, colon - at));
    at = colon + 1 + size;
    return text.substr(colon + 1, size);
  };
  std::map<std::string, Values> all;
  while (at < text.size()) {
    const std::string key = next();
    Values values(std::stoul(next()));
    for (auto& value : values) value = next();
    all[key] = std::move(values);
  }
  return all;
}

bool TakePrefix(std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.erase(0, prefix.size());
  return true;
}

uint64_t Number(std::string_view bytes, size_t at, size_t size) {
  uint64_t n = 0;
  for (size_t i = 0; i < size; ++i) {
    n |= uint64_t{static_cast<unsigned char>(bytes.at(at + i))} << (8 * i);
  }
  return n;
}

// "12}:alice" -> "alice", "12}" -> ""
std::string NameOf(const std::string& tail) {
  const size_t at = tail.find('}');
  return tail.size() > at + 2 ? tail.substr(at + 2) : "";
}

void ReadUser(const Values& fields, Hidden::User& user) {
  std::map<std::string, std::string> routes, seen;
  for (size_t i = 0; i + 1 < fields.size(); i += 2) {
    std::string field = fields[i];
    const std::string& value = fields[i + 1];
    if (field == "base") {
      user.base = std::stoull(value);
    } else if (field == "owed") {
      user.owed = std::stoull(value);
    } else if (field == "name" || field == "email") {
      if (!value.empty()) user.other[field] = value;
    } else if (field == "dv") {
      user.known = value;
    } else if (field == "tl") {
      for (size_t at = 0; at < value.size();) {
        const size_t end = value.find('\n', at), space = value.rfind(' ', end);
        user.tails[value.substr(at, space - at)] =
            std::stoull(value.substr(space + 1, end - space));
        at = end + 1;
      }
    } else if (TakePrefix(field, "a:")) {
      user.devices[field].acked = std::stoull(value);
    } else if (TakePrefix(field, "z:")) {
      user.devices[field].resync = true;
    } else if (TakePrefix(field, "r:")) {
      user.devices[field].route = value;
    } else if (TakePrefix(field, "s:")) {
      user.devices[field].last_seen = std::stoll(value);
    }
  }
}

void ReadChat(const Values& fields, Hidden::Chat& chat) {
  for (size_t i = 0; i + 1 < fields.size(); i += 2) {
    std::string field = fields[i];
    const std::string& value = fields[i + 1];
    if (field == "te") {
      chat.task_end = std::stoull(value);
    } else if (TakePrefix(field, "f:")) {
      chat.floors[field] = std::stoull(value);
    } else if (TakePrefix(field, "w:")) {
      auto& window = chat.windows[field.replace(field.find(':'), 1, "/")];
      for (size_t at = 0; at + 16 <= value.size(); at += 16) {
        window[Number(value, at, 8)] = Number(value, at + 8, 8);
      }
    }
  }
}

std::map<BrokerName, int64_t> Scores(const Values& values) {
  std::map<BrokerName, int64_t> scores;
  for (size_t i = 0; i + 1 < values.size(); i += 2) scores[values[i]] = std::stoll(values[i + 1]);
  return scores;
}

// One connection that listens to a broker's relay, as a broker does.
class Listener {
 public:
  Listener(RedisOptions options, const std::string& broker_id)
      : hub_(std::move(options), {},
             {broker_id, [this](Relayed what) { Arrived(std::move(what)); },
              [this](bool up) { Changed(up); },
              [this](const std::string& line) {
                std::lock_guard lock(mutex_);
                trouble_ = line;
              }}) {
    Wait("the relay to come up", [this] { return up_; });
    // Its calls have a connection of their own. One that greets a hub for the first time just after
    // a loss sets it up from the clock, which stands still here.
    CallAndWait(hub_, Info{});
  }

  // Everything up to the mark, which it leaves out.
  std::vector<Relayed> TakeUntil(const Relayed& mark) {
    Wait("the mark", [&] { return !arrived_.empty() && arrived_.back() == mark; });
    std::lock_guard lock(mutex_);
    arrived_.pop_back();
    return std::exchange(arrived_, {});
  }

 private:
  void Arrived(Relayed what) {
    std::lock_guard lock(mutex_);
    arrived_.push_back(std::move(what));
    changed_.notify_all();
  }
  void Changed(bool up) {
    std::lock_guard lock(mutex_);
    up_ = up;
    changed_.notify_all();
  }
  template <typename Predicate>
  void Wait(const char* what, Predicate predicate) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), predicate)) {
      throw std::runtime_error(fmt::format("waited in vain for {}: {}", what, trouble_));
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool up_ = false;
  std::string trouble_;
  std::vector<Relayed> arrived_;
  RedisHub hub_;  // last: its thread uses the others
};

class ServerWorld final : public World {
 public:
  ServerWorld(const std::string& program, const Bounds& bounds, bool split)
      : server_(Server(program)), bounds_(bounds) {
    server_.FlushAll(bounds.partitions, clock_);
    options_ = server_.options();
    options_.partitions = bounds.partitions;
    options_.journal_max = bounds.journal_max;
    options_.tasks_max = bounds.tasks_max;
    options_.library = LibraryForContract(bounds.inbox, split);
    options_.backoff_first_ms = 1;
    hub_ = std::make_unique<RedisHub>(options_);
    if (split) split_ = std::make_unique<SplitHub>(*hub_, bounds.partitions);
    const Reply info = Do(Info{});
    if (std::get_if<InfoReply>(&info) == nullptr) throw std::runtime_error(Print(info));
  }

  Reply Do(const Call& call) override {
    return split_ ? CallAndWait(*split_, call) : CallAndWait(*hub_, call);
  }
  std::vector<Reply> DoAll(const std::vector<Call>& calls) override;

  void Listen(const std::string& broker_id, size_t connections) override {
    auto& listeners = listening_[broker_id];
    listeners.resize(std::min(listeners.size(), connections));
    while (listeners.size() < connections) {
      listeners.push_back(std::make_unique<Listener>(options_, broker_id));
    }
    // The server is quick to see that a connection is closed, but not at once.
    const std::string channel = Channel(broker_id);
    const std::string expected = fmt::format("{}\n{}", channel, connections);
    for (int tries = 0; server_.Command({"PUBSUB", "SHARDNUMSUB", channel}) != expected; ++tries) {
      if (tries == 10'000) throw std::runtime_error("not the listeners expected at " + channel);
    }
  }
  std::map<std::string, std::vector<Relayed>> TakeRelayed() override {
    constexpr uint32_t kMark = 1'000'000;  // no partition
    v1::Relayed mark;
    mark.set_task_partition_plus_1(kMark + 1);
    std::map<std::string, std::vector<Relayed>> relayed;
    for (auto& [id, listeners] : listening_) {
      if (listeners.empty()) continue;
      server_.Command({"SPUBLISH", Channel(id), mark.SerializeAsString()});
      for (auto& listener : listeners) {
        auto got = listener->TakeUntil(RelayedTask{kMark});
        if (listener == listeners[0] && !got.empty()) relayed[id] = std::move(got);
      }
    }
    return relayed;
  }

  void Reset() override {
    TakeRelayed();
    server_.FlushAll(bounds_.partitions, clock_);
    Greet();
  }
  void RaiseEpoch() override {
    for (uint32_t p = 0; p < bounds_.partitions; ++p) {
      server_.Command({"HINCRBY", keys::Join(keys::kHub, keys::PartitionTail(p)), "epoch", "1"});
    }
    Greet();
  }
  void LoseEverything() override {
    server_.Command({"FLUSHALL"});
    ClockSet();
  }
  void PokeLast(const std::string& chat, MsgId id) override {
    const std::string key = keys::Join(keys::kChat, keys::Tail(chat, bounds_.partitions));
    server_.Command({"HSET", key, "last", MsgIdBytes(id)});
  }

  Hidden ReadHidden() override {
    Hidden hidden;
    for (auto& [key, values] : ReadAll(server_)) {
      std::string tail = key;
      if (key == keys::kBrokers) {
        hidden.living = Scores(values);
      } else if (key == keys::kDying) {
        hidden.dying = Scores(values);
      } else if (TakePrefix(tail, keys::kHub)) {
        for (size_t i = 0; i + 1 < values.size(); i += 2) {
          if (values[i] == "bv") hidden.living_version = std::stoull(values[i + 1]);
        }
      } else if (TakePrefix(tail, keys::kWatch)) {
        hidden.users[NameOf(tail)].watchers = {values.begin(), values.end()};
      } else if (TakePrefix(tail, keys::kUser)) {
        ReadUser(values, hidden.users[NameOf(tail)]);
      } else if (TakePrefix(tail, keys::kInbox)) {
        for (const auto& entry : values) {
          hidden.users[NameOf(tail)].inbox.push_back(Number(entry, 0, 8));
        }
      } else if (TakePrefix(tail, keys::kPush)) {
        for (size_t i = 0; i + 1 < values.size(); i += 2) {
          hidden.users[NameOf(tail)].other[values[i]] = values[i + 1];
        }
      } else if (TakePrefix(tail, keys::kChat)) {
        ReadChat(values, hidden.chats[NameOf(tail)]);
      } else {
        ReadPartition(key, values, hidden);
      }
    }
    return hidden;
  }

 private:
  // That of the last partition, which is subscribed to last.
  std::string Channel(const std::string& broker_id) const {
    return keys::Join(keys::kRelay, keys::BrokerTail(bounds_.partitions - 1, broker_id));
  }
  // Has the connection greeted by the hub as it is now, and not only when it comes upon it in the
  // middle of other calls, which it would then repeat. Nobody holds this lease.
  void Greet() { Do(Lease{Role::kNotify, "greeter", {0}, 0}); }

  void ReadPartition(const std::string& key, const Values& values, Hidden& hidden) {
    std::string tail = key;
    const auto partition = [&]() -> Hidden::Partition& {
      return hidden.partitions[static_cast<uint32_t>(std::stoul(tail))];
    };
    if (TakePrefix(tail, keys::kDue)) {
      for (size_t i = 0; i + 1 < values.size(); i += 2) {
        partition().due[values[i]] = std::stoll(values[i + 1]);
      }
    } else if (TakePrefix(tail, keys::kPart)) {
      for (size_t i = 0; i + 1 < values.size(); i += 2) {
        std::string field = values[i];
        const uint64_t n = std::stoull(values[i + 1]);
        if (field == "jb") partition().journal_base = n;
        if (field == "tb") partition().tasks_base = n;
        if (TakePrefix(field, "l:")) partition().tokens[field] = n;
      }
    } else if (TakePrefix(tail, keys::kLease)) {
      const std::string& lease = values.at(0);  // "token expires life owner"
      const size_t expires = lease.find(' ') + 1, life = lease.find(' ', expires) + 1;
      if (std::stoll(lease.substr(expires)) > clock_) {
        partition().leases[NameOf(tail)] =
            lease.substr(0, life) + lease.substr(lease.find(' ', life) + 1);
      }
    } else if (TakePrefix(tail, keys::kFenced)) {
      partition().fenced = Scores(values);
    } else if (TakePrefix(tail, keys::kDead)) {
      for (const auto& letter : values) {
        const uint64_t reason = Number(letter, 8, 4);
        partition().dead.push_back(fmt::format("{} {} {}", Number(letter, 0, 8),
                                               letter.substr(12, reason),
                                               Escape(letter.substr(12 + reason))));
      }
    }
  }

  void ClockSet() override { server_.SetClock(clock_); }

  TestRedis& server_;
  Bounds bounds_;
  RedisOptions options_;
  std::unique_ptr<SplitHub> split_;  // before the hub that it is over: outlives it
  std::unique_ptr<RedisHub> hub_;
  std::map<std::string, std::vector<std::unique_ptr<Listener>>> listening_;
};

// All under way at once, which is how the hub is used. Parts of calls that are about different
// chats and users may overtake each other, so that over a SplitHub the journals of two runs are not
// alike: there one at a time.
std::vector<Reply> ServerWorld::DoAll(const std::vector<Call>& calls) {
  if (split_) {
    std::vector<Reply> replies;
    for (const Call& call : calls) replies.push_back(Do(call));
    return replies;
  }
  std::vector<std::promise<Reply>> promises(calls.size());
  for (size_t i = 0; i < calls.size(); ++i) {
    hub_->Submit(calls[i], [&promise = promises[i]](Reply r) { promise.set_value(std::move(r)); });
  }
  std::vector<Reply> replies;
  for (auto& promise : promises) replies.push_back(promise.get_future().get());
  return replies;
}

}  // namespace

std::unique_ptr<World> MakeServerWorld(const std::string& program, const Bounds& bounds,
                                       bool split) {
  return std::make_unique<ServerWorld>(program, bounds, split);
}

}  // namespace nightjar::hub::contract
