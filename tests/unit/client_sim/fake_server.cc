#include "tests/unit/client_sim/fake_server.h"

#include <algorithm>

#include "common/wire/names.h"

namespace nightjar::client {

class FakeServer::FakeLink final : public Link {
 public:
  FakeLink(FakeServer* server, std::string its_uid, std::string its_device)
      : uid(std::move(its_uid)), device(std::move(its_device)), server_(server) {}
  ~FakeLink() override { FakeLink::Close(); }

  void Open() override {
    up = true;
    server_->links_[{uid, device}] = this;
    events.push_back({LinkEvent::Kind::kUp, "", ""});
  }
  void Close() override {
    if (up) server_->Gone(*this);
    up = false;
    events.clear();
  }
  void Subscribe(const std::string& filter) override {
    if (up) server_->Subscribe(*this, filter);
  }
  void Publish(const std::string& topic, const std::string& payload) override {
    if (up) server_->Publish(*this, topic, payload);
  }
  void Poll(std::vector<LinkEvent>& out) override {
    out = std::move(events);
    events.clear();
  }

  void Push(const v1::ServerFrame& frame) {
    if (up)
      events.push_back({LinkEvent::Kind::kArrived, "inbox/" + uid, frame.SerializeAsString()});
  }
  void Cut() {
    if (!up) return;
    server_->Gone(*this);
    up = false;
    events.push_back({LinkEvent::Kind::kDown, "", "cut"});
  }

  std::string uid, device;
  bool up = false, subscribed = false;
  std::set<std::string> watches;
  std::vector<LinkEvent> events;

