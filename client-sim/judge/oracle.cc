#include "client-sim/judge/oracle.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {
namespace {

std::string Name(const std::pair<std::string, std::string>& device) {
  return device.first + ":" + device.second;
}
std::string Id(const std::string& chat_id, uint64_t msg_id) {
  return chat_id + "/" + std::to_string(msg_id);
}

}  // namespace

void Oracle::Expect(const std::string& uid, const std::string& device) { devices_[{uid, device}]; }

void Oracle::Took(const std::string& uid, const std::string& device, const Happening& happening) {
  const DeviceKey who{uid, device};
  std::visit(
      [&](const auto& h) {
        using T = std::decay_t<decltype(h)>;
        if constexpr (std::is_same_v<T, Synced>) OnSync(who, h);
        if constexpr (std::is_same_v<T, SendAccepted>) OnAccepted(who, h);
        if constexpr (std::is_same_v<T, SendRefused>) ++refused_;
        if constexpr (std::is_same_v<T, MessageCame>) OnMessage(who, h);
        if constexpr (std::is_same_v<T, RepeatCame>) {
          ++repeats_;
          if (h.seq > 0) devices_[who].by_seq[h.seq] = {h.chat_id, h.msg_id};
        }
        if constexpr (std::is_same_v<T, ChatChanged>) OnChange(who, h);
        if constexpr (std::is_same_v<T, AckSent>) OnAck(who, h);
        if constexpr (std::is_same_v<T, MarkMoved>) OnMark(who, h);
        if constexpr (std::is_same_v<T, Answered>) OnAnswer(h.response);
        if constexpr (std::is_same_v<T, ServerFault>) Fault(Name(who) + " was sent " + h.what);
      },
      happening);
}

void Oracle::OnSync(const DeviceKey& who, const Synced& synced) {
  Seen& seen = devices_[who];
  seen.by_seq.clear();  // what was not acknowledged comes again, perhaps under other numbers
  seen.passed_over |= synced.resync;
}

void Oracle::OnAccepted(const DeviceKey& who, const SendAccepted& accepted) {
  Seen& seen = devices_[who];
  const auto key = std::make_pair(accepted.chat_id, accepted.client_msg_id);
  const auto [it, fresh] = seen.sent.emplace(key, accepted.msg_id);
  if (!fresh && it->second != accepted.msg_id) {
    Fault(Name(who) + " sent one message and it was stored twice: " +
          Id(accepted.chat_id, it->second) + " and " + Id(accepted.chat_id, accepted.msg_id));
  }
  Chat& chat = chats_[accepted.chat_id];
  const auto [fact, first] =
      chat.accepted.emplace(accepted.msg_id, Fact{who.first, who.second, accepted.text});
  if (!first && (fact->second.author != who.first || fact->second.text != accepted.text)) {
    Fault("one id for two messages: " + Id(accepted.chat_id, accepted.msg_id));
  }
  seen.shown[accepted.chat_id].insert(accepted.msg_id);
}

void Oracle::OnMessage(const DeviceKey& who, const MessageCame& came) {
  const v1::Message& message = came.message;
  Seen& seen = devices_[who];
  Chat& chat = chats_[message.chat_id()];
  const std::string id = Id(message.chat_id(), message.msg_id());
  if (!seen.shown[message.chat_id()].insert(message.msg_id()).second) {
    Fault(Name(who) + " was shown " + id + " twice");
  }
  const auto [other, first] =
      chat.seen.emplace(message.msg_id(), Fact{message.author(), "", message.text()});
  if (!first &&
      (other->second.text != message.text() || other->second.author != message.author())) {
    Fault(id + " reads differently on two devices");
  }
  const auto fact = chat.accepted.find(message.msg_id());
  if (fact != chat.accepted.end() &&
      (fact->second.author != message.author() || fact->second.text != message.text())) {
    Fault(id + " did not come as it was sent");
  }
  if (came.seq == 0) return;
  uint64_t& last = seen.last_in_order[message.chat_id()];
  if (message.msg_id() < last) Fault(Name(who) + " got " + id + " after a newer one");
  last = std::max(last, message.msg_id());
  seen.by_seq[came.seq] = {message.chat_id(), message.msg_id()};
}

