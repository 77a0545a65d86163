#include "tests/worlds/phone.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/wire/names.h"
#include "tests/worlds/json_line.h"
#include "tests/worlds/world.h"

namespace nightjar::worlds {
namespace {

constexpr size_t kOldSends = 30;
constexpr int64_t kNoSyncMs = 25'000;  // a person tries again when nothing comes

}  // namespace

Phone::Phone(World& world, int number, std::string uid, std::string device, Manners manners)
    : world_(world),
      number_(number),
      manners_(manners),
      brain_(std::move(uid), std::move(device)) {}

Now Phone::now() const {
  Now now = world_.TrueNow();
  now.unix_ms += manners_.clock_off_ms;
  return now;
}

void Phone::Begin() {
  if (world_.shape().watchers) {
    const int64_t n = world_.dice().Below(3);
    for (int64_t i = 0; i < n; ++i) {
      const std::string who = world_.SomePerson();
      if (std::find(watched_.begin(), watched_.end(), who) != watched_.end()) continue;
      watched_.push_back(who);
      brain_.Watch(who);
    }
  }
  if (manners_.starts_online) {
    wanted_ = true;
    ConnectLater(world_.dice().Below(800));
  } else {
    GoAway();
  }
  ActLater();
}

void Phone::Ask(v1::Request request) {
  brain_.Ask(std::move(request), now());
  Arm();
}

void Phone::Settle() {
  settling_ = true;
  replaced_ = false;
  wanted_ = true;
  tries_ = 0;
  if (conn_ == nullptr) {
    ConnectLater(world_.dice().Below(500));
  } else if (conn_->cut) {
    Drop();
    ConnectLater(1);
  }
}

bool Phone::Idle() const {
  return connected() && brain_.synced() && brain_.unanswered() == 0 &&
         brain_.cursor().held() == brain_.cursor().acked();
}

// ---- the line ----------------------------------------------------------------------------------

void Phone::ConnectLater(int64_t ms) {
  world_.scheduler().After(ms, [this, coming = ++comings_] {
    if (coming == comings_ && wanted_ && conn_ == nullptr) Connect();
  });
}

void Phone::Connect() {
  conn_ = world_.NewConn(number_, uid(), device());
  connected_ = false;
  // A broker that does not answer is given up.
  world_.scheduler().After(10'000, [this, conn = conn_] {
    if (conn != conn_ || connected_) return;
    if (world_.shape().brokers > 1) world_.Abandon(conn);  // what may be asked to go elsewhere
    Drop();
    ConnectLater(world_.dice().Between(100, 1000));
  });
}

void Phone::Drop() {
  if (conn_ == nullptr) return;
  const ConnPtr conn = std::exchange(conn_, nullptr);
  conn->client_open = false;
  seen_online_.clear();
  if (!std::exchange(connected_, false)) return;
  client::Out out;
  brain_.Disconnected("gone", now(), out);
  Do(out);
}

void Phone::OnConnected(const ConnPtr& conn) {
  if (conn != conn_) return;
  connected_ = true;
  tries_ = 0;
  world_.Say("{} is connected", name());
  client::Out out;
  brain_.Connected(now(), out);
  Do(out);
  WatchSync();
}

void Phone::WatchSync() {
  world_.scheduler().After(kNoSyncMs, [this, conn = conn_] {
    if (conn != conn_ || brain_.synced()) return;
    world_.Say("{} has got no sync and tries again", name());
    world_.CutSoon(conn, false);
    Drop();
    ConnectLater(world_.dice().Between(10, 500));
  });
}

void Phone::OnClosed(const ConnPtr& conn) {
  if (conn != conn_) return;
  world_.Say("{} sees its line closed", name());
  Drop();
  if (replaced_) {
    // The person looks at the device again, some time.
    replaced_ = false;
    return ConnectLater(world_.dice().Between(500, 5000));
  }
  const int64_t backoff = std::min<int64_t>(5000, int64_t{100} << std::min(tries_++, 6));
  ConnectLater(world_.dice().Between(1, backoff));
}

void Phone::CutLine(bool half_open) {
  if (conn_ == nullptr) return;
  world_.Say("{}'s line breaks{}", name(), half_open ? ", half-open" : "");
  world_.CutSoon(conn_, half_open);
}

