#include "client-sim/load/read_back.h"

#include <algorithm>
#include <utility>

#include "common/wire/limits.h"

namespace nightjar::load {

ReadBack::ReadBack(Fleet* fleet, const crowd::Crowd* crowd, client::Oracle* judge, size_t most)
    : fleet_(fleet), crowd_(crowd), judge_(judge) {
  const size_t all = crowd->chats().size();
  const size_t count = std::min(most, all);
  for (size_t i = 0; i < count; ++i) {
    const auto chat = static_cast<uint32_t>(i * all / count);
    if (!fleet->ChatId(chat).empty()) chats_.push_back(chat);
  }
}

void ReadBack::Step(int64_t now_ns) {
  while (running_ < kAtOnce && next_ < chats_.size()) {
    const uint32_t chat = chats_[next_++];
    ++running_;
    judge_->HistoryBegins(fleet_->ChatId(chat));
    Page(chat, 1, now_ns);  // after 1: from the very beginning
  }
}

void ReadBack::Page(uint32_t chat, uint64_t after, int64_t now_ns) {
  v1::Request request;
  auto* history = request.mutable_history();
  history->set_chat_id(fleet_->ChatId(chat));
  history->set_after_msg_id(after);
  history->set_limit(limits::kHistoryMost);
  const uint32_t device = crowd_->FirstDevice(crowd_->chats()[chat].members[0]);
  fleet_->Ask(device, std::move(request), now_ns, [this, chat](auto&& response, int64_t at_ns) {
    const std::string& id = fleet_->ChatId(chat);
    if (!response.has_history()) {
      failures_.push_back("history of " + id + ": " + response.error().message());
      --running_;
      return;
    }
    const auto& page = response.history();
    judge_->HistoryPage(id, page);
    if (page.more() && page.messages_size() > 0) {
      return Page(chat, page.messages().rbegin()->msg_id(), at_ns);
    }
    judge_->HistoryEnds(id, fleet_->At(at_ns));
    ++read_;
    --running_;
  });
}

}  // namespace nightjar::load