void Oracle::OnChange(const DeviceKey& who, const ChatChanged& changed) {
  const v1::ChatChange& change = changed.change;
  const std::string& chat_id = change.chat().chat_id();
  Chat& chat = chats_[chat_id];
  if (changed.seq > 0) devices_[who].by_seq[changed.seq] = {chat_id, change.msg_id()};
  const auto join = [&](const std::string& uid) {
    auto& intervals = chat.members[uid];
    for (auto& known : intervals) {
      if (known.joined == change.msg_id()) return;  // another device told us
      if (known.joined == 0 && change.kind() == v1::ChatChange::CREATED) {
        known.joined = change.msg_id();  // known from the answer to create_chat, without an id
        return;
      }
    }
    intervals.push_back({change.msg_id(), UINT64_MAX});
  };
  if (change.kind() == v1::ChatChange::CREATED) {
    for (const auto& uid : change.chat().members()) join(uid);
    return;
  }
  for (const auto& uid : change.added()) join(uid);
  for (const auto& uid : change.removed()) {
    for (auto& known : chat.members[uid]) {
      if (known.left == UINT64_MAX && known.joined < change.msg_id()) known.left = change.msg_id();
    }
  }
}

void Oracle::OnAnswer(const v1::Response& response) {
  if (!response.has_chat()) return;
  const auto [it, fresh] = chats_.try_emplace(response.chat().chat_id());
  if (!it->second.members.empty()) return;
  for (const auto& uid : response.chat().members()) it->second.members[uid].push_back({});
}

void Oracle::OnAck(const DeviceKey& who, const AckSent& ack) {
  Seen& seen = devices_[who];
  const auto end = seen.by_seq.upper_bound(ack.seq);
  for (auto it = seen.by_seq.begin(); it != end; ++it) {
    chats_[it->second.first].acked[who.first].insert(it->second.second);
  }
  seen.by_seq.erase(seen.by_seq.begin(), end);
}

void Oracle::OnMark(const DeviceKey& who, const MarkMoved& moved) {
  Chat& chat = chats_[moved.chat_id];
  uint64_t& mark = chat.marks[who.first][moved.uid];
  const uint64_t before = mark;
  mark = std::max(mark, moved.msg_id);
  for (const auto& [key, seen] : devices_) {
    if (key.first == moved.uid && seen.passed_over) return;
  }
  const auto& acked = chat.acked[moved.uid];
  const auto end = chat.accepted.upper_bound(moved.msg_id);
  for (auto it = chat.accepted.upper_bound(before); it != end; ++it) {
    if (it->second.author == moved.uid || acked.contains(it->first)) continue;
    if (!Recipients(moved.chat_id, it->first).contains(moved.uid)) continue;
    Fault(Name(who) + " was told that " + moved.uid + " has " + Id(moved.chat_id, it->first) +
          ", which no device of " + moved.uid + " acknowledged");
    return;
  }
}

std::set<std::string> Oracle::Recipients(const std::string& chat_id, uint64_t msg_id) const {
  std::set<std::string> uids;
  const auto chat = chats_.find(chat_id);
  if (const auto name = ParseChatId(chat_id); name && name->direct) {
    uids = {name->low, name->high};
  } else if (chat != chats_.end()) {
    for (const auto& [uid, intervals] : chat->second.members) {
      for (const auto& interval : intervals) {
        if (interval.joined <= msg_id && msg_id <= interval.left) uids.insert(uid);
      }
    }
  }
  return uids;
}

