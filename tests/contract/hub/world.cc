#include "tests/contract/hub/world.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "tests/contract/hub/fake_world.h"
#include "tests/contract/hub/print.h"

namespace nightjar::hub::contract {

std::string Hidden::Text() const {
  std::string text;
  for (const auto& [uid, user] : users) {
    std::string line;
    if (user.base) line += fmt::format(" base={}", user.base);
    if (user.owed) line += fmt::format(" owed={}", user.owed);
    for (const MsgId id : user.inbox) line += fmt::format(" entry={}", IdText(id));
    if (!user.known.empty()) line += "\n    known " + user.known;
    for (const auto& [name, device] : user.devices) {
      line += fmt::format("\n    device {} acked={} seen={} route='{}'{}", name, device.acked,
                          device.last_seen, device.route, device.resync ? " resync" : "");
    }
    for (const auto& [broker, count] : user.tails)
      line += fmt::format("\n    tail {} {}", broker, count);
    for (const auto& [key, value] : user.other)
      line += fmt::format("\n    {}={}", key, Escape(value));
    for (const auto& id : user.watchers) line += fmt::format("\n    watched by {}", id);
    if (!line.empty()) text += fmt::format("  user {}:{}\n", uid, line);
  }
  for (const auto& [id, chat] : chats) {
    std::string line;
    if (chat.task_end) line += fmt::format(" task_end={}", chat.task_end);
    for (const auto& [sender, window] : chat.windows) {
      line += fmt::format("\n    window {}:", sender);
      for (const auto& [client, msg] : window) line += fmt::format(" {}->{}", client, IdText(msg));
    }
    for (const auto& [uid, floor] : chat.floors)
      line += fmt::format("\n    floor {} {}", uid, floor);
    if (!line.empty()) text += fmt::format("  chat {}:{}\n", id, line);
  }
  for (const auto& [p, partition] : partitions) {
    std::string line;
    if (partition.journal_base) line += fmt::format(" journal_base={}", partition.journal_base);
    if (partition.tasks_base) line += fmt::format(" tasks_base={}", partition.tasks_base);
    for (const auto& [uid, since] : partition.due)
      line += fmt::format("\n    due {} {}", uid, since);
    for (const auto& [role, token] : partition.tokens)
      line += fmt::format("\n    tokens {} {}", role, token);
    for (const auto& [role, lease] : partition.leases)
      line += fmt::format("\n    lease {} {}", role, lease);
    for (const auto& [name, ms] : partition.fenced)
      line += fmt::format("\n    fenced {} {}", name, ms);
    for (const auto& letter : partition.dead) line += fmt::format("\n    dead {}", letter);
    if (!line.empty()) text += fmt::format("  partition {}:{}\n", p, line);
  }
  for (const auto& [name, ms] : living) text += fmt::format("  lives {} beat={}\n", name, ms);
  for (const auto& [name, ms] : dying) text += fmt::format("  dying {} claim={}\n", name, ms);
  if (living_version) text += fmt::format("  list of the living: version {}\n", living_version);
  return text;
}

std::string Dump(World& world, const Names& names) {
  Heads heads{{}, names.brokers[0]};
  for (const auto& uid : names.uids) heads.sessions.push_back({uid, "", 0});
  std::vector<Call> calls = {Info{}, heads, GetPresence{names.uids}};
  for (const auto& chat : names.chats) calls.push_back(GetChat{chat, 0, true});
  for (const auto& uid : names.uids) {
    calls.push_back(UserChats{uid});
    calls.push_back(ReadInbox{uid, 1, 1000, 1 << 20});
    calls.push_back(GetReceipts{uid, names.chats});
    for (const auto& device : names.devices) calls.push_back(GetDevice{uid, device});
  }
  std::vector<uint32_t> partitions;
  for (uint32_t p = 0; p < names.partitions; ++p) partitions.push_back(p);
  for (const auto& broker : names.brokers) {
    for (const uint32_t p : partitions) calls.push_back(ListSessions{broker, p, "", 1000});
  }
  calls.push_back(ReadLog{Log::kJournal, partitions, 0, 100'000, 1 << 24});
  calls.push_back(ReadLog{Log::kTasks, partitions, 0, 100'000, 1 << 24});
  std::string text;
  for (const Reply& reply : world.DoAll(calls)) text += "  " + Print(reply) + "\n";
  return text + world.ReadHidden().Text();
}

namespace {

bool Installed(const std::string& program) {
  for (const char* dir : {"/usr/bin/", "/usr/local/bin/", "/usr/sbin/"}) {
    if (std::filesystem::exists(dir + program)) return true;
  }
  return false;
}

// Where it is; empty: nowhere.
std::string Valkey() {
  if (const char* path = std::getenv("NIGHTJAR_VALKEY")) return path;
  return Installed("valkey-server") ? "valkey-server" : "";
}

}  // namespace

std::vector<std::string> WorldKinds() {
  std::vector<std::string> kinds = {"fake", "redis"};
  if (!Valkey().empty()) kinds.push_back("valkey");
  return kinds;
}

std::unique_ptr<World> MakeWorld(const std::string& kind, const Bounds& bounds) {
  const size_t dash = kind.find("-split");
  const std::string name = kind.substr(0, dash);
  const bool split = dash != std::string::npos;
  if (name == "fake") return std::make_unique<FakeWorld>(bounds, split);
  return MakeServerWorld(name == "valkey" ? Valkey() : name + "-server", bounds, split);
}

}  // namespace nightjar::hub::contract
