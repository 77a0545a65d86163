#include "plugin/core/deliver.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "common/wire/codec.h"
#include "plugin/core/inbox_entry.h"
#include "plugin/core/tell.h"

namespace nightjar::core::deliver {
namespace {

constexpr uint32_t kReadEntries = 64;
constexpr uint32_t kReadBytes = 64 * 1024;
constexpr int64_t kReadAgainMs = 1000;
constexpr size_t kOwnTold = 256;
constexpr uint32_t kFrameRoom = 24;  // seq and skipped in front of an entry, at most

uint64_t Known(const Inbox& in) { return in.acked + in.flight.size(); }

bool HasPlace(const Inbox& in) { return in.sent - in.acked < limits::kWindowEntries; }
bool HasRoom(const Inbox& in) { return HasPlace(in) && (in.bytes == 0 || in.bytes < in.window); }

UnderWay& Slot(Inbox& in, uint64_t seq) {
  const size_t index = seq - in.acked - 1;
  if (index >= in.flight.size()) in.flight.resize(index + 1);
  return in.flight[index];
}

OwnTold NameOf(const std::string& chat, MsgId msg_id) {
  return {std::hash<std::string>()(chat), msg_id};
}

bool IsOwn(Session& session, uint64_t seq, const EntryInfo& info) {
  Inbox& in = *session.inbox;
  if (seq <= Known(in) && in.flight[seq - in.acked - 1].own) return true;
  if (in.own_told.empty() || info.author != *session.user->uid) return false;
  return std::erase(in.own_told, NameOf(info.chat, info.msg_id)) > 0;
}

void WatchSilence(State& s, Session& session) {
  Inbox& in = *session.inbox;
  if (in.silent_armed) return;
  in.silent_armed = true;
  s.timers.Add(s.now.mono_ms + s.config.silent_after_ms, TimerKind::kSilent, session.id);
}

void Skip(State& s, Session& session, uint64_t seq, const EntryRef& info) {
  Inbox& in = *session.inbox;
  UnderWay& slot = Slot(in, seq);
  slot = {info, 0, true};
  in.sent = seq;
  ++in.skips;
  if (in.close_armed) return;
  in.close_armed = true;
  s.timers.Add(s.now.mono_ms + s.config.close_sequence_ms, TimerKind::kCloseSequence, session.id);
}

std::string EncodeFor(const Session& session, Encoding encoding, std::string_view entry,
                      uint64_t seq, uint32_t skipped) {
  if (entry.size() + kFrameRoom > session.max_frame) {
    return EncodeEntryFitted(entry, seq, skipped, encoding, session.max_frame);
  }
  std::string frame = EncodeEntry(entry, seq, skipped, encoding);
  if (frame.size() <= session.max_frame) return frame;
  return EncodeEntryFitted(entry, seq, skipped, encoding, session.max_frame);
}

void Send(State& s, Session& session, uint64_t seq, std::string_view entry, const EntryRef& info) {
  Inbox& in = *session.inbox;
  std::string frame = EncodeFor(session, in.encoding, entry, seq, in.skips);
  if (in.bytes == 0) in.silent_since = s.now.mono_ms;
  UnderWay& slot = Slot(in, seq);
  slot = {info, static_cast<uint32_t>(frame.size()), false};
  in.bytes += slot.bytes;
  in.sent = seq;
  in.skips = 0;
  ++s.stats.delivered_frames;
  Route route = AnswerRoute(session);
  Publish(s, session.id, std::move(route.topic), std::move(frame), route.qos);
  WatchSilence(s, session);
}

// One entry of one user, for one device. True if it was its turn and went out (or was skipped).
void Offer(State& s, Session& session, uint64_t seq, std::string_view entry, const EntryRef& info) {
  Inbox& in = *session.inbox;
  if (seq <= in.head) return;
  const bool next = in.live && !in.reading && seq == in.sent + 1 && in.head == in.sent;
  in.head = seq;
  if (!in.live) return;
  if (!next) return CatchUp(s, session);
  if (!HasPlace(in)) return;
  if (IsOwn(session, seq, *info)) {
    Skip(s, session, seq, info);
  } else if (HasRoom(in)) {
    Send(s, session, seq, entry, info);
  }
}

// The entry after what was sent, as read from the inbox. False: no room.
bool SendRead(State& s, Session& session, std::string_view entry) {
  Inbox& in = *session.inbox;
  if (!HasPlace(in)) return false;
  const uint64_t seq = in.sent + 1;
  const EntryRef known = seq <= Known(in) ? in.flight[seq - in.acked - 1].info : nullptr;
  const EntryRef info = known ? known : ReadEntryInfo(entry);
  const bool own = IsOwn(session, seq, *info);
  if (!own && !HasRoom(in)) return false;
  if (own) {
    Skip(s, session, seq, info);
  } else {
    Send(s, session, seq, entry, info);
  }
  return true;
}

void ToTails(State& s, Session& session, uint64_t seq, std::string_view entry) {
  for (int bit = 0; bit < 2; ++bit) {
    if ((session.tails & (1 << bit)) == 0) continue;
    const Encoding encoding = bit == 0 ? Encoding::kProtobuf : Encoding::kJson;
    Publish(s, session.id, (bit == 0 ? "tail/" : "json/tail/") + *session.user->uid,
            EncodeFor(session, encoding, entry, seq, 0), session.tail_qos[bit]);
  }
}

// May the author's own entry come to where the author is connected? A task tells later.
bool OwnComes(const FreshEntry& entry) {
  return entry.task ||
         std::any_of(entry.deliveries.begin(), entry.deliveries.end(),
                     [&](const hub::Delivery& delivery) { return delivery.uid == entry.author; });
}

void NoteTold(State& s, const FreshEntry& entry) {
  Session* session = s.directory.Find(entry.told);
  if (session == nullptr || !session->inbox) return;
  auto& told = session->inbox->own_told;
  if (told.size() >= kOwnTold) told.erase(told.begin(), told.begin() + kOwnTold / 2);
  told.push_back(NameOf(entry.chat, entry.msg_id));
}

// To all devices and tails of one user.
void Give(State& s, const hub::Delivery& delivery, std::string_view entry, const EntryRef& info) {
  User* user = s.directory.FindUser(delivery.uid);
  if (user == nullptr) return;
  for (Session* session : user->sessions) {
    if (session->replaced) continue;
    if (session->inbox) Offer(s, *session, delivery.seq, entry, info);
    if (session->tails != 0) ToTails(s, *session, delivery.seq, entry);
  }
}

}  // namespace

void Fresh(State& s, const FreshEntry& entry) {
  if (entry.told != 0 && OwnComes(entry)) NoteTold(s, entry);
  if (entry.deliveries.empty()) return;
  std::string shared, own;
  auto info =
      std::make_shared<EntryInfo>(EntryInfo{entry.chat, entry.author, entry.msg_id, entry.message});
  for (const hub::Delivery& delivery : entry.deliveries) {
    if (s.directory.FindUser(delivery.uid) == nullptr) continue;
    const bool mine = !entry.author.empty() && delivery.uid == entry.author;
    std::string& bytes = mine ? own : shared;
    if (bytes.empty()) bytes = JoinEntry(mine ? entry.own : entry.shared, entry.msg_id);
    Give(s, delivery, bytes, info);
  }
}

void OnRelayed(State& s, const hub::RelayedEntry& relayed) {
  const EntryRef info = ReadEntryInfo(relayed.entry);
  for (const hub::Delivery& delivery : relayed.deliveries) {
    Give(s, delivery, relayed.entry, info);
  }
}

void CatchUp(State& s, Session& session) {
  Inbox& in = *session.inbox;
  if (!in.live || in.reading || session.replaced || session.closing) return;
  if (in.head <= in.sent || !HasRoom(in)) return;
  in.reading = true;
  hub::ReadInbox call;
  call.uid = *session.user->uid;
  call.from = in.sent + 1;
  call.count = static_cast<uint32_t>(
      std::min<uint64_t>(kReadEntries, limits::kWindowEntries - (in.sent - in.acked)));
  call.bytes = std::min<uint32_t>(kReadBytes, in.window > in.bytes ? in.window - in.bytes : 1);
  const uint64_t from = call.from;
  Ask(s, std::move(call), PendingRead{session.id, in.generation, from});
}

bool OnRead(State& s, const PendingRead& pending, hub::Reply& reply) {
  Session* session = s.directory.Find(pending.session);
  if (session == nullptr || !session->inbox) return true;
  Inbox& in = *session->inbox;
  if (in.generation != pending.generation || !in.reading) return true;
  hub::Failure failure;
  const auto* read = Expect<hub::ReadInboxReply>(reply, failure);
  if (read == nullptr ||
      (read->entries.empty() && read->head > in.sent && read->first == pending.from)) {
    // `reading` stays set: the timer goes on.
    s.timers.Add(s.now.mono_ms + kReadAgainMs, TimerKind::kRead, session->id);
    return true;
  }
  in.reading = false;
  if (pending.from == in.sent + 1) {  // else it was asked to send again from elsewhere meanwhile
    if (read->first > pending.from) return false;
    in.head = std::max(in.sent, read->entries.empty() ? read->head : std::max(in.head, read->head));
    for (const std::string& entry : read->entries) {
      if (!SendRead(s, *session, entry)) break;
    }
  }
  CatchUp(s, *session);
  return true;
}

void Rewind(State& s, Session& session, uint64_t seq) {
  Inbox& in = *session.inbox;
  if (seq >= in.sent) return CatchUp(s, session);
  in.sent = seq;
  in.skips = 0;
  in.bytes = 0;
  for (size_t i = 0; i < in.flight.size(); ++i) {
    if (in.acked + i + 1 <= seq) {
      in.bytes += in.flight[i].bytes;
    } else {
      in.flight[i].bytes = 0;
    }
  }
  ++s.stats.resent;
  CatchUp(s, session);
}

void SawHead(State& s, Session& session, uint64_t head) {
  if (head > session.inbox->head) session.inbox->head = head;
  CatchUp(s, session);
}

void OnReadTimer(State& s, SessionId id) {
  Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox || !session->inbox->reading) return;
  session->inbox->reading = false;
  CatchUp(s, *session);
}

