#include "client-sim/brain/outbox.h"

#include <algorithm>
#include <utility>

#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {
namespace {

bool IsFinal(v1::Code code) { return code != v1::RESOURCE_EXHAUSTED && code != v1::UNAVAILABLE; }

}  // namespace

uint64_t Outbox::Write(v1::Send send, int64_t unix_ms) {
  if (unanswered_.size() >= capacity_) return 0;
  last_id_ = std::max(last_id_ + 1, static_cast<uint64_t>(std::max<int64_t>(unix_ms, 1)));
  if (first_id_ == 0) first_id_ = last_id_;
  changed_ = true;
  send.set_client_msg_id(last_id_);
  Entry entry;
  entry.chat_id = send.has_to() ? DirectChatId(uid_, send.to()) : send.chat_id();
  entry.send = std::move(send);
  chats_[entry.chat_id].push_back(last_id_);
  unanswered_.emplace(last_id_, std::move(entry));
  return last_id_;
}

void Outbox::Disconnected() {
  for (auto& [id, entry] : unanswered_) entry.due_ms = 0;
  changed_ = true;
}

template <typename F>
void Outbox::ForEachAllowed(F&& f) const {
  for (const auto& [chat, ids] : chats_) {
    const size_t window = std::min(ids.size(), limits::kRepeatWindow);
    for (size_t i = 0; i < window; ++i) {
      if (unanswered_.contains(ids[i])) f(ids[i]);
    }
  }
}

std::vector<v1::Send> Outbox::TakeDue(int64_t now_ms) {
  std::vector<v1::Send> due;
  if (NextDeadline() > now_ms) return due;
  std::vector<uint64_t> ids;
  ForEachAllowed([&](uint64_t id) {
    if (unanswered_.at(id).due_ms <= now_ms) ids.push_back(id);
  });
  std::sort(ids.begin(), ids.end());
  for (const uint64_t id : ids) {
    Entry& entry = unanswered_.at(id);
    entry.due_ms = now_ms + std::min(kRepeatCapMs, kRepeatAfterMs << std::min(entry.tries, 3));
    ++entry.tries;
    due.push_back(entry.send);
  }
  changed_ = true;
  return due;
}

int64_t Outbox::NextDeadline() const {
  if (!changed_) return next_due_ms_;
  next_due_ms_ = kNever;
  ForEachAllowed(
      [&](uint64_t id) { next_due_ms_ = std::min(next_due_ms_, unanswered_.at(id).due_ms); });
  changed_ = false;
  return next_due_ms_;
}

Outbox::Entry Outbox::Settle(uint64_t id) {
  auto node = unanswered_.extract(id);
  auto chat = chats_.find(node.mapped().chat_id);
  auto& ids = chat->second;
  const auto open = std::find_if(ids.begin(), ids.end(),
                                 [&](uint64_t other) { return unanswered_.contains(other); });
  ids.erase(ids.begin(), open);
  if (ids.empty()) chats_.erase(chat);
  changed_ = true;
  return std::move(node.mapped());
}

std::optional<Outbox::Entry> Outbox::Accepted(const v1::Accepted& accepted) {
  if (!unanswered_.contains(accepted.client_msg_id())) return std::nullopt;
  return Settle(accepted.client_msg_id());
}

std::optional<Outbox::Entry> Outbox::Rejected(const v1::Rejected& rejected, int64_t now_ms) {
  const auto it = unanswered_.find(rejected.client_msg_id());
  if (it == unanswered_.end()) return std::nullopt;
  if (IsFinal(rejected.error().code())) return Settle(it->first);
  it->second.due_ms = now_ms + std::max<int64_t>(rejected.error().retry_after_ms(), 1);
  changed_ = true;
  return std::nullopt;
}

}  // namespace nightjar::client
