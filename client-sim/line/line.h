// A line between a client and its socket: what the client writes may be put on the socket later,
// what the socket holds may be read later, as a thin, slow or broken network would have it. The
// owner of the sockets asks what may move now, and when to come back:
//
//   to send:    n = line.Write(bytes, now)     keep the rest, and write it when NextAt() has passed
//               line.Sendable(now)             put this on the socket, then line.Sent(how many)
//   to read:    line.Room(now)                 recv() at most this; 0: do not listen to the socket,
//                                              the kernel's buffer then holds the server back
//               line.Arrived(bytes, now)       what recv() gave
//               line.Audible(now)              parse this, then line.Heard(how many)
//   always:     line.NextAt()                  come back then, even if no socket has anything to
//   say
//
// Cut: both sides just stop. The line takes writes until its buffer is full, and gives nothing; the
// owner then closes the socket with RST or leaves it lying, without DISCONNECT. Half-open: our side
// hears nothing and its bytes go nowhere (all is taken, all is dropped), the socket stays open.
//
// Pure: no I/O, no clock. Steady nanoseconds that do not go back. One owner. Two lines with the
// same shape and seed do the same to the same calls. An idle line has no timers (but for its own
// end, which the shape may demand) and no memory besides its few hundred bytes here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "client-sim/line/shape.h"
#include "common/base/dice.h"

namespace nightjar::line {

inline constexpr int64_t kNever = INT64_MAX;

// When nothing moves. A function of the time alone, so both ways of a line see the same stalls in
// whatever order they ask. A plain value.
class Stalls {
 public:
  Stalls(const Shape* shape, uint64_t seed) : shape_(shape), seed_(seed) {}

  // Stalls are counted from here on. REQUIRES of the others: not asked about earlier times.
  void Begin(int64_t now_ns) { origin_ns_ = now_ns; }
  // The first moment from `at_ns` on that is not within a stall.
  int64_t Clear(int64_t at_ns) const;
  // When something is done that needs `work_ns` of moving, begun at `at_ns`.
  int64_t After(int64_t at_ns, int64_t work_ns) const;
  // How much of the time between two moments is outside of stalls.
  int64_t Moving(int64_t from_ns, int64_t to_ns) const;

 private:
  struct Span {
    int64_t from_ns, to_ns;
  };
  Span SpanOf(int64_t slot) const;

  const Shape* shape_;
  uint64_t seed_;
  int64_t origin_ns_ = 0;
};

// One direction: bytes in, the same bytes out later.
class Pipe {
 public:
  // The pieces in which bytes arrive: what a TCP segment carries on most networks.
  static constexpr size_t kSegment = 1400;

  // How many more bytes may go in now.
  size_t Room(const Way& way, int64_t now_ns, const Stalls& stalls) const;
  // REQUIRES: bytes.size() <= Room().
  void Put(const Way& way, std::string_view bytes, int64_t now_ns, const Stalls& stalls,
           Dice& dice);
  // What has arrived and was not taken yet. Valid until the next call.
  std::string_view Ready(int64_t now_ns);
  // REQUIRES: count <= Ready().size().
  void Take(size_t count);

  // When more than what Ready() gave last will have arrived; kNever if nothing is on its way.
  int64_t NextArrival() const;
  // When Room() will be at least `wanted` (what a full pipe holds must be taken for that).
  int64_t RoomAt(const Way& way, size_t wanted, int64_t now_ns, const Stalls& stalls) const;
  // Nothing moves for this long from now on.
  void Pause(int64_t now_ns, int64_t for_ns);
  // Nothing leaves before this.
  void NotBefore(int64_t at_ns) { free_at_ns_ = at_ns; }
  // What is on its way is lost.
  void Empty();

  size_t held() const { return bytes_.size() - taken_; }

 private:
  struct Piece {
    int64_t at_ns;
    size_t size;
  };
  static size_t Most(const Way& way);

  std::string bytes_;  // from taken_ on: arrived (ready_), then on their way
  size_t taken_ = 0, ready_ = 0;
  std::vector<Piece> pieces_;  // on their way; from first_ on
  size_t first_ = 0;
  int64_t free_at_ns_ = 0;  // when the last byte put in has left
  int64_t last_at_ns_ = 0;  // when it arrives
};

class Line {
 public:
  enum class State : uint8_t { kUp, kHalfOpen, kCut };

  // `shape` must outlive the line.
  Line(const Shape* shape, uint64_t seed);

  // A new connection: what was on its way is forgotten. Its first bytes wait for the round trip
  // that TCP's greeting takes. REQUIRED before anything else.
  void Open(int64_t now_ns);

  size_t Write(std::string_view bytes, int64_t now_ns);
  std::string_view Sendable(int64_t now_ns);
  void Sent(size_t count);

  size_t Room(int64_t now_ns);
  // REQUIRES: bytes.size() <= Room().
  void Arrived(std::string_view bytes, int64_t now_ns);
  std::string_view Audible(int64_t now_ns);
  void Heard(size_t count);

  // When something of the above will have changed: bytes arrive at either end, there is room for
  // who was refused it, or the line breaks. kNever if the line is idle and stays whole.
  int64_t NextAt() const;

  // -- faults on demand -------------------------------------------------------------------------
  void Cut();
  void HalfOpen();
  void Stall(int64_t now_ns, int64_t for_ns);

  State state(int64_t now_ns) {
    Advance(now_ns);
    return state_;
  }
  const Shape& shape() const { return *shape_; }
  // Bytes within, both ways.
  size_t held() const { return up_.held() + down_.held(); }

 private:
  void Advance(int64_t now_ns);
  void Break(State state);

  const Shape* shape_;
  Dice dice_;
  Stalls stalls_;
  Pipe up_, down_;
  int64_t breaks_at_ns_ = kNever;
  int64_t write_room_at_ns_ = kNever, read_room_at_ns_ = kNever;
  size_t sunk_ = 0;  // written after a cut
  State state_ = State::kUp;
  State breaks_into_ = State::kCut;
  bool write_refused_ = false, read_refused_ = false;  // the last time
  bool opened_ = false;
};

}  // namespace nightjar::line