void OnSilentTimer(State& s, SessionId id) {
  Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox) return;
  Inbox& in = *session->inbox;
  in.silent_armed = false;
  if (!in.live || in.flight.empty() || session->closing) return;
  const int64_t wait = (s.config.silent_after_ms + in.bytes * int64_t{2}) << in.rounds;  // 4 kbit/s
  if (s.now.mono_ms < in.silent_since + wait) {
    in.silent_armed = true;
    s.timers.Add(in.silent_since + wait, TimerKind::kSilent, id);
    return;
  }
  if (++in.rounds >= s.config.silent_rounds) {
    ++s.stats.closed_silent;
    Log(s, LogLevel::kInfo,
        fmt::format("{}: closed: acknowledges nothing; {} entries not acknowledged", Name(*session),
                    in.head - in.acked));
    Close(s, *session);
    return;
  }
  WatchSilence(s, *session);
  Rewind(s, *session, in.acked);
}

void OnCloseTimer(State& s, SessionId id) {
  Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox) return;
  Inbox& in = *session->inbox;
  in.close_armed = false;
  if (!in.live || in.skips == 0) return;
  v1::ServerFrame frame;
  frame.set_seq(in.sent);
  frame.set_skipped(in.skips - 1);
  in.skips = 0;
  if (in.bytes == 0) in.silent_since = s.now.mono_ms;
  Tell(s, *session, frame);
  WatchSilence(s, *session);
}

}  // namespace nightjar::core::deliver
