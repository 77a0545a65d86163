#include "plugin/core/receipts.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "plugin/core/inbox_entry.h"
#include "plugin/core/tell.h"

namespace nightjar::core::receipts {
namespace {

constexpr int64_t kGatherMs = 50;
constexpr uint32_t kReadEntries = 64;
constexpr int64_t kAckAgainMs = 1000;
constexpr uint32_t kLeastGrowth = 1024;

void AddMark(AckWork& work, const EntryInfo& info) {
  auto it = std::find_if(work.marks.begin(), work.marks.end(),
                         [&](const MarkWork& mark) { return mark.chat == info.chat; });
  if (it == work.marks.end()) it = work.marks.insert(it, MarkWork{info.chat, 0, {}});
  it->msg_id = std::max(it->msg_id, info.msg_id);
  if (std::find(it->authors.begin(), it->authors.end(), info.author) == it->authors.end()) {
    it->authors.push_back(info.author);
  }
}

void Merge(AckWork& into, const AckWork& work) {
  into.seq = std::max(into.seq, work.seq);
  for (const MarkWork& mark : work.marks) {
    for (const std::string& author : mark.authors) {
      AddMark(into, {mark.chat, author, mark.msg_id, true});
    }
  }
}

// Hands over what has gathered. One call at a time: what is acknowledged meanwhile goes with the
// next.
void Submit(State& s, Session& session) {
  Inbox& in = *session.inbox;
  in.ack_busy = true;
  hub::Ack call;
  call.uid = *session.user->uid;
  call.device = session.device;
  call.epoch = in.epoch;
  in.asked = std::make_shared<const AckWork>(std::exchange(in.ack, {}));
  call.seq = in.asked->seq;
  call.now_ms = s.now.unix_ms;
  call.broker = s.broker;
  for (const MarkWork& mark : in.asked->marks) {
    call.marks.push_back({mark.chat, mark.msg_id, mark.authors});
  }
  PendingAck pending{session.id, in.generation, call.uid, in.asked};
  ++s.acks.under_way;
  Ask(s, std::move(call), std::move(pending));
}

// Hands over when it is this session's turn.
void SubmitInTurn(State& s, Session& session) {
  if (s.acks.under_way < s.config.acks_at_once) return Submit(s, session);
  session.inbox->ack_busy = true;
  s.acks.waiting.emplace_back(session.id, session.inbox->generation);
}

// REQUIRES: acked < seq <= what `flight` describes.
void Take(State& s, Session& session, uint64_t seq) {
  Inbox& in = *session.inbox;
  const size_t count = seq - in.acked;
  uint32_t freed = 0;
  for (size_t i = 0; i < count; ++i) {
    const UnderWay& entry = in.flight[i];
    freed += entry.bytes;
    if (entry.info && entry.info->message && !entry.own &&
        entry.info->author != *session.user->uid && !entry.info->chat.empty()) {
      AddMark(in.ack, *entry.info);
    }
  }
  in.flight.erase(in.flight.begin(), in.flight.begin() + static_cast<ptrdiff_t>(count));
  if (in.flight.empty()) std::vector<UnderWay>().swap(in.flight);
  in.bytes -= freed;
  in.window = static_cast<uint32_t>(
      std::min<size_t>(limits::kWindowBytesMost, in.window + std::max(freed, kLeastGrowth)));
  in.acked = seq;
  in.resync = false;  // heard of
  in.sent = std::max(in.sent, seq);
  in.head = std::max(in.head, seq);
  in.skips = static_cast<uint32_t>(std::min<uint64_t>(in.skips, in.sent - in.acked));
  in.rounds = 0;
  in.silent_since = s.now.mono_ms;
  in.ack.seq = seq;
  ++s.stats.acks;
  if (!in.ack_busy) SubmitInTurn(s, session);
}

void ReadAcked(State& s, Session& session) {
  Inbox& in = *session.inbox;
  in.reading_acked = true;
  hub::ReadInbox call;
  call.uid = *session.user->uid;
  call.from = in.acked + in.flight.size() + 1;
  call.count = kReadEntries;
  Ask(s, std::move(call), PendingReadAcked{session.id, in.generation});
}

Session* Current(State& s, SessionId id, uint32_t generation) {
  Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox || session->inbox->generation != generation) {
    return nullptr;
  }
  return session;
}

void NextInLine(State& s) {
  AckLine& line = s.acks;
  while (!line.waiting.empty() && line.under_way < s.config.acks_at_once) {
    const auto [id, generation] = line.waiting.front();
    line.waiting.pop_front();
    Session* session = Current(s, id, generation);
    if (session != nullptr && session->inbox->ack.seq != 0) Submit(s, *session);
  }
}

void SendDelivered(State& s, User& user) {
  const std::unique_ptr<DeliveredWork> work = std::move(user.delivered);
  user.delivered_at = s.now.mono_ms;
  for (const DeliveredWork::Chat& chat : work->chats) {
    v1::ServerFrame frame;
    frame.mutable_delivered()->set_chat_id(chat.chat);
    for (const auto& [uid, msg_id] : chat.marks) {
      v1::DeliveredMark& mark = *frame.mutable_delivered()->add_marks();
      mark.set_uid(uid);
      mark.set_msg_id(msg_id);
    }
    for (Session* session : user.sessions) {
      if (session->inbox) Tell(s, *session, frame);
    }
  }
}

// `reader` has everything of the chat up to the mark; the author should see it.
void TellAuthor(State& s, const std::string& author, const std::string& reader,
                const std::string& chat_id, MsgId msg_id) {
  User* user = s.directory.FindUser(author);
  if (user == nullptr || author == reader) return;
  if (std::none_of(user->sessions.begin(), user->sessions.end(),
                   [](const Session* session) { return session->inbox != nullptr; })) {
    return;
  }
  const bool waiting = user->delivered != nullptr;
  if (!waiting) user->delivered = std::make_unique<DeliveredWork>();
  auto& chats = user->delivered->chats;
  auto chat = std::find_if(chats.begin(), chats.end(),
                           [&](const auto& known) { return known.chat == chat_id; });
  if (chat == chats.end()) chat = chats.insert(chat, {chat_id, {}});
  auto told = std::find_if(chat->marks.begin(), chat->marks.end(),
                           [&](const auto& known) { return known.first == reader; });
  if (told == chat->marks.end()) told = chat->marks.insert(told, {reader, 0});
  told->second = std::max(told->second, msg_id);
  if (waiting) return;
  if (s.now.mono_ms - user->delivered_at >= kGatherMs) {
    SendDelivered(s, *user);
  } else {
    s.timers.Add(user->delivered_at + kGatherMs, TimerKind::kDelivered, 0, author);
  }
}

Outcome TakeAckReply(State& s, PendingAck& pending, hub::Reply& reply) {
  Session* session = Current(s, pending.session, pending.generation);
  hub::Failure failure;
  const auto* done = Expect<hub::AckReply>(reply, failure);
  if (done == nullptr) {
    if (session == nullptr) return {};  // its entries come again, and are acknowledged again
    Merge(session->inbox->ack, *pending.work);
    session->inbox->asked = nullptr;
    s.timers.Add(s.now.mono_ms + kAckAgainMs, TimerKind::kAckAgain, session->id);
    return {};
  }
  for (const hub::AckReply::Moved& moved : done->moved) {
    if (!moved.tell || moved.mark >= pending.work->marks.size()) continue;
    const MarkWork& mark = pending.work->marks[moved.mark];
    for (const std::string& author : mark.authors) {
      TellAuthor(s, author, pending.uid, mark.chat, mark.msg_id);
    }
  }
  if (session == nullptr) return {};
  session->inbox->ack_busy = false;
  session->inbox->asked = nullptr;
  if (done->outcome != hub::AckReply::Outcome::kDone)
    return Outcome{.catch_up = false, .rewind = {}, .login = true};
  if (session->inbox->ack.seq != 0) SubmitInTurn(s, *session);
  return {};
}

}  // namespace

