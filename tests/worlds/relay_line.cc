#include "tests/worlds/relay_line.h"

#include <algorithm>
#include <utility>

namespace nightjar::worlds {
namespace {

Point PointOf(const hub::Relayed& what) {
  static constexpr Point kPoints[] = {Point::kEntryRelayed, Point::kMarkRelayed,
                                      Point::kPresenceRelayed, Point::kKickRelayed,
                                      Point::kTaskRelayed};
  static_assert(std::size(kPoints) == std::variant_size_v<hub::Relayed>);
  return kPoints[what.index()];
}

}  // namespace

RelayLine::RelayLine(Scheduler& scheduler, Dice& dice, Coverage& coverage,
                     const HubLineShape& shape, hub::FakeHub& hub, std::string broker_id, Ends ends)
    : scheduler_(scheduler),
      dice_(dice),
      coverage_(coverage),
      shape_(shape),
      hub_(hub),
      broker_id_(std::move(broker_id)),
      ends_(std::move(ends)) {}

void RelayLine::Connect() {
  if (up()) return;
  ++era_;
  under_way_ = 0;
  arrives_at_ = scheduler_.now() + dice_.Below(shape_.latency_ms + 1);
  scheduler_.At(arrives_at_, [this, era = era_] {
    if (era == era_) ends_.up();
  });
  subscription_ = hub_.Subscribe(broker_id_, [this](const hub::Relayed& what) { Published(what); });
}

void RelayLine::Cut() {
  if (!up()) return;
  hub_.Unsubscribe(*std::exchange(subscription_, std::nullopt));
  ++era_;
  if (under_way_ > 0) coverage_.Hit(Point::kRelayLost);
}

void RelayLine::Published(const hub::Relayed& what) {
  coverage_.Hit(PointOf(what));
  int64_t there = dice_.Below(shape_.latency_ms + 1);
  if (dice_.Chance(shape_.late_permille)) there += dice_.Below(shape_.late_ms);
  arrives_at_ = std::max(arrives_at_, scheduler_.now() + there);
  for (int n = ends_.copies(what); n > 0; --n) {
    ++under_way_;
    scheduler_.At(arrives_at_, [this, era = era_, what] {
      if (era != era_) return;
      --under_way_;
      ends_.arrived(what);
    });
  }
}

}  // namespace nightjar::worlds
