// Memberships that were seen lately, with the version they are of. Never trusted alone: the hub
// compares the version, so an old one costs a second call, not a wrong delivery.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/hub/hub.h"

namespace nightjar::core {

struct CachedChat {
  std::string chat;
  uint64_t version = 0;
  // At most kInlineMembers, sorted: what a send names. Empty in larger chats.
  std::vector<std::string> present;
  // With intervals, in uid order, left ones too; only if `whole`. Shared: large ones are not
  // copied.
  std::shared_ptr<const std::vector<hub::Member>> members;
  bool whole = false;
};

class ChatCache {
 public:
  // Bounded in chats, and in members to 16 times as many.
  explicit ChatCache(size_t chats) : chats_(chats), members_(chats * 16) {}

  // Nothing if not known. The pointer lives until the next Put.
  const CachedChat* Find(const std::string& chat);
  // Keeps `chat` unless something newer of it is known. A whole membership is kept over a part of
  // the same version.
  void Put(CachedChat chat);
  size_t size() const { return by_chat_.size(); }

 private:
  static size_t Weight(const CachedChat& chat) {
    return chat.present.size() + (chat.members ? chat.members->size() : 0);
  }
  size_t chats_, members_;
  size_t weight_ = 0;
  std::list<CachedChat> used_;  // newest use first
  std::unordered_map<std::string, std::list<CachedChat>::iterator> by_chat_;
};

// The entry for a membership as the hub told it.
CachedChat WholeChat(const std::string& chat, uint64_t version, std::vector<hub::Member> members);

}  // namespace nightjar::core