bool Oracle::HasFor(const DeviceKey& device, const std::string& chat_id, uint64_t msg_id) const {
  const auto& shown = devices_.at(device).shown;
  const auto chat = shown.find(chat_id);
  return chat != shown.end() && chat->second.contains(msg_id);
}

template <typename F>
void Oracle::ForEachOwed(F&& f) const {
  for (const auto& [chat_id, chat] : chats_) {
    for (const auto& [msg_id, fact] : chat.accepted) {
      const auto recipients = Recipients(chat_id, msg_id);
      for (const auto& [device, seen] : devices_) {
        if (device == DeviceKey{fact.author, fact.device}) continue;  // it wrote the message
        if (!recipients.contains(device.first)) continue;
        f(chat_id, msg_id, fact, device, HasFor(device, chat_id, msg_id));
      }
    }
  }
}

template <typename F>
void Oracle::ForEachMark(F&& f) const {
  for (const auto& [chat_id, chat] : chats_) {
    std::map<std::pair<std::string, std::string>, uint64_t> owed;  // (author, uid) -> newest
    for (const auto& [msg_id, fact] : chat.accepted) {
      const auto recipients = Recipients(chat_id, msg_id);
      if (recipients.size() > limits::kReceiptMembers) continue;
      for (const auto& uid : recipients) {
        const bool here = std::any_of(devices_.begin(), devices_.end(),
                                      [&](const auto& d) { return d.first.first == uid; });
        if (uid != fact.author && here) owed[{fact.author, uid}] = msg_id;
      }
    }
    for (const auto& [pair, msg_id] : owed) {
      uint64_t mark = 0;
      if (const auto by = chat.marks.find(pair.first); by != chat.marks.end()) {
        if (const auto of = by->second.find(pair.second); of != by->second.end()) mark = of->second;
      }
      f(chat_id, pair.first, pair.second, msg_id, mark >= msg_id);
    }
  }
}

Oracle::Tally Oracle::Count() const {
  Tally tally;
  for (const auto& [id, chat] : chats_) tally.accepted += chat.accepted.size();
  tally.refused = refused_;
  tally.repeats = repeats_;
  ForEachOwed([&](const auto&, auto, const auto&, const auto&, bool done) {
    ++tally.owed;
    tally.delivered += done;
  });
  ForEachMark([&](const auto&, const auto&, const auto&, auto, bool done) {
    ++tally.marks_owed;
    tally.marks += done;
  });
  return tally;
}

bool Oracle::Settled() const {
  const Tally tally = Count();
  return tally.delivered == tally.owed && tally.marks == tally.marks_owed;
}

void Oracle::Fault(std::string what) {
  if (faults_.size() < kMostFaults) faults_.push_back(std::move(what));
}

std::vector<std::string> Oracle::Faults(bool final) const {
  std::vector<std::string> all = faults_;
  if (!final) return all;
  ForEachOwed(
      [&](const auto& chat_id, auto msg_id, const auto& fact, const auto& device, bool done) {
        if (done || all.size() >= kMostFaults) return;
        all.push_back(Name(device) + " never got " + Id(chat_id, msg_id) + " from " + fact.author);
      });
  ForEachMark(
      [&](const auto& chat_id, const auto& author, const auto& uid, auto msg_id, bool done) {
        if (done || all.size() >= kMostFaults) return;
        all.push_back(author + " was never told that " + uid + " has " + Id(chat_id, msg_id));
      });
  std::set<std::string> people;
  for (const auto& [device, seen] : devices_) people.insert(device.first);
  for (const auto& [chat_id, chat] : chats_) {
    for (const auto& [msg_id, fact] : chat.seen) {
      if (chat.accepted.contains(msg_id) || !people.contains(fact.author)) continue;
      if (all.size() >= kMostFaults) return all;
      all.push_back(Id(chat_id, msg_id) + " was shown, but never accepted from " + fact.author);
    }
  }
  return all;
}

}  // namespace nightjar::client
