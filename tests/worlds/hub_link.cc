#include "tests/worlds/hub_link.h"

#include <algorithm>
#include <utility>

#include "common/hub/split/parts.h"

namespace nightjar::worlds {

HubLink::HubLink(Scheduler& scheduler, Dice& dice, Coverage& coverage, const Shape& shape,
                 HubLine::Executor execute, std::function<void(const hub::Call&)> broken)
    : dice_(dice),
      partitions_(shape.hub.partitions),
      split_(shape.servers > 0),
      broken_(std::move(broken)),
      router_(*this),
      splitter_(std::make_unique<hub::SplitHub>(router_, partitions_)) {
  for (int i = 0; i < std::max(shape.servers, 1); ++i) {
    lines_.push_back(std::make_unique<HubLine>(scheduler, dice, coverage, shape.hub_line, execute));
  }
}

void HubLink::Submit(hub::Call call, hub::Callback done) {
  if (split_) return splitter_->Submit(std::move(call), std::move(done));
  lines_[0]->Submit(std::move(call), std::move(done));
}

void HubLink::Router::Submit(hub::Call call, hub::Callback done) {
  const std::optional<uint32_t> partition = hub::PartitionOfCall(call, link_.partitions_);
  if (!partition) link_.broken_(call);
  link_.lines_[partition.value_or(0) % link_.lines_.size()]->Submit(std::move(call),
                                                                    std::move(done));
}

bool HubLink::up() const {
  return std::all_of(lines_.begin(), lines_.end(), [](const auto& line) { return line->up(); });
}

size_t HubLink::size() const {
  size_t size = splitter_->held();
  for (const auto& line : lines_) size += line->size();
  return size;
}

void HubLink::Connect() {
  for (auto& line : lines_) line->Connect();
}

void HubLink::Cut() {
  for (auto& line : lines_) line->Cut();
}

void HubLink::CutOne() {
  const auto which = lines_.size() == 1 ? 0 : dice_.Below(static_cast<int64_t>(lines_.size()));
  lines_[static_cast<size_t>(which)]->Cut();
}

void HubLink::Die() {
  for (auto& line : lines_) line->Die();
  splitter_ = std::make_unique<hub::SplitHub>(router_, partitions_);
}

void HubLink::ServerDied(uint32_t server) { lines_[server]->ServerDied(); }

void HubLink::Mute(uint32_t server, bool muted) { lines_[server]->Mute(muted); }

void HubLink::Freeze(int64_t until) {
  for (auto& line : lines_) line->Freeze(until);
}

void HubLink::LoseBeats(int64_t until) {
  for (auto& line : lines_) line->LoseBeats(until);
}

void HubLink::Calm() {
  for (auto& line : lines_) line->Calm();
}

}  // namespace nightjar::worlds
