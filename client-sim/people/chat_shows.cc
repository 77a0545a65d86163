// What happens to a chat's device, in lines.
#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "client-sim/people/chat.h"
#include "client-sim/people/text.h"
#include "common/wire/limits.h"
#include "common/wire/msg_id.h"
#include "common/wire/names.h"

namespace nightjar::client {
namespace {

constexpr size_t kGlimpse = 60;
constexpr int64_t kBriefMs = 3'000;  // a connection that ends sooner was not worth having
constexpr int kMostBrief = 4;        // of those in a row
std::string Names(const google::protobuf::RepeatedPtrField<std::string>& uids) {
  constexpr int kMost = 10;
  std::string names;
  for (int i = 0; i < std::min(uids.size(), kMost); ++i) {
    names += (i == 0 ? "" : ", ") + Harmless(uids.Get(i));
  }
  return uids.size() > kMost ? fmt::format("{} and {} more", names, uids.size() - kMost) : names;
}

}  // namespace

void Chat::Saw(const Happening& happening, Now now) {
  std::visit(
      [&](const auto& h) {
        using T = std::decay_t<decltype(h)>;
        if constexpr (std::is_same_v<T, Synced>) OnSynced(h, now);
        if constexpr (std::is_same_v<T, WentDown>) OnDown(h, now);
        if constexpr (std::is_same_v<T, SendAccepted>) OnAccepted(h, now);
        if constexpr (std::is_same_v<T, SendRefused>) OnRefused(h, now);
        if constexpr (std::is_same_v<T, MessageCame>) OnMessage(h.message, now);
        if constexpr (std::is_same_v<T, ChatChanged>) OnChange(h.change, now);
        if constexpr (std::is_same_v<T, MarkMoved>) OnMark(h.chat_id, now);
        if constexpr (std::is_same_v<T, PresenceSeen>) OnPresence(h.presence, now);
        if constexpr (std::is_same_v<T, Answered>) Answer(h.response, now);
        if constexpr (std::is_same_v<T, ServerFault>) {
          terminal_->Bad(now.unix_ms, "the server broke the protocol: " + Harmless(h.what));
        }
        if constexpr (std::is_same_v<T, Noticed>) {
          replaced_ = replaced_ || h.notice.kind() == v1::Notice::SESSION_REPLACED;
          const std::string text = replaced_ ? "this device connected somewhere else; ending here"
                                             : v1::Notice::Kind_Name(h.notice.kind()) + ": " +
                                                   Harmless(h.notice.message());
          terminal_->Bad(now.unix_ms, text);
        }
      },
      happening);
}

void Chat::OnSynced(const Synced& synced, Now now) {
  if (!was_online_) {
    const uint64_t waiting = synced.head > synced.start ? synced.head - synced.start : 0;
    terminal_->Note(
        now.unix_ms,
        fmt::format("connected as {} ({}){}{}", options_.uid, options_.device,
                    waiting > 0 ? fmt::format(", {} new in your inbox", waiting) : "",
                    unanswered_.empty() ? "" : fmt::format(", {} to be sent", unanswered_.size())));
  }
  if (synced.resync) terminal_->Note(now.unix_ms, "reading the chats anew");
  if (!was_online_) online_since_ms_ = now.mono_ms;
  was_online_ = ever_online_ = true;
  told_down_ = false;
  if (!listing_.empty()) return;
  v1::Request request;
  request.mutable_list_chats()->set_limit(limits::kListChatsMost);
  listing_ = device_.brain().Ask(std::move(request), now);
  early_until_ms_ = now.mono_ms + kNamesMs;
}

void Chat::ShowEarly() {
  early_until_ms_ = INT64_MAX;
  for (const auto& message : early_) ShowMessage(message);
  early_.clear();
}

void Chat::OnDown(const WentDown& down, Now now) {
  // On one broker, MQTT 3.1.1 tells nobody that somebody else took the name over: it just closes.
  const bool brief = was_online_ && now.mono_ms - online_since_ms_ < kBriefMs;
  brief_ = brief ? brief_ + 1 : was_online_ ? 0 : brief_;
  was_online_ = false;
  if (brief_ == kMostBrief) {
    terminal_->Bad(now.unix_ms, fmt::format("closed again and again: is {} ({}) open somewhere "
                                            "else as well? Another --device helps",
                                            options_.uid, options_.device));
  }
  if (replaced_ || done_ || told_down_) return;  // the first of a row of tries is enough
  told_down_ = true;
  terminal_->Bad(now.unix_ms, "not connected: " + Harmless(down.reason) + "; trying again");
}

void Chat::OnAccepted(const SendAccepted& accepted, Now now) {
  unanswered_.erase(accepted.client_msg_id);
  std::string glimpse = Shorten(accepted.text, kGlimpse);
  const std::string where = WhereOf(accepted.chat_id);
  terminal_->Mark(now.unix_ms, "", (where.empty() ? "" : "[" + where + "] ") + glimpse);
  if (own_.size() >= kMostOwn) own_.pop_front();
  own_.push_back({accepted.chat_id, accepted.msg_id, std::move(glimpse)});
  OnMark(accepted.chat_id, now);  // it may have been before
}

void Chat::OnRefused(const SendRefused& refused, Now now) {
  unanswered_.erase(refused.client_msg_id);
  terminal_->Bad(now.unix_ms, "refused: " + Harmless(refused.error.message()) + ": " +
                                  Shorten(refused.text, kGlimpse));
}

void Chat::OnMessage(const v1::Message& message, Now) {
  const bool typed_here = message.author() == options_.uid && message.device() == options_.device;
  if (typed_here) return;
  if (early_until_ms_ == INT64_MAX) return ShowMessage(message);
  if (early_.size() >= kMostEarly) ShowEarly();
  early_.push_back(message);
}

void Chat::ShowMessage(const v1::Message& message) {
  std::string who = Harmless(message.author());
  if (message.author() == options_.uid) {
    who = "you";
    if (!message.device().empty() && message.device() != options_.device) {
      who += " (" + Harmless(message.device()) + ")";
    }
  }
  std::string text = Harmless(message.text());
  if (!message.content_url().empty()) {
    text += (text.empty() ? "<" : " <") + Shorten(message.content_url(), 200) + ">";
  }
  if (message.truncated()) text += "… (cut; /history has it all)";
  terminal_->Said(MsgIdMs(message.msg_id()), WhereOf(message.chat_id()), who, text);
}

void Chat::OnChange(const v1::ChatChange& change, Now) {
  Know(change.chat());
  const std::string by = change.by() == options_.uid ? "you" : Harmless(change.by());
  const std::string name = "\"" + NameOf(change.chat().chat_id()) + "\"";
  const int64_t at = MsgIdMs(change.msg_id());
  switch (change.kind()) {
    case v1::ChatChange::CREATED:
      if (change.by() == options_.uid) return;  // the answer to /new says it
      return terminal_->Note(at, by + " opened " + name);
    case v1::ChatChange::RENAMED:
      return terminal_->Note(at, by + " called it " + name);
    default:
      break;
  }
  std::string what;
  if (!change.added().empty()) what += " added " + Names(change.added());
  if (!change.removed().empty()) {
    const bool left = change.removed_size() == 1 && change.removed(0) == change.by();
    what += (what.empty() ? "" : ", ") + (left ? " left" : " removed " + Names(change.removed()));
  }
  terminal_->Note(at, name + ": " + by + what);
}

void Chat::OnMark(const std::string& chat_id, Now now) {
  const auto others = Others(chat_id);
  if (others.empty()) return;
  const auto all_have = [&](const Own& own) {
    return std::all_of(others.begin(), others.end(), [&](const std::string& uid) {
      return device_.brain().Mark(chat_id, uid) >= own.msg_id;
    });
  };
  Own newest;
  size_t count = 0;
  for (auto it = own_.begin(); it != own_.end();) {
    if (it->chat_id != chat_id || !all_have(*it)) {
      ++it;
      continue;
    }
    ++count;
    if (it->msg_id > newest.msg_id) newest = std::move(*it);
    it = own_.erase(it);
  }
  if (count == 0) return;
  const std::string whom =
      others.size() == 1 ? *others.begin() : fmt::format("all {}", others.size());
  if (count > 1) newest.text += fmt::format(" (and {} before)", count - 1);
  terminal_->Mark(now.unix_ms, whom, newest.text);
}

void Chat::OnPresence(const v1::Presence& presence, Now now) {
  const auto known = watched_.find(presence.uid());
  if (known == watched_.end()) return;
  const bool first = shown_.insert(presence.uid()).second;
  if (!first && known->second == presence.online()) return;
  known->second = presence.online();
  ShowPresence(presence, now, /*with_age=*/false);
}

void Chat::Know(const v1::Chat& chat) {
  if (chat.chat_id().empty() || chat.kind() == v1::Chat::DIRECT) return;
  if (chats_.size() >= kMostChats && !chats_.contains(chat.chat_id())) chats_.erase(chats_.begin());
  Known& known = chats_[chat.chat_id()];
  known.title = chat.title();
  known.members.clear();
  if (static_cast<uint32_t>(chat.members_size()) == chat.member_count()) {
    known.members.insert(chat.members().begin(), chat.members().end());
  }
}

std::string Chat::NameOf(const std::string& chat_id) const {
  if (const auto name = ParseChatId(chat_id); name && name->direct) {
    if (name->low == name->high) return "notepad";
    return name->low == options_.uid ? name->high : name->low;
  }
  const auto known = chats_.find(chat_id);
  if (known != chats_.end() && !known->second.title.empty()) {
    return Shorten(known->second.title, 40);
  }
  return Shorten(chat_id, 10);
}

std::string Chat::WhereOf(const std::string& chat_id) const {
  return chat_id == open_ ? "" : NameOf(chat_id);
}

std::set<std::string> Chat::Others(const std::string& chat_id) const {
  std::set<std::string> others;
  if (const auto name = ParseChatId(chat_id); name && name->direct) {
    others = {name->low, name->high};
  } else if (const auto known = chats_.find(chat_id); known != chats_.end()) {
    if (known->second.members.size() <= limits::kReceiptMembers) others = known->second.members;
  }
  others.erase(options_.uid);
  return others;
}

std::string Chat::Partner() const {
  const auto name = ParseChatId(open_);
  if (!name || !name->direct) return "";
  return name->low == options_.uid ? name->high : name->low;
}

}  // namespace nightjar::client
