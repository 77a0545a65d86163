#include "plugin/core/chat_cache.h"

#include "common/wire/limits.h"

namespace nightjar::core {

const CachedChat* ChatCache::Find(const std::string& chat) {
  const auto it = by_chat_.find(chat);
  if (it == by_chat_.end()) return nullptr;
  used_.splice(used_.begin(), used_, it->second);
  return &*it->second;
}

void ChatCache::Put(CachedChat chat) {
  const auto it = by_chat_.find(chat.chat);
  if (it != by_chat_.end()) {
    CachedChat& known = *it->second;
    used_.splice(used_.begin(), used_, it->second);
    if (known.version > chat.version) return;
    if (known.version == chat.version && known.whole && !chat.whole) return;
    weight_ = weight_ - Weight(known) + Weight(chat);
    known = std::move(chat);
  } else {
    weight_ += Weight(chat);
    used_.push_front(std::move(chat));
    by_chat_[used_.front().chat] = used_.begin();
  }
  while (used_.size() > 1 && (used_.size() > chats_ || weight_ > members_)) {
    weight_ -= Weight(used_.back());
    by_chat_.erase(used_.back().chat);
    used_.pop_back();
  }
}

CachedChat WholeChat(const std::string& chat, uint64_t version, std::vector<hub::Member> members) {
  CachedChat out{chat, version, {}, nullptr, true};
  out.members = std::make_shared<const std::vector<hub::Member>>(std::move(members));
  for (const hub::Member& member : *out.members) {
    if (member.left == 0) out.present.push_back(member.uid);
  }
  if (out.present.size() > limits::kInlineMembers) out.present.clear();
  return out;
}

}  // namespace nightjar::core
