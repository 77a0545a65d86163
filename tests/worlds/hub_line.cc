#include "tests/worlds/hub_line.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/hub/redis/pending.h"

namespace nightjar::worlds {
namespace {

hub::Failure Unavailable(const char* why) { return {hub::Failure::Kind::kUnavailable, why}; }

}  // namespace

HubLine::HubLine(Scheduler& scheduler, Dice& dice, Coverage& coverage, HubLineShape shape,
                 Executor execute)
    : scheduler_(scheduler),
      dice_(dice),
      coverage_(coverage),
      shape_(shape),
      execute_(std::move(execute)) {}

void HubLine::Submit(hub::Call call, hub::Callback done) {
  calls_.push_back({std::move(call), std::move(done), std::nullopt, scheduler_.now(), false});
  WatchTime(calls_.back());
  if (up_) Send(first_ + calls_.size() - 1);
}

void HubLine::WatchTime(const Entry& entry) {
  // One look for each second is enough: deadlines come in order.
  if (calls_.size() > 1 && calls_[calls_.size() - 2].at / 1000 == entry.at / 1000) return;
  scheduler_.At(entry.at + shape_.timeout_ms + 1000, [this] { Expire(); });
}

void HubLine::Send(uint64_t number) {
  At(number).sent = true;
  int64_t there = dice_.Below(shape_.latency_ms + 1);
  if (dice_.Chance(shape_.late_permille)) there += dice_.Below(shape_.late_ms);
  effect_at_ = std::max({effect_at_, scheduler_.now() + there, frozen_until_});
  int64_t back = dice_.Below(shape_.latency_ms + 1);
  if (dice_.Chance(shape_.late_permille)) back += dice_.Below(shape_.late_ms);
  answer_at_ = std::max(answer_at_, effect_at_ + back);
  scheduler_.At(effect_at_, [this, number, era = era_] {
    if (era == era_) Effect(number);
  });
  scheduler_.At(answer_at_, [this, era = era_] {
    if (era == era_) AnswerFront();
  });
}

void HubLine::Effect(uint64_t number) {
  Entry& entry = At(number);
  if (dice_.Chance(shape_.refuse_permille)) {
    coverage_.Hit(Point::kRefusedByHub);
    entry.reply = dice_.Chance(200) ? hub::Failure{hub::Failure::Kind::kFull, "full"}
                                    : Unavailable("refused without effect");
    return;
  }
  if (scheduler_.now() < no_beats_until_ && std::holds_alternative<hub::Beat>(entry.call)) {
    entry.reply = Unavailable("a beat that is lost");
    return;
  }
  if (!entry.done) coverage_.Hit(Point::kLateReply);
  entry.reply = execute_(entry.call);
  if (dice_.Chance(shape_.lose_permille)) {
    coverage_.Hit(Point::kLostAfterEffect);
    entry.reply = Unavailable("lost after the effect");
  }
}

void HubLine::Answer(Entry& entry, hub::Reply reply) {
  if (!entry.done) return;
  const hub::Callback done = std::exchange(entry.done, nullptr);
  done(std::move(reply));
}

void HubLine::AnswerFront() {
  if (muted_) return;
  Entry entry = std::move(calls_.front());
  calls_.pop_front();
  ++first_;
  hub::Reply reply = std::move(*entry.reply);
  Answer(entry, std::move(reply));
}

void HubLine::Expire() {
  const int64_t before = scheduler_.now() - shape_.timeout_ms;
  std::vector<hub::Callback> late;
  if (up_) {
    for (Entry& entry : calls_) {
      if (entry.at > before) break;
      if (entry.done) late.push_back(std::exchange(entry.done, nullptr));
    }
  } else {
    while (!calls_.empty() && calls_.front().at <= before) {
      if (calls_.front().done) late.push_back(std::move(calls_.front().done));
      calls_.pop_front();
      ++first_;
    }
  }
  for (const hub::Callback& done : late) {
    coverage_.Hit(Point::kTenSeconds);
    done(Unavailable("no answer in time"));
  }
}

// A pipeline that broke: its first so many calls had arrived.
void HubLine::SomeTakeEffect() {
  if (shape_.frozen_is_frozen && scheduler_.now() < frozen_until_) return;
  size_t open = 0;
  for (const Entry& entry : calls_) open += entry.sent && !entry.reply;
  if (open == 0) return;
  auto arrived = static_cast<size_t>(dice_.Below(static_cast<int64_t>(open) + 1));
  for (Entry& entry : calls_) {
    if (!entry.sent || entry.reply) continue;
    if (arrived-- == 0) break;
    entry.reply = execute_(entry.call);
    coverage_.Hit(Point::kLostAfterEffect);
  }
}

void HubLine::Connect() {
  if (up_) return;
  up_ = true;
  ++era_;
  effect_at_ = answer_at_ = scheduler_.now();
  for (uint64_t i = 0; i < calls_.size(); ++i) {
    if (calls_[i].sent) coverage_.Hit(Point::kRepeatedCall);
    calls_[i].reply.reset();
    Send(first_ + i);
  }
}

void HubLine::Cut() {
  if (!up_) return;
  up_ = false;
  ++era_;
  SomeTakeEffect();
  if (dice_.Chance(shape_.zombie_permille)) {
    int64_t at = scheduler_.now();
    for (const Entry& entry : calls_) {
      if (!entry.sent || entry.reply) continue;
      at += dice_.Below(700);
      // Whoever connects again ends the connection before, first of all.
      scheduler_.At(at, [this, era = era_, call = entry.call] {
        if (era != era_) return;
        coverage_.Hit(Point::kZombieCall);
        (void)execute_(call);
      });
    }
  }
  GiveUp();
}

void HubLine::ServerDied() {
  ++era_;
  if (std::exchange(up_, false)) GiveUp();
}

// What may not be repeated fails.
void HubLine::GiveUp() {
  std::deque<Entry> keep;
  std::vector<hub::Callback> lost;
  for (Entry& entry : calls_) {
    if (!entry.done) continue;
    if (entry.sent && !hub::MayRepeat(entry.call)) {
      lost.push_back(std::move(entry.done));
    } else {
      keep.push_back(std::move(entry));
    }
  }
  calls_ = std::move(keep);
  for (const hub::Callback& done : lost) done(Unavailable("the connection broke"));
}

void HubLine::Die() {
  ++era_;
  if (up_) SomeTakeEffect();
  up_ = false;
  first_ += calls_.size();
  calls_.clear();
}

}  // namespace nightjar::worlds