Outcome OnAck(State& s, Session& session, const v1::Ack& ack) {
  if (ack.max_frame() != 0) {
    session.max_frame = std::clamp(ack.max_frame(), limits::kMinFrame, limits::kMaxFrame);
  }
  if (ack.epoch() == 0) {
    TellBadFrame(s, session, "an Ack without an epoch");
    return {};
  }
  if (!session.inbox) {
    TellBadFrame(s, session, "an Ack without a subscription to the inbox");
    return {};
  }
  Inbox& in = *session.inbox;
  if (!in.live || ack.epoch() != in.epoch)
    return {};  // of another epoch: meant for what was before
  Outcome outcome;
  if (ack.seq() > in.acked + in.flight.size()) {
    in.ack_wanted = std::max(in.ack_wanted, ack.seq());
    if (!in.reading_acked) ReadAcked(s, session);
    return outcome;
  }
  if (ack.seq() > in.acked) {
    Take(s, session, ack.seq());
    outcome.catch_up = true;
  }
  if (ack.resend()) {
    outcome.rewind = std::max(ack.seq(), in.acked);
    // What lies between is settled (by an earlier session's ack that came late, or passed over),
    // and the device has not heard of it: the sync that said so was lost.
    outcome.sync = ack.seq() < in.acked;
  }
  return outcome;
}

