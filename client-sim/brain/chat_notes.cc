#include "client-sim/brain/chat_notes.h"

#include <algorithm>

#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {
namespace {

// Calls f(uid, place) until it returns false.
template <typename F>
void ForEachUid(std::string_view members, F&& f) {
  for (int place = 0; !members.empty(); ++place) {
    const size_t end = std::min(members.find('\n'), members.size());
    if (!f(members.substr(0, end), place)) return;
    members.remove_prefix(std::min(end + 1, members.size()));
  }
}

}  // namespace

ChatNotes::ChatNotes(const std::string& chat_id) {
  const auto name = ParseChatId(chat_id);
  if (!name || !name->direct) return;
  members_ = name->low;
  if (name->low != name->high) members_ += '\n' + name->high;
}

bool ChatNotes::Learn(uint64_t msg_id) {
  if (msg_id <= floor_) return false;
  if (!rebuilding_) {
    floor_ = msg_id;
    return true;
  }
  const bool fresh = Remember(msg_id);
  // The inbox comes in order: beyond what history told, nothing older can follow.
  if (rebuilding_->history_to > 0 && msg_id >= rebuilding_->history_to) {
    // Entries that were not acknowledged come again: newer ones may be known from the first time.
    floor_ = std::max(msg_id, rebuilding_->above.empty() ? 0 : rebuilding_->above.back());
    rebuilding_.reset();
  }
  return fresh;
}

bool ChatNotes::LearnFromHistory(uint64_t msg_id) {
  if (msg_id <= floor_) return false;
  if (!rebuilding_) rebuilding_ = std::make_unique<Rebuilding>();
  return Remember(msg_id);
}

bool ChatNotes::Remember(uint64_t msg_id) {
  auto& above = rebuilding_->above;
  const auto at = std::lower_bound(above.begin(), above.end(), msg_id);
  if (at != above.end() && *at == msg_id) return false;
  above.insert(at, msg_id);
  if (above.size() > kMostAbove) {
    floor_ = above[kMostAbove / 2];
    above.erase(above.begin(), above.begin() + kMostAbove / 2 + 1);
  }
  return true;
}

void ChatNotes::Rebuild() {
  if (!rebuilding_) rebuilding_ = std::make_unique<Rebuilding>();
  rebuilding_->history_to = 0;
}

void ChatNotes::HistoryRead(uint64_t newest) {
  if (rebuilding_) rebuilding_->history_to = std::max<uint64_t>(newest, 1);
}

bool ChatNotes::Own(uint64_t msg_id, int64_t since_ms, std::string_view self) {
  if (msg_id <= newest_own_) return false;
  // Else an older one is waiting already.
  own_since_ms_ = Misses(self) ? std::min(own_since_ms_, since_ms) : since_ms;
  newest_own_ = msg_id;
  return true;
}

void ChatNotes::SetMembers(const v1::Chat& chat) {
  // Not the whole list, or a chat too big to have marks.
  if (static_cast<uint32_t>(chat.members_size()) != chat.member_count()) return;
  std::string members;
  std::vector<uint64_t> marks;
  if (static_cast<size_t>(chat.members_size()) <= limits::kReceiptMembers) {
    for (const auto& uid : chat.members()) {
      if (!members.empty()) members += '\n';
      members += uid;
      if (!marks_.empty()) marks.push_back(MarkOf(uid));
    }
  }
  members_ = std::move(members);
  members_.shrink_to_fit();
  marks_ = std::move(marks);
}

int ChatNotes::Find(std::string_view uid) const {
  int found = -1;
  ForEachUid(members_, [&](std::string_view member, int place) {
    if (member == uid) found = place;
    return found < 0;
  });
  return found;
}

bool ChatNotes::Mark(std::string_view uid, uint64_t msg_id) {
  int place = Find(uid);
  if (place < 0) {  // somebody whom we were not told of yet
    place = members_.empty()
                ? 0
                : static_cast<int>(std::count(members_.begin(), members_.end(), '\n') + 1);
    if (place > static_cast<int>(limits::kGroupMembers)) return false;
    if (!members_.empty()) members_ += '\n';
    members_ += uid;
  }
  const auto at = static_cast<size_t>(place);
  if (marks_.size() <= at) {
    marks_.reserve(at + 1);
    marks_.resize(at + 1);
  }
  if (msg_id <= marks_[at]) return false;
  marks_[at] = msg_id;
  return true;
}

uint64_t ChatNotes::MarkOf(std::string_view uid) const {
  const int place = Find(uid);
  if (place < 0 || static_cast<size_t>(place) >= marks_.size()) return 0;
  return marks_[static_cast<size_t>(place)];
}

bool ChatNotes::Misses(std::string_view self) const {
  if (newest_own_ == 0) return false;
  bool misses = false;
  ForEachUid(members_, [&](std::string_view uid, int place) {
    const auto at = static_cast<size_t>(place);
    misses = uid != self && (at >= marks_.size() || marks_[at] < newest_own_);
    return !misses;
  });
  return misses;
}

}  // namespace nightjar::client
