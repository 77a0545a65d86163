// The talk as docs/protocol.md recommends it, with as little client as the rules allow.
#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "client-sim/swarm/frames.h"
#include "client-sim/swarm/traffic.h"
#include "common/base/clock.h"
#include "common/wire/jwt.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::swarm {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kAckAfter = 200 * kMs;
constexpr int64_t kResendAgain = 2000 * kMs;
constexpr int64_t kRepeatAfter = 12'000 * kMs;  // the server may hold a send back for 10 s
constexpr size_t kWaitingMost = 1000;           // messages a sender keeps while 16 are under way
constexpr int64_t kTokenMs = 3600 * 1000;

class NightjarTraffic final : public Traffic {
 public:
  explicit NightjarTraffic(TrafficOptions options)
      : options_(std::move(options)), users_(options_.clients) {}

  Login LoginOf(uint32_t client) override;
  void Subscribed(uint32_t) override {}
  uint32_t ready() const override { return ready_; }
  void Write(uint32_t client, int64_t intended_ns) override;
  void Came(uint32_t client, std::string_view, std::string_view payload, int64_t now_ns) override;
  void PubackCame(uint32_t, uint16_t, int64_t) override {}
  void Lost(uint32_t client, const std::string& reason) override {
    scoreboard_->Trouble(Uid(client) + ": " + reason);
  }
  int64_t Timers(int64_t now_ns) override;
  TrafficCounts counts() const override { return counts_; }

 private:
  struct Open {  // written, not answered
    uint64_t client_msg_id;
    int64_t intended_ns;
    bool answered;  // kept until the oldest is answered: 16 count from there
  };
  struct Unmarked {  // accepted, delivered mark awaited
    uint64_t msg_id;
    int64_t intended_ns;
  };
  struct Talk {
    std::deque<Open> open;
    std::deque<Unmarked> unmarked;
    std::deque<int64_t> waiting;  // intended times of what may not be written yet
  };
  struct User {
    std::unique_ptr<Talk> talk;  // made on the first send: an idle client costs little
    uint64_t epoch = 0, held = 0, last_id = 0;
    int64_t ack_at_ns = 0;  // with ack_owed
    bool synced = false, ack_owed = false, resending = false, chat_known = false;
  };
  struct Due {
    int64_t at_ns;
    uint32_t client;
    enum class What : uint8_t { kAck, kResend, kRepeat } what;
    uint64_t id;  // kRepeat: client_msg_id
    bool operator>(const Due& other) const { return at_ns > other.at_ns; }
  };

  std::string Uid(uint32_t client) const { return options_.prefix + std::to_string(client); }
  std::string ChatOf(uint32_t client) const { return DirectChatId(Uid(client), Uid(client ^ 1)); }
  void Put(uint32_t client, uint64_t id, int64_t intended_ns);
  void WriteWaiting(uint32_t client);
  void Entry(uint32_t client, const FrameView& frame, int64_t now_ns);
  void OnAccepted(uint32_t client, const FrameView& frame, int64_t now_ns);
  void OnRejected(uint32_t client, const FrameView& frame, int64_t now_ns);
  void OnDelivered(uint32_t client, const FrameView& frame, int64_t now_ns);
  void OweAck(uint32_t client, int64_t now_ns);
  void Settle(User& user, std::deque<Open>::iterator it);
  void After(int64_t at_ns, uint32_t client, Due::What what, uint64_t id) {
    due_.push_back({at_ns, client, what, id});
    std::push_heap(due_.begin(), due_.end(), std::greater<>());
  }
  void Do(const Due& due, int64_t now_ns);

  TrafficOptions options_;
  std::vector<User> users_;
  std::vector<Due> due_;  // heap, earliest first
  std::string scratch_;
  uint32_t ready_ = 0;
  TrafficCounts counts_;
};

Login NightjarTraffic::LoginOf(uint32_t client) {
  Claims claims;
  claims.uid = Uid(client);
  claims.expires_ms = SystemNow().unix_ms + kTokenMs;
  auto token = SignToken(options_.key_file, claims);
  if (!token.ok()) scoreboard_->Trouble("no token: " + token.status().message());
  return {claims.uid + ":load", claims.uid, token.ok() ? *token : "none", "i", 0};
}

