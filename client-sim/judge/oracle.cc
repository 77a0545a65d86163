#include "client-sim/judge/oracle.h"

#include <algorithm>
#include <map>
#include <set>
#include <type_traits>
#include <utility>
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

// The first judge, until the real one is here: it keeps everything, and judges neither devices that
// appear later nor presence nor history.
class Oracle::Impl {
 public:
  using DeviceKey = std::pair<std::string, std::string>;  // uid, device
  struct Interval {
    uint64_t joined = 0, left = UINT64_MAX;
  };
  struct Fact {  // an accepted message
    std::string author, device, text;
  };
  struct Chat {
    std::map<std::string, std::vector<Interval>> members;
    std::map<uint64_t, Fact> accepted;
    std::map<uint64_t, Fact> seen;  // what anybody was shown under an id (device unknown)
    std::map<std::string, std::set<uint64_t>>
        acked;  // uid -> ids acknowledged by one of the devices
    std::map<std::string, std::map<std::string, uint64_t>> marks;  // observer -> uid -> id
  };
  struct Seen {
    std::map<std::string, std::set<uint64_t>> shown;  // chat -> ids shown to the person
    std::map<std::string, uint64_t> last_in_order;    // chat -> newest that came by inbox
    std::map<uint64_t, std::pair<std::string, uint64_t>> by_seq;  // not acknowledged yet
    std::map<std::pair<std::string, uint64_t>, uint64_t> sent;    // (chat, client_msg_id) -> msg_id
    bool passed_over = false;  // a resync: what it passed over counts as acknowledged
  };

  DeviceId Expect(const std::string& uid, const std::string& device);
  void Took(DeviceId id, const Happening& happening);
  void OnSync(const DeviceKey& who, const Synced& synced);
  void OnAccepted(const DeviceKey& who, const SendAccepted& accepted);
  void OnMessage(const DeviceKey& who, const MessageCame& came);
  void OnChange(const DeviceKey& who, const ChatChanged& changed);
  void OnAck(const DeviceKey& who, const AckSent& ack);
  void OnMark(const DeviceKey& who, const MarkMoved& moved);
  void OnAnswer(const v1::Response& response);
  void Fault(std::string what, const char* promise = "G2");
  std::set<std::string> Recipients(const std::string& chat_id, uint64_t msg_id) const;
  Tally Count() const;
  bool Settled() const;
  void Finish();
  bool HasFor(const DeviceKey& device, const std::string& chat_id, uint64_t msg_id) const;
  template <typename F>
  void ForEachOwed(F&& f) const;  // f(chat_id, msg_id, fact, device, done)
  template <typename F>
  void ForEachMark(F&& f) const;  // f(chat_id, author, uid, owed id, done)

  OracleOptions options_;
  std::vector<DeviceKey> ids_;
  std::map<DeviceKey, Seen> devices_;
  std::map<std::string, Chat> chats_;
  std::vector<Violation> faults_;
  uint64_t refused_ = 0;
  uint64_t repeats_ = 0;
};

DeviceId Oracle::Impl::Expect(const std::string& uid, const std::string& device) {
  const DeviceKey key{uid, device};
  devices_[key];
  const auto known = std::find(ids_.begin(), ids_.end(), key);
  if (known == ids_.end()) ids_.push_back(key);
  return static_cast<DeviceId>(std::find(ids_.begin(), ids_.end(), key) - ids_.begin());
}

