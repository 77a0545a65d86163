#include "client-sim/load/fleet.h"

#include <algorithm>
#include <functional>
#include <type_traits>
#include <variant>

#include "common/wire/jwt.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::load {
namespace {

using namespace client;  // NOLINT(google-build-using-namespace): its happenings

constexpr int64_t kTokenMs = 24LL * 3600 * 1000;
constexpr size_t kHelloBytes = 32;
constexpr size_t kMostUnmarked = 4096;  // of a chat

// Kinds of PUBLISH, for the bytes of each.
constexpr swarm::Kind kSend = swarm::kOwnKinds, kAck = kSend + 1, kRequest = kSend + 2,
                      kEmpty = kSend + 3, kBody = kSend + 4,  // + field - 3, up to notice
    kPresence = kBody + 8, kOther = kBody + 9;
static_assert(kOther < swarm::kKinds);

swarm::Kind UpKind(std::string_view topic) {
  const char last = topic.back();  // chat/send, chat/ack, chat/req; s, a, r
  return last == 's' || last == 'd' ? kSend : last == 'a' || last == 'k' ? kAck : kRequest;
}

// Which body a ServerFrame has, without decoding it.
swarm::Kind DownKind(std::string_view topic, std::string_view payload) {
  if (topic.find("presence/") != std::string_view::npos) return kPresence;
  size_t at = 0;
  while (at < payload.size()) {
    const int field = static_cast<uint8_t>(payload[at++]) >> 3;
    if (field >= 3 && field <= 10) return static_cast<swarm::Kind>(kBody + field - 3);
    if (field != 1 && field != 2) return kOther;  // JSON
    while (at < payload.size() && (static_cast<uint8_t>(payload[at]) & 0x80) != 0) ++at;
    ++at;
  }
  return kEmpty;
}

}  // namespace

Fleet::Fleet(Options options, const crowd::Crowd* crowd, Oracle* judge)
    : options_(std::move(options)), crowd_(crowd), judge_(judge), chats_(crowd->chats().size()) {
  devices_.reserve(crowd->devices());
  for (uint32_t i = 0; i < crowd->devices(); ++i) {
    const std::string uid = crowd->Uid(crowd->UserOf(i)), name = crowd->DeviceName(i);
    devices_.emplace_back(DeviceBrain(uid, name, options_.brain));
    for (const uint32_t user : crowd->Watches(i)) devices_[i].brain.Watch(crowd->Uid(user));
    if (judge_ != nullptr) devices_[i].judge_id = judge_->Expect(uid, name);
  }
  for (uint32_t i = 0; i < chats_.size(); ++i) {
    const auto& chat = crowd->chats()[i];
    if (chat.group) continue;
    chats_[i].id = DirectChatId(crowd->Uid(chat.members[0]), crowd->Uid(chat.members[1]));
    chat_of_[chats_[i].id] = i;
  }
}

swarm::Login Fleet::LoginOf(uint32_t client) {
  Device& device = devices_[client];
  const int64_t now_ns = swarm::NanoNow();
  device.brain.Connected(At(now_ns), out_);
  if (judge_ != nullptr && !options_.broker_names.empty()) {
    judge_->At(device.judge_id, options_.broker_names[swarm_->broker(client)]);
  }
  Claims claims;
  claims.uid = device.brain.uid();
  claims.expires_ms = At(now_ns).unix_ms + kTokenMs;
  auto token = SignToken(options_.key_file, claims);
  if (!token.ok()) scoreboard_->Trouble("no token: " + token.status().message());
  return {claims.uid + ":" + device.brain.device(), claims.uid, token.ok() ? *token : "none",
          std::move(out_.subscribe), options_.qos};
}

void Fleet::Subscribed(uint32_t) {}  // a device is ready only when it has its sync

swarm::Kind Fleet::Came(uint32_t client, std::string_view topic, std::string_view payload,
                        int64_t now_ns) {
  devices_[client].brain.Arrived(topic, payload, At(now_ns), out_);
  Carry(client, out_, now_ns);
  return DownKind(topic, payload);
}

void Fleet::Down(uint32_t client, bool had_login, const std::string& reason) {
  Device& device = devices_[client];
  if (device.ready) --ready_;
  device.ready = false;
  last_loss_ = reason;
  if (!had_login) return scoreboard_->Count("not_connected");
  const int64_t now_ns = swarm::NanoNow();
  device.brain.Disconnected(reason, At(now_ns), down_out_);
  Carry(client, down_out_, now_ns);
}

void Fleet::Kick(uint32_t device, int64_t now_ns) {
  devices_[device].brain.Tick(At(now_ns), out_);
  Carry(device, out_, now_ns);
  swarm_->Flush(device);
}

void Fleet::Carry(uint32_t device, Out& out, int64_t now_ns) {
  for (const auto& packet : out.publish) {
    swarm_->Publish(device, packet.topic, packet.payload, options_.qos, UpKind(packet.topic));
  }
  for (auto& happening : out.happened) Tell(device, happening, now_ns);
  const bool replaced = out.replaced;
  Schedule(device);
  if (replaced) {
    scoreboard_->Trouble(devices_[device].brain.uid() + ": replaced by another connection");
    swarm_->GoOffline(device, false);
  }
}

