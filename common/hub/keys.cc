#include "common/hub/keys.h"

#include <utility>

#include "common/wire/names.h"

namespace nightjar::hub::keys {

std::string Tail(std::string_view id, uint32_t partitions) {
  std::string tail = std::to_string(PartitionOf(id, partitions));
  tail.reserve(tail.size() + 2 + id.size());
  tail.append("}:").append(id);
  return tail;
}

std::string PartitionTail(uint32_t partition) { return std::to_string(partition) + '}'; }

std::string BrokerTail(uint32_t partition, std::string_view broker) {
  std::string tail = PartitionTail(partition);
  tail.append(":").append(BrokerId(broker));
  return tail;
}

std::string LeaseTail(uint32_t partition, Role role) {
  std::string tail = PartitionTail(partition);
  tail.append(":").append(RoleName(role));
  return tail;
}

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kFanOut:
      return "fanout";
    case Role::kPersist:
      return "persist";
    case Role::kNotify:
      return "notify";
  }
  return "unknown";
}

std::string_view BrokerId(std::string_view broker) { return broker.substr(0, broker.find('#')); }

std::string Join(std::string_view prefix, std::string_view tail) {
  std::string key;
  key.reserve(prefix.size() + tail.size());
  key.append(prefix).append(tail);
  return key;
}

std::string LuaConstants() {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"HUB", kHub},         {"CHAT", kChat},   {"MEMBERS", kMembers},   {"DELIVERED", kDelivered},
      {"USER", kUser},       {"INBOX", kInbox}, {"CHATS", kChats},       {"PUSH", kPush},
      {"JOURNAL", kJournal}, {"TASKS", kTasks}, {"DUE", kDue},           {"PART", kPart},
      {"DEAD", kDead},       {"LEASE", kLease}, {"SESSIONS", kSessions}, {"WATCH", kWatch},
      {"BROKERS", kBrokers}, {"DYING", kDying}, {"RELAY", kRelay},       {"FENCED", kFenced}};
  std::string lua;
  for (const auto& [name, prefix] : kNames) {
    lua.append("local K_").append(name).append(" = '").append(prefix).append("'\n");
  }
  return lua;
}

}  // namespace nightjar::hub::keys