void Phone::Roam() {
  if (conn_ == nullptr || !connected_) return;
  world_.Say("{} roams", name());
  world_.CutSoon(conn_, true);
  Drop();
  ConnectLater(world_.dice().Between(1, 200));
}

void Phone::LeaveBehind() {
  if (conn_ == nullptr || !connected_) return;
  world_.Say("{} leaves its line behind", name());
  Drop();
  ConnectLater(world_.dice().Between(1, 200));
}

void Phone::GoAway() {
  wanted_ = false;
  if (conn_ != nullptr) {
    world_.Say("{} goes away", name());
    world_.GoodBye(conn_);
    Drop();
  }
  ++comings_;
  const int64_t back = world_.dice().Around(world_.shape().away_ms);
  world_.scheduler().After(back, [this] {
    if (settling_ || wanted_) return;
    wanted_ = true;
    ConnectLater(1);
  });
}

void Phone::SendOld() {
  if (!connected() || !brain_.synced() || sent_.empty()) return;
  world_.coverage().Hit(Point::kStaleSend);
  const std::string payload = world_.dice().Of(sent_);
  world_.Say("{} sends something old again", name());
  world_.UpPublish(conn_, "chat/send", payload);
}

void Phone::SendGarbage() {
  if (!connected()) return;
  static const char* const kTopics[] = {"chat/send", "chat/ack", "chat/req", "s", "a", "r"};
  std::string bytes = "{";
  if (world_.dice().Chance(700)) {
    bytes.clear();
    for (int64_t n = world_.dice().Below(40); n > 0; --n) {
      bytes.push_back(static_cast<char>(world_.dice().Below(256)));
    }
  }
  world_.UpPublish(conn_, kTopics[world_.dice().Below(6)], bytes);
}

// ---- the person --------------------------------------------------------------------------------

void Phone::ActLater() {
  world_.scheduler().After(world_.dice().Around(world_.shape().act_ms), [this] {
    if (settling_) return;
    Act();
    ActLater();
  });
}

void Phone::Act() {
  const int64_t what = world_.dice().Below(100);
  if (what < 55) {
    Write();
  } else if (what < 59) {
    for (int64_t n = world_.dice().Between(3, 25); n > 0; --n) Write();
  } else if (what < 72) {
    AskSomething();
  } else if (what < 82) {
    if (world_.shape().members_change) ChangeSomeGroup();
  } else if (what < 90) {
    if (wanted_) GoAway();
  } else if (conn_ == nullptr) {
    wanted_ = true;
    ConnectLater(1);
  }
  Arm();
}

void Phone::Write() {
  if (brain_.unanswered() > 40) return;
  std::string text = name() + ":" + std::to_string(++written_);
  if (world_.dice().Chance(60))
    text += std::string(static_cast<size_t>(world_.dice().Between(100, 3500)), 'x');
  const std::string chat = world_.SomeChat(uid());
  if (const auto direct = ParseChatId(chat);
      direct && direct->direct && world_.dice().Chance(500)) {
    brain_.SendToUser(direct->low == uid() ? direct->high : direct->low, std::move(text), now());
  } else {
    brain_.SendToChat(chat, std::move(text), now());
  }
}

void Phone::AskSomething() {
  v1::Request request;
  const std::string chat = world_.SomeChat(uid());
  switch (world_.dice().Below(9)) {
    case 0:
      request.mutable_open_chat()->set_chat_id(chat);
      request.mutable_open_chat()->set_limit(static_cast<uint32_t>(world_.dice().Below(20)));
      break;
    case 1:
      request.mutable_history()->set_chat_id(chat);
      request.mutable_history()->set_limit(static_cast<uint32_t>(world_.dice().Below(20)));
      break;
    case 2:
      request.mutable_list_chats();
      break;
    case 3:
      request.mutable_receipts()->add_chat_ids(chat);
      break;
    case 4:
      request.mutable_get_presence()->add_uids(world_.SomePerson());
      break;
    case 5:
      request.mutable_whoami();
      break;
    case 6:
      request.mutable_list_members()->set_chat_id(chat);
      break;
    case 7:
      request.mutable_mute_chat()->set_chat_id(chat);
      request.mutable_mute_chat()->set_until_ms(-1);
      break;
    case 8:
      request.mutable_register_push()->mutable_fcm()->set_token("token-" + name());
      break;
  }
  brain_.Ask(std::move(request), now());
}