void Fleet::Schedule(uint32_t index) {
  Device& device = devices_[index];
  const int64_t at_ms = device.brain.NextDeadline();
  if (at_ms >= device.scheduled_ms) return;
  device.scheduled_ms = at_ms;
  due_.push_back({at_ms, index});
  std::push_heap(due_.begin(), due_.end(), std::greater<>());
}

int64_t Fleet::Timers(int64_t now_ns) {
  const int64_t now_ms = now_ns / 1'000'000;
  while (!due_.empty() && due_.front().at_ms <= now_ms) {
    const Due due = due_.front();
    std::pop_heap(due_.begin(), due_.end(), std::greater<>());
    due_.pop_back();
    if (devices_[due.device].scheduled_ms != due.at_ms) continue;  // put forward meanwhile
    devices_[due.device].scheduled_ms = INT64_MAX;
    Kick(due.device, now_ns);
  }
  return due_.empty() ? INT64_MAX : due_.front().at_ms * 1'000'000;
}

void Fleet::Tell(uint32_t index, Happening& happening, int64_t now_ns) {
  Device& device = devices_[index];
  if (judge_ != nullptr) judge_->Took(device.judge_id, happening, At(now_ns));
  std::visit(
      [&](auto& h) {
        using T = std::decay_t<decltype(h)>;
        if constexpr (std::is_same_v<T, Synced>) {
          if (h.resync) scoreboard_->Count("resyncs");
          if (device.ready) return;
          device.ready = true;
          device.ready_since_ns = now_ns;
          ++ready_;
          swarm_->Good(index);
        } else if constexpr (std::is_same_v<T, Wrote>) {
          ++open_;
          scoreboard_->Sent(StampOf(h.text));
        } else if constexpr (std::is_same_v<T, SendAccepted>) {
          --open_;
          OnAccepted(index, h, now_ns);
        } else if constexpr (std::is_same_v<T, SendRefused>) {
          --open_;
          scoreboard_->Rejected(StampOf(h.text));
          scoreboard_->Trouble(device.brain.uid() + ": refused: " + h.error.message());
        } else if constexpr (std::is_same_v<T, MessageCame>) {
          const int64_t intended = StampOf(h.message.text());
          scoreboard_->Received(intended, now_ns, device.ready_since_ns <= intended && h.seq > 0);
        } else if constexpr (std::is_same_v<T, MarkMoved>) {
          OnMark(index, h, now_ns);
        } else if constexpr (std::is_same_v<T, Answered>) {
          const auto it = awaited_.find({index, h.response.request_id()});
          if (it == awaited_.end()) return;
          const Answer then = std::move(it->second);
          awaited_.erase(it);
          then(std::move(h.response), now_ns);
        } else if constexpr (std::is_same_v<T, RepeatCame>) {
          scoreboard_->Count("repeats");
        } else if constexpr (std::is_same_v<T, GapSeen>) {
          scoreboard_->Count("gaps");
        } else if constexpr (std::is_same_v<T, PutOff>) {
          scoreboard_->Count("put_off");
        } else if constexpr (std::is_same_v<T, WentDown>) {
          scoreboard_->Count("lines_lost");
        } else if constexpr (std::is_same_v<T, AckSent>) {
          scoreboard_->Count("acks");
        } else if constexpr (std::is_same_v<T, PresenceSeen>) {
          scoreboard_->Count("presence");
        } else if constexpr (std::is_same_v<T, Noticed>) {
          if (h.notice.kind() == v1::Notice::SHUTTING_DOWN) return;
          scoreboard_->Trouble(device.brain.uid() + ": notice: " + h.notice.message());
        } else if constexpr (std::is_same_v<T, ServerFault>) {
          scoreboard_->Trouble(device.brain.uid() + " was sent " + h.what);
        }
      },
      happening);
}

void Fleet::Known(Chat& chat) {
  if (chat.known) return;
  chat.known = true;
  ++introduced_;
}

void Fleet::OnAccepted(uint32_t device, const SendAccepted& accepted, int64_t now_ns) {
  const int64_t intended = StampOf(accepted.text);
  const auto it = chat_of_.find(accepted.chat_id);
  if (it == chat_of_.end()) return scoreboard_->Trouble("accepted into " + accepted.chat_id);
  Chat& chat = chats_[it->second];
  const auto& members = crowd_->chats()[it->second].members;
  uint32_t copies = 0;
  for (const uint32_t user : members) copies += crowd_->EndDevice(user) - crowd_->FirstDevice(user);
  Known(chat);
  scoreboard_->Accepted(intended, now_ns, copies - 1);
  if (members.size() > limits::kReceiptMembers || chat.unmarked.size() >= kMostUnmarked) return;
  chat.unmarked.push_back({accepted.msg_id, intended, device});
  ++unmarked_;
}

