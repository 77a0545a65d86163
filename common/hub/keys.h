// Every key of the hub, in one place. docs/hub.md says what is kept under each.
//
// A key is a family's prefix, the partition and a closing brace, and for most a name:
// "user:{" "12" "}:" "alice". What stands in braces is the Cluster hash tag, so that all keys of one
// chat, or of one user, live together. What follows the prefix is called the key's tail: the functions
// are handed tails and put the prefixes (handed to them by LuaConstants) in front.
//
// What belongs to all is in partition 0.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/hub/hub.h"

namespace nightjar::hub::keys {

inline constexpr std::string_view kHub = "hub:{";           // tail of the partition; layout, epoch
inline constexpr std::string_view kChat = "chat:{";         // tail of the chat
inline constexpr std::string_view kMembers = "members:{";
inline constexpr std::string_view kDelivered = "delivered:{";
inline constexpr std::string_view kUser = "user:{";         // tail of the user
inline constexpr std::string_view kInbox = "inbox:{";
inline constexpr std::string_view kChats = "chats:{";
inline constexpr std::string_view kPush = "push:{";
inline constexpr std::string_view kJournal = "journal:{";   // tail of the partition
inline constexpr std::string_view kTasks = "tasks:{";
inline constexpr std::string_view kDue = "due:{";
inline constexpr std::string_view kPart = "part:{";
inline constexpr std::string_view kDead = "dead:{";
inline constexpr std::string_view kLease = "lease:{";       // tail of the partition ":" role
inline constexpr std::string_view kSessions = "sessions:{";  // tail of the partition ":" broker id
inline constexpr std::string_view kFenced = "fenced:{";      // broker name -> since when
inline constexpr std::string_view kWatch = "watch:{";       // tail of the user
inline constexpr std::string_view kBrokers = "brokers:{0}";  // the living: name -> last beat
inline constexpr std::string_view kDying = "dying:{0}";  // to be cleared: name -> end of the claim
inline constexpr std::string_view kNever = "never:{";    // tail of the partition; there is no such key
inline constexpr std::string_view kRelay = "relay:{";    // a channel; as of sessions

// "12}:alice": of a chat or a user, whose partition is PartitionOf(id).
std::string Tail(std::string_view id, uint32_t partitions);
// "12}": of what belongs to a partition itself.
std::string PartitionTail(uint32_t partition);
// "12}:b1", of sessions and relay; `broker` with or without its incarnation.
std::string BrokerTail(uint32_t partition, std::string_view broker);
// "12}:fanout"
std::string LeaseTail(uint32_t partition, Role role);
std::string_view RoleName(Role role);
// The part of a broker's name before '#'.
std::string_view BrokerId(std::string_view broker);

std::string Join(std::string_view prefix, std::string_view tail);

// The prefixes as Lua locals (K_CHAT, K_MEMBERS, ...), for the front of the function library.
std::string LuaConstants();

}  // namespace nightjar::hub::keys
