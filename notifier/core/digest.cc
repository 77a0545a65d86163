#include "notifier/core/digest.h"

#include <algorithm>
#include <cassert>

namespace nightjar::notify {

uint64_t ScanFrom(const UserState& user) {
  const uint64_t first = user.base + 1;
  const uint64_t unacked = std::max(user.acked + 1, first);
  if (user.owed == 0) return unacked;
  const bool all = user.head < unacked || user.head - unacked < kScanEntries;
  return all ? std::max(first, std::min(unacked, user.owed)) : std::max(first, user.owed);
}

void Digest::Add(uint64_t seq, std::string_view entry) {
  assert(seq > upto_);
  upto_ = seq;
  v1::ServerFrame frame;
  if (!frame.ParseFromArray(entry.data(), static_cast<int>(entry.size()))) {
    ++damaged_;
    return;
  }
  if (!frame.has_message() || frame.message().author() == uid_) return;
  const v1::Message& message = frame.message();
  const auto [at, fresh] =
      index_.try_emplace(message.chat_id(), static_cast<uint32_t>(chats_.size()));
  if (fresh) {
    chats_.emplace_back();
    chats_.back().id = message.chat_id();
  }
  Chat& chat = chats_[at->second];
  if (seq > acked_) {
    ++chat.unread;
    ++unread_;
  }
  if (message.msg_id() >= chat.newest) {
    chat.newest = message.msg_id();
    chat.author = message.author();
    chat.text = message.text();
    chat.content = !message.content_url().empty();
  }
  if (owed_from_ != 0 && seq >= owed_from_) owed_.push_back({seq, message.msg_id(), at->second});
}

}  // namespace nightjar::notify