void Fleet::OnMark(uint32_t device, const MarkMoved& moved, int64_t now_ns) {
  const auto it = chat_of_.find(moved.chat_id);
  if (it == chat_of_.end()) return;
  // Marks are cumulative. Accepted may come in another order than ids, so the whole list is looked
  // at (it holds 200 ms of one chat's talk).
  std::erase_if(chats_[it->second].unmarked, [&](const Unmarked& message) {
    if (message.device != device || message.msg_id > moved.msg_id) return false;
    scoreboard_->Delivered(message.intended_ns, now_ns);
    --unmarked_;
    return true;
  });
}

void Fleet::Ask(uint32_t device, v1::Request request, int64_t now_ns, Answer then) {
  const std::string id = devices_[device].brain.Ask(std::move(request), At(now_ns));
  awaited_[{device, id}] = std::move(then);
  Schedule(device);  // not Kick: this may be called from within Carry
}

void Fleet::Introduce(uint32_t index, int64_t now_ns) {
  const auto& chat = crowd_->chats()[index];
  const uint32_t device = crowd_->FirstDevice(chat.members[0]);
  if (!chat.group) {
    devices_[device].brain.SendToUser(crowd_->Uid(chat.members[1]),
                                      StampedText(now_ns, kHelloBytes), At(now_ns));
    return Kick(device, now_ns);
  }
  v1::Request request;
  auto* create = request.mutable_create_chat();
  create->set_title("group " + std::to_string(index));
  const size_t first = std::min(chat.members.size(), limits::kChangeUids);
  for (size_t i = 1; i < first; ++i) create->add_members(crowd_->Uid(chat.members[i]));
  Ask(device, std::move(request), now_ns, [this, index, first](auto&& response, int64_t at_ns) {
    if (!response.has_chat()) {
      return scoreboard_->Trouble("create_chat: " + response.error().message());
    }
    chats_[index].id = response.chat().chat_id();
    chat_of_[chats_[index].id] = index;
    AddMembers(index, first, at_ns);
  });
}

void Fleet::AddMembers(uint32_t index, size_t from, int64_t now_ns) {
  const auto& members = crowd_->chats()[index].members;
  if (from >= members.size()) return Known(chats_[index]);
  v1::Request request;
  auto* update = request.mutable_update_chat();
  update->set_chat_id(chats_[index].id);
  const size_t end = std::min(members.size(), from + limits::kChangeUids);
  for (size_t i = from; i < end; ++i) update->add_add(crowd_->Uid(members[i]));
  Ask(crowd_->FirstDevice(members[0]), std::move(request), now_ns,
      [this, index, end](auto&& response, int64_t at_ns) {
        if (!response.has_chat()) {
          return scoreboard_->Trouble("update_chat: " + response.error().message());
        }
        AddMembers(index, end, at_ns);
      });
}

void Fleet::Write(uint32_t device, uint32_t index, uint32_t bytes, int64_t intended_ns,
                  int64_t now_ns) {
  const Chat& chat = chats_[index];
  if (!chat.known) return scoreboard_->Count("dropped");
  if (devices_[device].brain.SendToChat(chat.id, StampedText(intended_ns, bytes), At(now_ns)) ==
      0) {
    return scoreboard_->Count("dropped");
  }
  if (devices_[device].brain.unanswered() > limits::kRepeatWindow) scoreboard_->Count("held_back");
  Kick(device, now_ns);
}

void Fleet::ReadHistory(uint32_t device, uint32_t index, int64_t now_ns) {
  if (!chats_[index].known) return;
  v1::Request request;
  request.mutable_history()->set_chat_id(chats_[index].id);
  request.mutable_history()->set_limit(limits::kHistoryDefault);
  Ask(device, std::move(request), now_ns, [this](auto&& response, int64_t) {
    if (!response.has_history()) {
      return scoreboard_->Trouble("history: " + response.error().message());
    }
    scoreboard_->Count("histories_read");
  });
  Kick(device, now_ns);
}

bool Fleet::Settled() const {
  if (ready_ != devices_.size()) return false;
  // The judge knows better: a mark may come before the Accepted that it covers (an answer that died
  // with its broker and came with the repeat), and then stays in our count for ever.
  return judge_ != nullptr ? judge_->Settled() : open_ == 0 && unmarked_ == 0;
}

const char* Fleet::KindName(swarm::Kind kind, bool) const {
  switch (kind) {
    case kSend:
      return "PUBLISH send";
    case kAck:
      return "PUBLISH ack";
    case kRequest:
      return "PUBLISH request";
    case kEmpty:
      return "PUBLISH closing frame";
    case kBody:
      return "PUBLISH message";
    case kBody + 1:
      return "PUBLISH accepted";
    case kBody + 2:
      return "PUBLISH delivered";
    case kBody + 3:
      return "PUBLISH chat change";
    case kBody + 4:
      return "PUBLISH rejected";
    case kBody + 5:
      return "PUBLISH response";
    case kBody + 6:
      return "PUBLISH sync";
    case kBody + 7:
      return "PUBLISH notice";
    case kPresence:
      return "PUBLISH presence";
    case kOther:
      return "PUBLISH other";
    default:
      return MqttKindName(kind);
  }
}

}  // namespace nightjar::load
