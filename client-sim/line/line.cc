#include "client-sim/line/line.h"

#include <algorithm>
#include <cassert>

namespace nightjar::line {
namespace {

// What a half-open line takes from the socket at once, to drop it.
constexpr size_t kDropped = 65536;

// Reading a few bytes at a time would wake the owner for each: wait for this much room.
size_t WorthReading(const Way& way) {
  return std::clamp<size_t>(way.buffer / 2, 1, Pipe::kSegment);
}

// When a connection that lasts `every_ns` on average ends.
int64_t Lasts(int64_t every_ns, int64_t now_ns, Dice& dice) {
  return every_ns == 0 ? kNever : now_ns + dice.Between(1, 2 * every_ns);
}

}  // namespace

Line::Line(const Shape* shape, uint64_t seed)
    : shape_(shape), dice_(seed), stalls_(shape, dice_.Next()) {}

void Line::Open(int64_t now_ns) {
  if (!opened_) stalls_.Begin(now_ns);
  opened_ = true;
  up_.Empty();
  down_.Empty();
  sunk_ = 0;
  state_ = State::kUp;
  write_room_at_ns_ = read_room_at_ns_ = kNever;
  write_refused_ = read_refused_ = false;
  const int64_t cut_at = Lasts(shape_->cut_every_ns, now_ns, dice_);
  const int64_t half_open_at = Lasts(shape_->half_open_every_ns, now_ns, dice_);
  breaks_at_ns_ = std::min(cut_at, half_open_at);
  breaks_into_ = cut_at <= half_open_at ? State::kCut : State::kHalfOpen;
  up_.NotBefore(stalls_.After(now_ns, shape_->up.latency_ns + shape_->down.latency_ns));
}

void Line::Advance(int64_t now_ns) {
  if (now_ns >= breaks_at_ns_) Break(breaks_into_);
}

void Line::Break(State state) {
  state_ = state;
  breaks_at_ns_ = write_room_at_ns_ = read_room_at_ns_ = kNever;
  write_refused_ = read_refused_ = false;
  up_.Empty();
  down_.Empty();
}

void Line::Cut() { Break(State::kCut); }
void Line::HalfOpen() { Break(State::kHalfOpen); }

void Line::Stall(int64_t now_ns, int64_t for_ns) {
  Advance(now_ns);
  up_.Pause(now_ns, for_ns);
  down_.Pause(now_ns, for_ns);
}

size_t Line::Write(std::string_view bytes, int64_t now_ns) {
  Advance(now_ns);
  write_room_at_ns_ = kNever;
  if (state_ == State::kHalfOpen) return bytes.size();
  if (state_ == State::kCut) {
    const size_t taken = std::min(bytes.size(), shape_->up.buffer - sunk_);
    sunk_ += taken;
    return taken;
  }
  const size_t taken = std::min(bytes.size(), up_.Room(shape_->up, now_ns, stalls_));
  up_.Put(shape_->up, bytes.substr(0, taken), now_ns, stalls_, dice_);
  write_refused_ = taken < bytes.size();
  if (write_refused_) {
    const size_t wanted = std::min(bytes.size() - taken, Pipe::kSegment);
    write_room_at_ns_ = up_.RoomAt(shape_->up, wanted, now_ns, stalls_);
  }
  return taken;
}

std::string_view Line::Sendable(int64_t now_ns) {
  Advance(now_ns);
  return up_.Ready(now_ns);
}

void Line::Sent(size_t count) {
  up_.Take(count);
  // What was taken out may be the room that somebody waits for: they may look at once.
  if (count > 0 && write_refused_) write_room_at_ns_ = 0;
}

void Line::Heard(size_t count) {
  down_.Take(count);
  if (count > 0 && read_refused_) read_room_at_ns_ = 0;
}

size_t Line::Room(int64_t now_ns) {
  Advance(now_ns);
  read_room_at_ns_ = kNever;
  if (state_ == State::kHalfOpen) return kDropped;
  if (state_ == State::kCut) return 0;
  const size_t room = down_.Room(shape_->down, now_ns, stalls_);
  const size_t worth = WorthReading(shape_->down);
  read_refused_ = room < worth;
  if (!read_refused_) return room;
  read_room_at_ns_ = down_.RoomAt(shape_->down, worth, now_ns, stalls_);
  return 0;
}

void Line::Arrived(std::string_view bytes, int64_t now_ns) {
  Advance(now_ns);
  if (state_ != State::kUp) return;
  down_.Put(shape_->down, bytes, now_ns, stalls_, dice_);
}

std::string_view Line::Audible(int64_t now_ns) {
  Advance(now_ns);
  return down_.Ready(now_ns);
}

int64_t Line::NextAt() const {
  return std::min(
      {up_.NextArrival(), down_.NextArrival(), write_room_at_ns_, read_room_at_ns_, breaks_at_ns_});
}

}  // namespace nightjar::line
