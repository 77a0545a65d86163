#include "tests/unit/core/sim_client.h"

#include <fmt/format.h>

#include <algorithm>

namespace nightjar::core {

void SimClient::Connect() {
  const SessionId before = session_;
  session_ = world_.Connect(uid_, device_);
  if (before != 0) world_.Disconnect(before);  // a takeover: the broker closes the old one
  synced_ = asked_again_ = false;
  if (session_ == 0) return Break("refused");
  world_.Subscribe(session_, "inbox/" + uid_);
}

void SimClient::Disconnect() {
  world_.Disconnect(session_);
  world_.TakePackets(session_);
  session_ = 0;
}

void SimClient::Receive(const std::function<bool()>& lose) {
  for (const Packet& packet : world_.TakePackets(session_)) {
    if (!lose()) OnFrame(Parse(packet));
  }
}

void SimClient::OnFrame(const v1::ServerFrame& frame) {
  if (frame.has_sync()) return OnSync(frame.sync());
  if (!synced_) return;  // sync was lost: everything comes again after it
  if (frame.seq() != 0) return OnEntry(frame);
  if (frame.has_accepted()) {
    const uint64_t id = frame.accepted().client_msg_id();
    const MsgId msg_id = frame.accepted().msg_id();
    const auto [it, first] = accepted_.emplace(id, msg_id);
    if (!first && it->second != msg_id) Break(fmt::format("accepted twice with other ids: {}", id));
    unanswered_.erase(id);
  } else if (frame.has_rejected()) {
    const v1::Code code = frame.rejected().error().code();
    if (code != v1::UNAVAILABLE && code != v1::RESOURCE_EXHAUSTED) {
      Break(fmt::format("{} finally refused: {}", frame.rejected().client_msg_id(),
                        frame.rejected().error().message()));
      unanswered_.erase(frame.rejected().client_msg_id());
    }
  } else if (frame.has_delivered()) {
    for (const auto& mark : frame.delivered().marks()) {
      told_.push_back({frame.delivered().chat_id(), mark.uid(), mark.msg_id()});
    }
  } else if (frame.has_notice() && frame.notice().kind() == v1::Notice::BAD_FRAME) {
    Break("bad frame: " + frame.notice().message());
  }
}

void SimClient::OnSync(const v1::Sync& sync) {
  synced_ = true;
  epoch_ = sync.epoch();
  held_ = acked_ = sync.start();
  if (sync.resync()) Break("resync although nothing was gone");
}

void SimClient::OnEntry(const v1::ServerFrame& frame) {
  const uint64_t before = frame.seq() - frame.skipped() - 1;
  if (frame.seq() <= held_) return;  // a repeat
  if (before > held_) {
    if (!asked_again_) SendAck(true);
    asked_again_ = true;
    return;
  }
  asked_again_ = false;
  held_ = frame.seq();
  if (!frame.has_message()) return;
  const v1::Message& message = frame.message();
  if (message.author() != uid_) {
    MsgId& newest = newest_[message.chat_id()];
    newest = std::max(newest, message.msg_id());
  }
  if (!have_.emplace(message.chat_id(), message.msg_id()).second) return;
  seen_[message.chat_id()].push_back({message.msg_id(), message.author(), message.text()});
}

void SimClient::Acknowledge() {
  if (synced_ && held_ != acked_) SendAck(false);
}

void SimClient::SendAck(bool resend) {
  acked_ = held_;
  for (const auto& [chat, id] : newest_) {
    MsgId& mark = acknowledged_[chat];
    mark = std::max(mark, id);
  }
  v1::Ack ack;
  ack.set_seq(held_);
  ack.set_epoch(epoch_);
  ack.set_resend(resend);
  world_.Publish(session_, "chat/ack", ack.SerializeAsString());
}

void SimClient::Write(const std::string& chat) {
  const uint64_t id = ++last_id_;
  written_[id] = {chat, fmt::format("{}:{}:{}", uid_, device_, id)};
  unanswered_.insert(id);
}

void SimClient::SendUnanswered() {
  std::map<std::string, uint64_t> first;
  for (const uint64_t id : unanswered_) {
    const Written& written = written_.at(id);
    const auto oldest = first.emplace(written.chat, id).first->second;
    // At most 16 under way in a chat, from the oldest unanswered one on.
    const auto between =
        std::count_if(written_.lower_bound(oldest), written_.upper_bound(id),
                      [&](const auto& it) { return it.second.chat == written.chat; });
    if (between <= 16) world_.SendChat(session_, id, written.chat, written.text);
  }
}

}  // namespace nightjar::core