void Phone::ChangeSomeGroup() {
  v1::Request request;
  const std::string chat = world_.SomeGroup(uid());
  if (chat.empty() || (world_.dice().Chance(80) && world_.Groups() < 6)) {
    v1::CreateChat& create = *request.mutable_create_chat();
    create.set_title("by " + name());
    create.add_members(uid());
    for (const std::string& who : world_.SomePeople()) {
      if (who != uid()) create.add_members(who);
    }
  } else {
    v1::UpdateChat& update = *request.mutable_update_chat();
    update.set_chat_id(chat);
    const std::string who = world_.SomePerson();
    switch (world_.dice().Below(5)) {
      case 0:
        update.set_title("title " + std::to_string(world_.dice().Below(1000)));
        break;
      case 1:
      case 2:
        update.add_add(who);
        if (world_.dice().Chance(300)) update.add_add(world_.SomeName());
        break;
      case 3:
        update.add_remove(who);
        break;
      case 4:
        update.add_remove(uid());
        break;
    }
  }
  brain_.Ask(std::move(request), now());
}

// ---- the brain ---------------------------------------------------------------------------------

void Phone::OnPacket(const ConnPtr& conn, const std::string& topic, const std::string& payload) {
  if (conn != conn_ || !connected_) return;
  std::string in_topic = topic, in_payload = payload;
  if (topic.starts_with("json/") && !FromJsonLine(in_topic, in_payload)) {
    world_.Break("JSON", name() + " was sent JSON that is none: " + topic + " " + payload);
    return;
  }
  if (in_topic == "i") in_topic = "inbox/" + uid();
  if (in_topic.starts_with("inbox/"))
    world_.OnFrame(*this, in_payload, manners_.json, manners_.brief, payload.size());
  client::Out out;
  brain_.Arrived(in_topic, in_payload, now(), out);
  Do(out);
  Arm();
}

void Phone::Do(client::Out& out) {
  for (const std::string& filter : out.subscribe) {
    std::string on_line = filter;
    if (manners_.brief && !manners_.json && filter.starts_with("inbox/")) on_line = "i";
    if (manners_.json) on_line = "json/" + filter;
    if (conn_) world_.UpSubscribe(conn_, on_line);
  }
  for (client::Packet& packet : out.publish) {
    if (!conn_) break;
    if (manners_.max_frame != 0) AnnounceFrame(packet, manners_.max_frame);
    if (packet.topic == "chat/send" || packet.topic == "s") {
      sent_.push_back(packet.payload);
      if (sent_.size() > kOldSends) sent_.pop_front();
    }
    if (manners_.json) ToJsonLine(packet);
    if (manners_.brief) Shorten(packet);
    world_.UpPublish(conn_, packet.topic, packet.payload);
  }
  for (const client::Happening& happening : out.happened) Saw(happening);
  if (out.replaced) {
    world_.coverage().Hit(Point::kReplacedTold);
    replaced_ = true;
  }
}

void Phone::Saw(const client::Happening& happening) {
  if (const auto* refused = std::get_if<client::SendRefused>(&happening)) {
    // What is refused for good is not sent again: who was let in meanwhile would be taken at their
    // word.
    std::erase_if(sent_, [&](const std::string& payload) {
      v1::Send send;
      return send.ParseFromString(payload) && send.client_msg_id() == refused->client_msg_id;
    });
  }
  if (const auto* presence = std::get_if<client::PresenceSeen>(&happening)) {
    seen_online_[presence->presence.uid()] = presence->presence.online();
  }
  // The brain forgets the marks of who leaves a group, and tells them again when they are back; by
  // an answer that was long under way, older ones than it told before.
  if (const auto* mark = std::get_if<client::MarkMoved>(&happening)) {
    uint64_t& told = marks_told_[{mark->chat_id, mark->uid}];
    if (mark->msg_id <= told) return;
    told = mark->msg_id;
  }
  world_.Saw(*this, happening);
}

void Phone::Arm() {
  const int64_t next = std::max(brain_.NextDeadline(), world_.time());
  if (next == INT64_MAX || next >= armed_) return;
  armed_ = next;
  world_.scheduler().At(next, [this, next] {
    if (armed_ != next) return;
    armed_ = INT64_MAX;
    if (!connected_) return;
    client::Out out;
    brain_.Tick(now(), out);
    Do(out);
    Arm();
  });
}

}  // namespace nightjar::worlds
