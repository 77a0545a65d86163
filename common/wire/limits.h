// The limits of the protocol. docs/protocol.md lists them for client authors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nightjar::limits {

inline constexpr size_t kPacket = 64 * 1024;
inline constexpr size_t kJsonDepth = 16;  // objects and arrays in one another, in JSON from clients
inline constexpr size_t kText = 16 * 1024;
inline constexpr size_t kTextBigChat = 4 * 1024;
inline constexpr size_t kBigChat = 64;  // chats of more members than this have the smaller text limit
inline constexpr size_t kContentUrl = 2 * 1024;
inline constexpr size_t kContentType = 128;
inline constexpr size_t kTitle = 128;
inline constexpr size_t kRequestId = 36;
inline constexpr size_t kGroupMembers = 1000;  // default; configurable
inline constexpr size_t kChangeUids = 200;     // uids in one create_chat or update_chat
inline constexpr size_t kDevices = 16;         // of a user; also senders remembered per user and chat
inline constexpr size_t kRepeatWindow = 16;    // highest client_msg_ids kept per chat and device
inline constexpr uint64_t kMaxClientMsgId = (uint64_t{1} << 53) - 1;
inline constexpr size_t kInlineMembers = 8;     // larger chats are fanned out by a task
inline constexpr size_t kReceiptMembers = 32;   // larger chats send no delivered hints
inline constexpr size_t kInboxEntries = 10'000;
inline constexpr int64_t kInboxMs = int64_t{30} * 24 * 3600 * 1000;
inline constexpr size_t kWindowEntries = 256;        // under way to a device
inline constexpr size_t kWindowBytesFirst = 16 * 1024;
inline constexpr size_t kWindowBytesMost = 256 * 1024;
inline constexpr uint32_t kMaxFrame = 64 * 1024;     // until an Ack announces less
inline constexpr uint32_t kMinFrame = 256;           // smaller announcements are taken as this
inline constexpr uint32_t kOpenChatDefault = 50, kOpenChatMost = 200;
inline constexpr uint32_t kHistoryDefault = 50, kHistoryMost = 200;
inline constexpr uint32_t kListChatsDefault = 50, kListChatsMost = 200;
inline constexpr uint32_t kListMembersDefault = 200, kListMembersMost = 1000;
inline constexpr size_t kReceiptChats = 100;
inline constexpr size_t kPresenceUids = 200;
inline constexpr size_t kPushEndpoint = 2 * 1024;  // of Web Push
inline constexpr size_t kPushToken = 4 * 1024;     // of FCM and APNs
inline constexpr size_t kPushTopic = 256;          // of APNs: the app's bundle id
inline constexpr size_t kPushP256dh = 65, kPushAuth = 16;  // exact sizes (RFC 8291)
inline constexpr size_t kLanguage = 35;
inline constexpr size_t kToken = 8 * 1024;         // a JWT
inline constexpr size_t kFirstMembers = 64;  // members shown in a Chat and a ChatView

}  // namespace nightjar::limits