 private:
  FakeServer* server_;
};

std::unique_ptr<Link> FakeServer::MakeLink(const std::string& uid, const std::string& device) {
  return std::make_unique<FakeLink>(this, uid, device);
}

void FakeServer::CutAll() {
  const auto links = links_;
  for (const auto& [key, link] : links) link->Cut();
}

void FakeServer::Gone(FakeLink& link) {
  links_.erase({link.uid, link.device});
  const bool was_there = link.subscribed;
  link.subscribed = false;
  link.watches.clear();
  if (was_there) ShowPresence(link.uid, false);
}

void FakeServer::ShowPresence(const std::string& uid, bool online) {
  v1::Presence presence;
  presence.set_uid(uid);
  presence.set_online(online);
  for (auto& [key, link] : links_) {
    if (!link->watches.contains(uid)) continue;
    link->events.push_back(
        {LinkEvent::Kind::kArrived, "presence/" + uid, presence.SerializeAsString()});
  }
}

void FakeServer::Subscribe(FakeLink& link, const std::string& filter) {
  if (filter.starts_with("presence/")) {
    link.watches.insert(filter.substr(9));
    return;
  }
  User& user = users_[link.uid];
  const auto [acked, fresh] = user.acked.try_emplace(link.device, 0);
  link.subscribed = true;
  v1::ServerFrame frame;
  frame.mutable_sync()->set_epoch(1);
  frame.mutable_sync()->set_start(acked->second);
  frame.mutable_sync()->set_head(user.inbox.size());
  link.Push(frame);
  Feed(link, acked->second);
  ShowPresence(link.uid, true);
}

void FakeServer::Feed(FakeLink& link, uint64_t from) {
  const auto& inbox = users_[link.uid].inbox;
  for (uint64_t i = from; i < inbox.size(); ++i) {
    v1::ServerFrame frame = inbox[i];
    frame.set_seq(i + 1);
    link.Push(frame);
  }
}

void FakeServer::Publish(FakeLink& link, const std::string& topic, const std::string& payload) {
  if (topic == "chat/send") {
    v1::Send send;
    if (send.ParseFromString(payload)) OnSend(link, send);
  } else if (topic == "chat/ack") {
    v1::Ack ack;
    if (ack.ParseFromString(payload)) OnAck(link, ack.seq(), ack.resend());
  } else if (topic == "chat/req") {
    v1::Request request;
    if (request.ParseFromString(payload)) OnRequest(link, request);
  }
}

void FakeServer::OnSend(FakeLink& link, const v1::Send& send) {
  ++sends_seen_;
  if (send.ack() > 0) OnAck(link, send.ack(), false);
  const std::string chat_id = send.has_to() ? DirectChatId(link.uid, send.to()) : send.chat_id();
  v1::ServerFrame answer;
  if (reject_for_now > 0) {
    --reject_for_now;
    answer.mutable_rejected()->set_client_msg_id(send.client_msg_id());
    answer.mutable_rejected()->mutable_error()->set_code(v1::UNAVAILABLE);
    answer.mutable_rejected()->mutable_error()->set_retry_after_ms(100);
    return link.Push(answer);
  }
  Chat& chat = chats_[chat_id];
  if (send.has_to()) chat.members = {link.uid, send.to()};
  const DeviceKey writer{link.uid, link.device};
  uint64_t& msg_id = chat.stored[{writer, send.client_msg_id()}];
  if (msg_id == 0 || ignore_repeats) {
    msg_id = ++next_id_;
    v1::ServerFrame entry;
    entry.mutable_message()->set_msg_id(msg_id);
    entry.mutable_message()->set_chat_id(chat_id);
    entry.mutable_message()->set_author(link.uid);
    entry.mutable_message()->set_text(send.text());
    const bool forget = forget_message > 0 && forget_message-- > 0;
    for (const auto& uid : chat.members) {
      if (!forget) Append(uid, entry, writer);
      if (uid != link.uid && mark_too_early > 0 && mark_too_early-- > 0) Mark(chat_id, uid, msg_id);
    }
  }
  if (lose_accepted > 0) {
    --lose_accepted;
    return link.Cut();
  }
  answer.mutable_accepted()->set_client_msg_id(send.client_msg_id());
  answer.mutable_accepted()->set_msg_id(msg_id);
  if (send.has_to()) answer.mutable_accepted()->set_chat_id(chat_id);
  link.Push(answer);
}

void FakeServer::Append(const std::string& uid, const v1::ServerFrame& body,
                        const DeviceKey& writer) {
  if (uid == writer.first) return;  // one device each: no own copy
  User& user = users_[uid];
  user.inbox.push_back(body);
  for (auto& [key, link] : links_) {
    if (key.first != uid || !link->subscribed) continue;
    if (lose_frames > 0 && lose_frames-- > 0) continue;
    Feed(*link, user.inbox.size() - 1);
    if (deliver_twice > 0 && deliver_twice-- > 0) Feed(*link, user.inbox.size() - 1);
  }
}

void FakeServer::OnAck(FakeLink& link, uint64_t seq, bool resend) {
  User& user = users_[link.uid];
  uint64_t& acked = user.acked[link.device];
  std::map<std::string, uint64_t> newest;
  for (uint64_t i = acked; i < std::min<uint64_t>(seq, user.inbox.size()); ++i) {
    if (user.inbox[i].has_message()) {
      newest[user.inbox[i].message().chat_id()] = user.inbox[i].message().msg_id();
    }
  }
  acked = std::max(acked, seq);
  for (const auto& [chat_id, msg_id] : newest) Mark(chat_id, link.uid, msg_id);
  if (resend) Feed(link, seq);
}

void FakeServer::Mark(const std::string& chat_id, const std::string& uid, uint64_t msg_id) {
  Chat& chat = chats_[chat_id];
  chat.marks[uid] = std::max(chat.marks[uid], msg_id);
  v1::ServerFrame frame;
  frame.mutable_delivered()->set_chat_id(chat_id);
  auto* mark = frame.mutable_delivered()->add_marks();
  mark->set_uid(uid);
  mark->set_msg_id(msg_id);
  for (auto& [key, link] : links_) {
    if (key.first != uid && chat.members.contains(key.first)) link->Push(frame);
  }
}

void FakeServer::OnRequest(FakeLink& link, const v1::Request& request) {
  v1::ServerFrame frame;
  v1::Response& response = *frame.mutable_response();
  response.set_request_id(request.request_id());
  if (request.has_create_chat()) {
    const std::string id = GroupChatId(link.uid, link.device, request.request_id());
    Chat& chat = chats_[id];
    chat.members.insert(request.create_chat().members().begin(),
                        request.create_chat().members().end());
    chat.members.insert(link.uid);
    chat.info.set_chat_id(id);
    chat.info.set_title(request.create_chat().title());
    chat.info.clear_members();
    for (const auto& uid : chat.members) chat.info.add_members(uid);
    chat.info.set_member_count(static_cast<uint32_t>(chat.members.size()));
    *response.mutable_chat() = chat.info;
  } else if (request.has_receipts()) {
    for (const auto& chat_id : request.receipts().chat_ids()) {
      auto* receipts = response.mutable_receipts()->add_chats();
      receipts->set_chat_id(chat_id);
      for (const auto& [uid, msg_id] : chats_[chat_id].marks) {
        auto* mark = receipts->add_delivered();
        mark->set_uid(uid);
        mark->set_msg_id(msg_id);
      }
    }
  } else {
    response.mutable_error()->set_code(v1::NOT_FOUND);
  }
  link.Push(frame);
}

}  // namespace nightjar::client