void NightjarTraffic::Write(uint32_t client, int64_t intended_ns) {
  User& user = users_[client];
  if (!user.talk) user.talk = std::make_unique<Talk>();
  if (user.talk->waiting.size() >= kWaitingMost) {
    ++counts_.dropped;
    return;
  }
  if (!user.talk->waiting.empty() || user.talk->open.size() >= limits::kRepeatWindow)
    ++counts_.held_back;
  user.talk->waiting.push_back(intended_ns);
  ++counts_.open;
  WriteWaiting(client);
  swarm_->Flush(client);
}

void NightjarTraffic::WriteWaiting(uint32_t client) {
  User& user = users_[client];
  while (user.synced && !user.talk->waiting.empty() &&
         user.talk->open.size() < limits::kRepeatWindow) {
    const int64_t intended_ns = user.talk->waiting.front();
    user.talk->waiting.pop_front();
    user.last_id = std::max(user.last_id + 1, static_cast<uint64_t>(SystemNow().unix_ms));
    user.talk->open.push_back({user.last_id, intended_ns, false});
    ++counts_.written;
    Put(client, user.last_id, intended_ns);
  }
}

void NightjarTraffic::Put(uint32_t client, uint64_t id, int64_t intended_ns) {
  User& user = users_[client];
  const std::string text = StampedText(intended_ns, options_.text_bytes);
  const std::string target = user.chat_known ? ChatOf(client) : Uid(client ^ 1);
  SendFields send;
  send.client_msg_id = id;
  (user.chat_known ? send.chat_id : send.to) = target;
  send.text = text;
  if (user.ack_owed) {
    user.ack_owed = false;
    send.ack = user.held;
    send.epoch = user.epoch;
  }
  scratch_.clear();
  EncodeSend(scratch_, send);
  swarm_->Publish(client, "s", scratch_, 0);
  After(NanoNow() + kRepeatAfter, client, Due::What::kRepeat, id);
}

void NightjarTraffic::Came(uint32_t client, std::string_view, std::string_view payload,
                           int64_t now_ns) {
  FrameView frame;
  if (!DecodeFrame(payload, frame)) return scoreboard_->Trouble(Uid(client) + ": bad frame");
  if (frame.seq > 0) return Entry(client, frame, now_ns);
  User& user = users_[client];
  switch (frame.kind) {
    case FrameView::Kind::kAccepted:
      return OnAccepted(client, frame, now_ns);
    case FrameView::Kind::kRejected:
      return OnRejected(client, frame, now_ns);
    case FrameView::Kind::kDelivered:
      return OnDelivered(client, frame, now_ns);
    case FrameView::Kind::kSync:
      if (!user.synced) ++ready_;
      user.synced = true;
      user.epoch = frame.epoch;
      user.held = frame.start;
      user.ack_owed = user.resending = false;
      return;
    case FrameView::Kind::kOther:
      return scoreboard_->Trouble(Uid(client) + ": a notice or a response nobody asked for");
    default:
      return;
  }
}

void NightjarTraffic::Entry(uint32_t client, const FrameView& frame, int64_t now_ns) {
  User& user = users_[client];
  if (!user.synced) return scoreboard_->Trouble(Uid(client) + ": an entry before sync");
  if (frame.seq <= user.held) {
    return OweAck(client, now_ns);
  }
  if (frame.seq - user.held - 1 > frame.skipped) {
    if (user.resending) return;
    user.resending = true;
    ++counts_.resends;
    return After(now_ns, client, Due::What::kResend, 0);
  }
  user.held = frame.seq;
  user.resending = false;
  OweAck(client, now_ns);
  if (frame.kind == FrameView::Kind::kMessage) {
    user.chat_known = true;
    scoreboard_->Received(StampOf(frame.text), now_ns);
  }
}

void NightjarTraffic::OweAck(uint32_t client, int64_t now_ns) {
  User& user = users_[client];
  if (user.ack_owed) return;
  user.ack_owed = true;
  user.ack_at_ns = now_ns + kAckAfter;
  After(user.ack_at_ns, client, Due::What::kAck, 0);
}

