#include "client-sim/line/shape.h"

namespace nightjar::line {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;
constexpr int64_t kMinute = 60 * kSecond;

constexpr int64_t Kbit(int64_t kbit_per_s) { return kbit_per_s * 1000 / 8; }

Shape Gprs() {
  Shape shape{.name = "gprs", .up = {}, .down = {}};
  // Multislot class 10 in its 4 + 1 form with coding scheme CS-2, 13.4 kbit/s a slot, as modem
  // manuals tabulate it; 500 ms of round trip is the common emulation of it (browsers' throttling).
  shape.up = {Kbit(13), 250 * kMs, 150 * kMs, 4096};
  shape.down = {Kbit(53), 250 * kMs, 150 * kMs, 8192};
  // Data pauses while the phone changes the cell: seconds, on the move every few minutes.
  shape.stall_every_ns = 3 * kMinute;
  shape.stall_least_ns = 1 * kSecond;
  shape.stall_most_ns = 4 * kSecond;
  return shape;
}

Shape Edge() {
  Shape shape{.name = "edge", .up = {}, .down = {}};
  // WebPageTest's "Mobile EDGE": 240 kbit/s down, 200 up, 840 ms round trip.
  shape.up = {Kbit(200), 420 * kMs, 200 * kMs, 8192};
  shape.down = {Kbit(240), 420 * kMs, 200 * kMs, 16384};
  shape.stall_every_ns = 3 * kMinute;
  shape.stall_least_ns = 500 * kMs;
  shape.stall_most_ns = 3 * kSecond;
  return shape;
}

Shape ThirdGeneration() {
  Shape shape{.name = "3g", .up = {}, .down = {}};
  // WebPageTest's "3G": 1.6 Mbit/s down, 768 kbit/s up, 300 ms round trip. A stall now and then is
  // the channel being set up again after a pause.
  shape.up = {Kbit(768), 150 * kMs, 60 * kMs, 32768};
  shape.down = {Kbit(1600), 150 * kMs, 60 * kMs, 65536};
  shape.stall_every_ns = 2 * kMinute;
  shape.stall_least_ns = 300 * kMs;
  shape.stall_most_ns = 2 * kSecond;
  return shape;
}

Shape Lte() {
  Shape shape{.name = "lte", .up = {}, .down = {}};
  // WebPageTest's "LTE": 12 Mbit/s both ways, 70 ms round trip.
  shape.up = {Kbit(12'000), 35 * kMs, 15 * kMs, 65536};
  shape.down = {Kbit(12'000), 35 * kMs, 15 * kMs, 131072};
  return shape;
}

Shape FlakyWifi() {
  Shape shape{.name = "wifi-flaky", .up = {}, .down = {}};
  // The edge of an access point's reach: 802.11's lowest rates (1 and 2 Mbit/s), of which TCP gets
  // about half; short way, but frames are repeated and wait for their turn. Stalls, cuts and
  // half-open connections at these intervals are our choice: often enough to be seen in a minute.
  shape.up = {Kbit(1000), 3 * kMs, 80 * kMs, 65536};
  shape.down = {Kbit(1000), 3 * kMs, 80 * kMs, 65536};
  shape.stall_every_ns = 20 * kSecond;
  shape.stall_least_ns = 500 * kMs;
  shape.stall_most_ns = 4 * kSecond;
  shape.cut_every_ns = 2 * kMinute;
  shape.half_open_every_ns = 5 * kMinute;
  return shape;
}

Shape NarrowBandIot() {
  Shape shape{.name = "iot-nbiot", .up = {}, .down = {}};
  // Category NB1 (3GPP release 13), half duplex: about 26 kbit/s down, and up about 16 on a single
  // tone of 15 kHz. Round trips in good coverage are 1 to 3 s; the standard's goal is within 10 s.
  shape.up = {Kbit(16), 600 * kMs, 800 * kMs, 2048};
  shape.down = {Kbit(26), 600 * kMs, 800 * kMs, 2048};
  // Bad coverage (repetitions) and paging cycles of the device's sleep (eDRX begins at 20 s).
  shape.stall_every_ns = 2 * kMinute;
  shape.stall_least_ns = 3 * kSecond;
  shape.stall_most_ns = 10 * kSecond;
  return shape;
}

const std::vector<Shape>& Shapes() {
  static const std::vector<Shape> shapes = {Shape{.name = "lan", .up = {}, .down = {}},
                                            Gprs(),
                                            Edge(),
                                            ThirdGeneration(),
                                            Lte(),
                                            FlakyWifi(),
                                            NarrowBandIot()};
  return shapes;
}

bool Free(const Way& way) {
  return way.bytes_per_s == 0 && way.latency_ns == 0 && way.jitter_ns == 0;
}

}  // namespace

bool Shape::unshaped() const {
  return Free(up) && Free(down) && stall_every_ns == 0 && cut_every_ns == 0 &&
         half_open_every_ns == 0;
}

std::optional<Shape> FindShape(std::string_view name) {
  for (const auto& shape : Shapes()) {
    if (shape.name == name) return shape;
  }
  return std::nullopt;
}

std::vector<std::string> ShapeNames() {
  std::vector<std::string> names;
  for (const auto& shape : Shapes()) names.push_back(shape.name);
  return names;
}

}  // namespace nightjar::line
