#include "client-sim/load/bare.h"

#include <vector>

namespace nightjar::load {
namespace {

constexpr size_t kReceiptBytes = 24;
constexpr swarm::Kind kMessage = swarm::kOwnKinds, kReceipt = kMessage + 1;

class BareParty final : public Party {
 public:
  explicit BareParty(const crowd::Crowd* crowd) : crowd_(crowd), users_(crowd->devices()) {}

  swarm::Login LoginOf(uint32_t client) override {
    const std::string uid = crowd_->Uid(client);
    return {uid, "", "", {"inbox/" + uid}, 1};
  }
  void Subscribed(uint32_t client) override {
    ++ready_;
    swarm_->Good(client);
  }
  uint32_t ready() const override { return ready_; }
  void Introduce(uint32_t, int64_t) override { ++introduced_; }
  uint32_t introduced() const override { return introduced_; }

  void Write(uint32_t client, uint32_t, uint32_t bytes, int64_t intended_ns, int64_t) override {
    const uint16_t id =
        swarm_->Publish(client, PeerInbox(client), StampedText(intended_ns, bytes), 1, kMessage);
    if (id == 0) return scoreboard_->Count("dropped");
    users_[client].push_back({id, intended_ns});
    ++open_;
    scoreboard_->Sent(intended_ns);
    swarm_->Flush(client);
  }
  void ReadHistory(uint32_t, uint32_t, int64_t) override {}

  swarm::Kind Came(uint32_t client, std::string_view, std::string_view payload,
                   int64_t now_ns) override {
    const int64_t intended = StampOf(payload);
    if (payload.size() == kReceiptBytes) {
      scoreboard_->Delivered(intended, now_ns);
      return kReceipt;
    }
    scoreboard_->Received(intended, now_ns, true);
    swarm_->Publish(client, PeerInbox(client), StampedText(intended, kReceiptBytes), 1, kReceipt);
    scoreboard_->Count("acks");
    return kMessage;
  }

  void PubackCame(uint32_t client, uint16_t packet_id, int64_t now_ns) override {
    auto& open = users_[client];
    for (auto it = open.begin(); it != open.end(); ++it) {  // a handful at most
      if (it->packet_id != packet_id) continue;
      scoreboard_->Accepted(it->intended_ns, now_ns, 1);
      --open_;
      open.erase(it);
      return;
    }  // else the PUBACK of a receipt
  }

  void Down(uint32_t client, bool had_login, const std::string& reason) override {
    last_loss_ = reason;
    if (!had_login) return;
    if (ready_ > 0) --ready_;
    open_ -= users_[client].size();  // nobody repeats here: they are lost
    users_[client].clear();
    scoreboard_->Trouble(crowd_->Uid(client) + ": " + reason);
  }
  int64_t Timers(int64_t) override { return INT64_MAX; }
  bool Settled() const override { return open_ == 0; }
  const char* KindName(swarm::Kind kind, bool) const override {
    if (kind == kMessage) return "PUBLISH message";
    if (kind == kReceipt) return "PUBLISH receipt";
    return MqttKindName(kind);
  }

 private:
  struct Open {
    uint16_t packet_id;
    int64_t intended_ns;
  };
  std::string PeerInbox(uint32_t client) const { return "inbox/" + crowd_->Uid(client ^ 1); }

  const crowd::Crowd* crowd_;
  std::vector<std::vector<Open>> users_;  // not answered yet
  uint32_t ready_ = 0, introduced_ = 0;
  uint64_t open_ = 0;
};

}  // namespace

std::unique_ptr<Party> MakeBareParty(const crowd::Crowd* crowd) {
  return std::make_unique<BareParty>(crowd);
}

}  // namespace nightjar::load
