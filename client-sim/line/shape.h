// What a bad network is like, as plain figures, and a few known ones by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nightjar::line {

// One direction.
struct Way {
  int64_t bytes_per_s = 0;  // of TCP payload; 0: no limit
  int64_t latency_ns = 0;   // from the last bit sent to the last bit heard
  int64_t jitter_ns = 0;    // added to it by chance, 0 to this, evenly; order is kept as in TCP
  size_t buffer = 16384;    // bytes that may wait for their turn (on a way without limit: bytes on
                            // their way altogether); who wants to send more waits
};

// All intervals are averages; single ones fall between almost nothing and twice that.
struct Shape {
  std::string name;
  Way up, down;  // up: from the client to the server

  // Once in every `stall_every_ns`, somewhere in it, nothing moves for a while. 0: never.
  int64_t stall_every_ns = 0;
  int64_t stall_least_ns = 0, stall_most_ns = 0;  // REQUIRES: least <= most < every
  // How long a connection lasts until it is cut without goodbye, or goes half-open. 0: for ever.
  int64_t cut_every_ns = 0;
  int64_t half_open_every_ns = 0;

  // Nothing of it would change a byte's time: use no line at all.
  bool unshaped() const;
};

// "lan" (unshaped), "gprs", "edge", "3g", "lte", "wifi-flaky", "iot-nbiot"; nothing for others.
std::optional<Shape> FindShape(std::string_view name);
std::vector<std::string> ShapeNames();

}  // namespace nightjar::line