void Oracle::Impl::Took(DeviceId id, const Happening& happening) {
  const DeviceKey who = ids_[id];
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

void Oracle::Impl::OnSync(const DeviceKey& who, const Synced& synced) {
  Seen& seen = devices_[who];
  seen.by_seq.clear();  // what was not acknowledged comes again, perhaps under other numbers
  seen.passed_over |= synced.resync;
}

void Oracle::Impl::OnAccepted(const DeviceKey& who, const SendAccepted& accepted) {
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

void Oracle::Impl::OnMessage(const DeviceKey& who, const MessageCame& came) {
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

void Oracle::Impl::OnChange(const DeviceKey& who, const ChatChanged& changed) {
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

void Oracle::Impl::OnAnswer(const v1::Response& response) {
  if (!response.has_chat()) return;
  const auto [it, fresh] = chats_.try_emplace(response.chat().chat_id());
  if (!it->second.members.empty()) return;
  for (const auto& uid : response.chat().members()) it->second.members[uid].push_back({});
}

void Oracle::Impl::OnAck(const DeviceKey& who, const AckSent& ack) {
  Seen& seen = devices_[who];
  const auto end = seen.by_seq.upper_bound(ack.seq);
  for (auto it = seen.by_seq.begin(); it != end; ++it) {
    chats_[it->second.first].acked[who.first].insert(it->second.second);
  }
  seen.by_seq.erase(seen.by_seq.begin(), end);
}

void Oracle::Impl::OnMark(const DeviceKey& who, const MarkMoved& moved) {
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

std::set<std::string> Oracle::Impl::Recipients(const std::string& chat_id, uint64_t msg_id) const {
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

bool Oracle::Impl::HasFor(const DeviceKey& device, const std::string& chat_id,
                          uint64_t msg_id) const {
  const auto& shown = devices_.at(device).shown;
  const auto chat = shown.find(chat_id);
  return chat != shown.end() && chat->second.contains(msg_id);
}

template <typename F>
void Oracle::Impl::ForEachOwed(F&& f) const {
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
void Oracle::Impl::ForEachMark(F&& f) const {
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

Tally Oracle::Impl::Count() const {
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

bool Oracle::Impl::Settled() const {
  const Tally tally = Count();
  return tally.delivered == tally.owed && tally.marks == tally.marks_owed;
}

void Oracle::Impl::Fault(std::string what, const char* promise) {
  if (faults_.size() < options_.most_violations) faults_.push_back({promise, std::move(what), ""});
}

void Oracle::Impl::Finish() {
  ForEachOwed(
      [&](const auto& chat_id, auto msg_id, const auto& fact, const auto& device, bool done) {
        if (!done)
          Fault(Name(device) + " never got " + Id(chat_id, msg_id) + " from " + fact.author);
      });
  ForEachMark(
      [&](const auto& chat_id, const auto& author, const auto& uid, auto msg_id, bool done) {
        if (!done)
          Fault(author + " was never told that " + uid + " has " + Id(chat_id, msg_id), "G5");
      });
  std::set<std::string> people;
  for (const auto& [device, seen] : devices_) people.insert(device.first);
  for (const auto& [chat_id, chat] : chats_) {
    for (const auto& [msg_id, fact] : chat.seen) {
      if (chat.accepted.contains(msg_id) || !people.contains(fact.author)) continue;
      Fault(Id(chat_id, msg_id) + " was shown, but never accepted from " + fact.author);
    }
  }
}

Oracle::Oracle(OracleOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options_ = options;
}
Oracle::~Oracle() = default;
DeviceId Oracle::Expect(const std::string& uid, const std::string& device) {
  return impl_->Expect(uid, device);
}
void Oracle::Gone(DeviceId device, Now) { impl_->devices_.erase(impl_->ids_[device]); }
void Oracle::At(DeviceId, std::string_view) {}
void Oracle::Took(DeviceId device, const Happening& happening, Now) {
  impl_->Took(device, happening);
}
void Oracle::Disturbed(Now, std::string, bool) {}
void Oracle::HistoryBegins(const std::string&) {}
void Oracle::HistoryPage(const std::string&, const v1::History&) {}
void Oracle::HistoryEnds(const std::string&, Now) {}
std::vector<std::string> Oracle::Chats() const {
  std::vector<std::string> ids;
  for (const auto& [id, chat] : impl_->chats_) ids.push_back(id);
  return ids;
}
Tally Oracle::Count() const { return impl_->Count(); }
bool Oracle::Settled() const { return impl_->Settled(); }
std::string Oracle::Outstanding() const { return ""; }
const std::vector<Violation>& Oracle::violations() const { return impl_->faults_; }
void Oracle::Finish(Now) { impl_->Finish(); }
std::vector<std::string> Oracle::Recipients(const std::string& chat_id, uint64_t msg_id) const {
  const auto uids = impl_->Recipients(chat_id, msg_id);
  return {uids.begin(), uids.end()};
}
size_t Oracle::MemoryBytes() const { return 0; }

}  // namespace nightjar::client