void NightjarTraffic::Settle(User& user, std::deque<Open>::iterator it) {
  it->answered = true;
  --counts_.open;
  while (!user.talk->open.empty() && user.talk->open.front().answered) user.talk->open.pop_front();
}

void NightjarTraffic::OnAccepted(uint32_t client, const FrameView& frame, int64_t now_ns) {
  User& user = users_[client];
  if (!user.talk) return;
  for (auto it = user.talk->open.begin(); it != user.talk->open.end(); ++it) {
    if (it->client_msg_id != frame.client_msg_id || it->answered) continue;
    user.chat_known = true;
    scoreboard_->Accepted(it->intended_ns, now_ns);
    user.talk->unmarked.push_back({frame.msg_id, it->intended_ns});
    Settle(user, it);
    return WriteWaiting(client);
  }
}

void NightjarTraffic::OnRejected(uint32_t client, const FrameView& frame, int64_t now_ns) {
  User& user = users_[client];
  if (!user.talk) return;
  for (auto it = user.talk->open.begin(); it != user.talk->open.end(); ++it) {
    if (it->client_msg_id != frame.client_msg_id || it->answered) continue;
    constexpr uint32_t kExhausted = 8, kUnavailable = 14;
    if (frame.code == kExhausted || frame.code == kUnavailable) {
      ++counts_.refused;
      return After(now_ns + std::max<int64_t>(frame.retry_after_ms, 1) * kMs, client,
                   Due::What::kRepeat, frame.client_msg_id);
    }
    ++counts_.failed;
    scoreboard_->Trouble(Uid(client) + ": refused: " + std::string(frame.reason));
    Settle(user, it);
    return WriteWaiting(client);
  }
}

void NightjarTraffic::OnDelivered(uint32_t client, const FrameView& frame, int64_t now_ns) {
  User& user = users_[client];
  if (!user.talk) return;
  // Marks are cumulative. Accepted may come in another order than ids, so the whole deque is looked
  // at (it holds 200 ms of one person's talk).
  std::erase_if(user.talk->unmarked, [&](const Unmarked& message) {
    if (message.msg_id > frame.msg_id) return false;
    scoreboard_->Delivered(message.intended_ns, now_ns);
    return true;
  });
}

int64_t NightjarTraffic::Timers(int64_t now_ns) {
  while (!due_.empty() && due_.front().at_ns <= now_ns) {
    const Due due = due_.front();
    std::pop_heap(due_.begin(), due_.end(), std::greater<>());
    due_.pop_back();
    Do(due, now_ns);
  }
  return due_.empty() ? INT64_MAX : due_.front().at_ns;
}

void NightjarTraffic::Do(const Due& due, int64_t now_ns) {
  User& user = users_[due.client];
  switch (due.what) {
    case Due::What::kAck:
    case Due::What::kResend: {
      const bool resend = due.what == Due::What::kResend;
      if (!user.synced || (resend ? !user.resending : !user.ack_owed)) return;
      if (!resend && user.ack_at_ns != due.at_ns) return;  // it rode along meanwhile; owed anew
      user.ack_owed = false;
      scratch_.clear();
      EncodeAck(scratch_, user.held, user.epoch, resend);
      swarm_->Publish(due.client, "a", scratch_, 0);
      ++counts_.acks;
      if (resend) After(now_ns + kResendAgain, due.client, Due::What::kResend, 0);
      break;
    }
    case Due::What::kRepeat:
      for (const auto& open : user.talk->open) {
        if (open.client_msg_id != due.id || open.answered) continue;
        Put(due.client, open.client_msg_id, open.intended_ns);
        break;
      }
      break;
  }
  swarm_->Flush(due.client);
}

}  // namespace

Result<std::unique_ptr<Traffic>> MakeNightjarTraffic(TrafficOptions options) {
  Claims claims;
  claims.uid = "probe";
  claims.expires_ms = SystemNow().unix_ms + kTokenMs;
  if (auto token = SignToken(options.key_file, claims); !token.ok()) return token.status();
  return std::unique_ptr<Traffic>(std::make_unique<NightjarTraffic>(std::move(options)));
}

}  // namespace nightjar::swarm
