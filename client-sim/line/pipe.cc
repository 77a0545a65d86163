#include <algorithm>
#include <cassert>

#include "client-sim/line/line.h"

namespace nightjar::line {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// a * b / kSecond without passing through numbers beyond 64 bits: a is up to hours in nanoseconds,
// b up to 10^9. Rounded down, as airtimes are rounded up: at the time that RoomAt() says, there is
// room.
int64_t PerSecond(int64_t a, int64_t b) { return a / kSecond * b + a % kSecond * b / kSecond; }
// How long `bytes` take.
int64_t Airtime(const Way& way, size_t bytes) {
  if (way.bytes_per_s == 0) return 0;
  const auto scaled = static_cast<int64_t>(bytes) * kSecond;
  return (scaled + way.bytes_per_s - 1) / way.bytes_per_s;
}

}  // namespace

// -- Stalls -------------------------------------------------------------------------------------

Stalls::Span Stalls::SpanOf(int64_t slot) const {
  Dice dice(seed_ + static_cast<uint64_t>(slot) * 0x632be59bd9b4e019ULL);
  const int64_t lasts = dice.Between(shape_->stall_least_ns, shape_->stall_most_ns);
  const int64_t from =
      origin_ns_ + slot * shape_->stall_every_ns + dice.Between(0, shape_->stall_every_ns - lasts);
  return {from, from + lasts};
}

int64_t Stalls::Clear(int64_t at_ns) const {
  if (shape_->stall_every_ns == 0) return at_ns;
  for (;;) {
    const Span span = SpanOf(std::max<int64_t>(0, (at_ns - origin_ns_) / shape_->stall_every_ns));
    if (at_ns < span.from_ns || at_ns >= span.to_ns) return at_ns;
    at_ns = span.to_ns;  // which may be where the next one begins
  }
}

int64_t Stalls::After(int64_t at_ns, int64_t work_ns) const {
  at_ns = Clear(at_ns);
  if (shape_->stall_every_ns == 0) return at_ns + work_ns;
  for (;;) {
    const int64_t slot = std::max<int64_t>(0, (at_ns - origin_ns_) / shape_->stall_every_ns);
    Span span = SpanOf(slot);
    if (span.to_ns <= at_ns) span = SpanOf(slot + 1);
    if (at_ns + work_ns <= span.from_ns) return at_ns + work_ns;
    work_ns -= span.from_ns - at_ns;
    at_ns = Clear(span.to_ns);
  }
}

int64_t Stalls::Moving(int64_t from_ns, int64_t to_ns) const {
  if (to_ns <= from_ns) return 0;
  int64_t moving = to_ns - from_ns;
  const int64_t every = shape_->stall_every_ns;
  if (every == 0) return moving;
  int64_t slot = std::max<int64_t>(0, (from_ns - origin_ns_) / every);
  for (; origin_ns_ + slot * every < to_ns; ++slot) {
    const Span span = SpanOf(slot);
    moving -= std::max<int64_t>(0, std::min(to_ns, span.to_ns) - std::max(from_ns, span.from_ns));
  }
  return moving;
}

// -- Pipe ---------------------------------------------------------------------------------------

size_t Pipe::Most(const Way& way) {
  if (way.bytes_per_s == 0) return way.buffer;
  const int64_t on_the_way = PerSecond(way.latency_ns + way.jitter_ns, way.bytes_per_s);
  return way.buffer + static_cast<size_t>(on_the_way) + kSegment;
}

size_t Pipe::Room(const Way& way, int64_t now_ns, const Stalls& stalls) const {
  const size_t most = Most(way);
  if (held() >= most) return 0;
  const size_t room = most - held();
  if (way.bytes_per_s == 0 || free_at_ns_ <= now_ns) return std::min(room, way.buffer);
  const auto waiting =
      static_cast<size_t>(PerSecond(stalls.Moving(now_ns, free_at_ns_), way.bytes_per_s));
  return waiting >= way.buffer ? 0 : std::min(room, way.buffer - waiting);
}

void Pipe::Put(const Way& way, std::string_view bytes, int64_t now_ns, const Stalls& stalls,
               Dice& dice) {
  assert(bytes.size() <= Room(way, now_ns, stalls));
  bytes_.append(bytes);
  for (size_t left = bytes.size(); left > 0;) {
    const size_t size = std::min(left, kSegment);
    left -= size;
    free_at_ns_ = stalls.After(std::max(free_at_ns_, now_ns), Airtime(way, size));
    const int64_t jitter = way.jitter_ns > 0 ? dice.Between(0, way.jitter_ns) : 0;
    const int64_t at = std::max(free_at_ns_ + way.latency_ns + jitter, last_at_ns_);
    last_at_ns_ = stalls.Clear(at);
    if (first_ < pieces_.size() && pieces_.back().at_ns == last_at_ns_) {
      pieces_.back().size += size;
    } else {
      pieces_.push_back({last_at_ns_, size});
    }
  }
}

std::string_view Pipe::Ready(int64_t now_ns) {
  while (first_ < pieces_.size() && pieces_[first_].at_ns <= now_ns) {
    ready_ += pieces_[first_++].size;
  }
  if (first_ == pieces_.size()) {
    std::vector<Piece>().swap(pieces_);
    first_ = 0;
  } else if (first_ > 64 && first_ * 2 > pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return std::string_view(bytes_).substr(taken_, ready_);
}

void Pipe::Take(size_t count) {
  assert(count <= ready_);
  taken_ += count;
  ready_ -= count;
  if (taken_ == bytes_.size()) {
    std::string().swap(bytes_);  // an idle line keeps nothing
    taken_ = 0;
  } else if (taken_ > 4096 && taken_ * 2 > bytes_.size()) {
    bytes_.erase(0, taken_);
    taken_ = 0;
  }
}

int64_t Pipe::NextArrival() const {
  return first_ < pieces_.size() ? pieces_[first_].at_ns : kNever;
}

int64_t Pipe::RoomAt(const Way& way, size_t wanted, int64_t now_ns, const Stalls& stalls) const {
  wanted = std::min(wanted, way.buffer);
  if (Room(way, now_ns, stalls) >= wanted) return now_ns;
  if (way.bytes_per_s == 0 || held() + wanted > Most(way)) return NextArrival();
  const int64_t waiting = stalls.Moving(now_ns, free_at_ns_);
  return stalls.After(now_ns, std::max<int64_t>(0, waiting - Airtime(way, way.buffer - wanted)));
}

void Pipe::Pause(int64_t now_ns, int64_t for_ns) {
  free_at_ns_ = std::max(free_at_ns_, now_ns) + for_ns;
  last_at_ns_ = std::max(last_at_ns_, now_ns) + for_ns;
  for (size_t i = first_; i < pieces_.size(); ++i) {
    pieces_[i].at_ns = std::max(pieces_[i].at_ns, now_ns) + for_ns;
  }
}

void Pipe::Empty() { *this = Pipe(); }

}  // namespace nightjar::line
