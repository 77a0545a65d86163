// The yardstick: the same talk over a plain broker, as somebody would do it by hand with QoS 1.
#include <algorithm>
#include <charconv>
#include <vector>

#include "client-sim/swarm/traffic.h"

namespace nightjar::swarm {
namespace {
constexpr size_t kReceiptBytes = 24;
constexpr size_t kStampDigits = 16;
}  // namespace

std::string StampedText(int64_t intended_ns, size_t bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text(std::max(bytes, kStampDigits), '.');
  for (size_t i = 0; i < kStampDigits; ++i) {
    text[i] = kHex[(static_cast<uint64_t>(intended_ns) >> (60 - 4 * i)) & 0xf];
  }
  return text;
}

int64_t StampOf(std::string_view text) {
  uint64_t stamp = 0;
  if (text.size() < kStampDigits) return 0;
  const char* end = text.data() + kStampDigits;
  const auto [at, error] = std::from_chars(text.data(), end, stamp, 16);
  return error == std::errc() && at == end ? static_cast<int64_t>(stamp) : 0;
}

namespace {

class BareTraffic final : public Traffic {
 public:
  explicit BareTraffic(TrafficOptions options)
      : options_(std::move(options)), users_(options_.clients) {}

  Login LoginOf(uint32_t client) override {
    return {Uid(client), "", "", "inbox/" + Uid(client), 1};
  }
  void Subscribed(uint32_t) override { ++ready_; }
  uint32_t ready() const override { return ready_; }

  void Write(uint32_t client, int64_t intended_ns) override {
    const uint16_t id = swarm_->Publish(client, "inbox/" + Uid(client ^ 1),
                                        StampedText(intended_ns, options_.text_bytes), 1);
    if (id == 0) {
      ++counts_.dropped;
      return;
    }
    users_[client].open.push_back({id, intended_ns});
    ++counts_.written;
    ++counts_.open;
    swarm_->Flush(client);
  }

  void Came(uint32_t client, std::string_view, std::string_view payload, int64_t now_ns) override {
    const int64_t intended = StampOf(payload);
    if (payload.size() == kReceiptBytes) return scoreboard_->Delivered(intended, now_ns);
    scoreboard_->Received(intended, now_ns);
    swarm_->Publish(client, "inbox/" + Uid(client ^ 1), StampedText(intended, kReceiptBytes), 1);
    ++counts_.acks;
  }

  void PubackCame(uint32_t client, uint16_t packet_id, int64_t now_ns) override {
    auto& open = users_[client].open;
    for (auto it = open.begin(); it != open.end(); ++it) {  // a handful at most
      if (it->packet_id != packet_id) continue;
      scoreboard_->Accepted(it->intended_ns, now_ns);
      --counts_.open;
      open.erase(it);
      return;
    }  // else the PUBACK of a receipt
  }

  void Lost(uint32_t client, const std::string& reason) override {
    scoreboard_->Trouble(Uid(client) + ": " + reason);
  }
  int64_t Timers(int64_t) override { return INT64_MAX; }
  TrafficCounts counts() const override { return counts_; }

 private:
  struct Open {
    uint16_t packet_id;
    int64_t intended_ns;
  };
  struct User {
    std::vector<Open> open;
  };
  std::string Uid(uint32_t client) const { return options_.prefix + std::to_string(client); }

  TrafficOptions options_;
  std::vector<User> users_;
  uint32_t ready_ = 0;
  TrafficCounts counts_;
};

}  // namespace

std::unique_ptr<Traffic> MakeBareTraffic(TrafficOptions options) {
  return std::make_unique<BareTraffic>(std::move(options));
}

}  // namespace nightjar::swarm