Outcome OnReadAcked(State& s, const PendingReadAcked& pending, hub::Reply& reply) {
  Session* session = Current(s, pending.session, pending.generation);
  if (session == nullptr) return {};
  Inbox& in = *session->inbox;
  in.reading_acked = false;
  hub::Failure failure;
  const auto* read = Expect<hub::ReadInboxReply>(reply, failure);
  if (read == nullptr) {  // the device acknowledges again, or is sent everything again
    in.ack_wanted = 0;
    return {};
  }
  if (in.ack_wanted > std::max(read->head, in.head)) {
    in.ack_wanted = 0;
    TellBadFrame(s, *session, "an Ack beyond the newest entry");
    return {};
  }
  const uint64_t next = in.acked + in.flight.size() + 1;
  if (read->entries.empty() && read->first <= next) {
    in.ack_wanted = 0;
    return {};
  }
  if (read->first > next) return Outcome{.catch_up = false, .rewind = {}, .login = true};
  for (size_t i = 0; i < read->entries.size(); ++i) {
    const uint64_t seq = read->first + i;
    if (seq < in.acked + in.flight.size() + 1 || seq > in.ack_wanted) continue;
    in.flight.push_back({ReadEntryInfo(read->entries[i]), 0, false});
  }
  if (in.acked + in.flight.size() < in.ack_wanted) {
    ReadAcked(s, *session);
    return {};
  }
  const uint64_t seq = in.ack_wanted;
  in.ack_wanted = 0;
  if (seq <= in.acked) return {};
  Take(s, *session, seq);
  return Outcome{.catch_up = true, .rewind = {}, .login = false};
}

Outcome OnAckReply(State& s, PendingAck& pending, hub::Reply& reply) {
  --s.acks.under_way;
  Outcome outcome = TakeAckReply(s, pending, reply);
  NextInLine(s);
  return outcome;
}

void OnRelayed(State& s, const hub::RelayedMark& mark) {
  TellAuthor(s, mark.author, mark.uid, mark.chat, mark.msg_id);
}

void OnAckTimer(State& s, SessionId id) {
  Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox || !session->inbox->ack_busy) return;
  session->inbox->ack_busy = false;
  if (session->inbox->ack.seq != 0) SubmitInTurn(s, *session);
}

void Flush(State& s, Session& session) {
  if (!session.inbox || !session.inbox->live || session.inbox->ack.seq == 0) return;
  Inbox& in = *session.inbox;
  // Should the Ack under way fail, this one moves the device past its entries all the same: they
  // do not come again, so that its marks must come along here.
  if (in.asked) Merge(in.ack, *in.asked);
  Submit(s, session);
}

void OnDeliveredTimer(State& s, const std::string& uid) {
  User* user = s.directory.FindUser(uid);
  if (user != nullptr && user->delivered) SendDelivered(s, *user);
}

}  // namespace nightjar::core::receipts
