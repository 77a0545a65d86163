// The requests of a chat, and what their answers look like.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "client-sim/people/chat.h"
#include "client-sim/people/text.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {
namespace {

using Verb = Typed::Verb;

constexpr uint32_t kGlance = 10;  // messages shown when a chat is opened

bool NeedsGroup(Verb verb) {
  return verb == Verb::kAdd || verb == Verb::kRemove || verb == Verb::kLeave;
}
bool NeedsChat(Verb verb) {
  return NeedsGroup(verb) || verb == Verb::kHistory || verb == Verb::kMembers ||
         verb == Verb::kMute;
}

}  // namespace

void Chat::AskAbout(Typed typed, Now now) {
  if (NeedsChat(typed.verb) && open_.empty()) {
    return terminal_->Bad(now.unix_ms, "in which chat? /to UID or /open CHAT");
  }
  if (NeedsGroup(typed.verb) && !Partner().empty()) {
    return terminal_->Bad(now.unix_ms, "this is no group; /new TITLE UID... makes one");
  }
  v1::Request request;
  switch (typed.verb) {
    case Verb::kTo:
      request.mutable_open_chat()->set_to(typed.words[0]);
      request.mutable_open_chat()->set_limit(kGlance);
      break;
    case Verb::kOpen:
      if (typed.number == 1) {  // by its id
        request.mutable_open_chat()->set_chat_id(typed.text);
        request.mutable_open_chat()->set_limit(kGlance);
        break;
      }
      request.mutable_list_chats()->set_limit(limits::kListChatsMost);
      break;
    case Verb::kChats:
      request.mutable_list_chats()->set_limit(limits::kListChatsDefault);
      break;
    case Verb::kNew:
      request.mutable_create_chat()->set_title(typed.text);
      for (const auto& uid : typed.words) request.mutable_create_chat()->add_members(uid);
      break;
    case Verb::kHistory:
      request.mutable_history()->set_chat_id(open_);
      request.mutable_history()->set_limit(static_cast<uint32_t>(typed.number));
      break;
    case Verb::kMembers:
      request.mutable_list_members()->set_chat_id(open_);
      request.mutable_list_members()->set_limit(limits::kListMembersMost);
      break;
    case Verb::kWho:
      if (typed.words.empty() && Partner().empty()) {
        return terminal_->Bad(now.unix_ms, "who? /who UID...");
      }
      if (typed.words.empty()) typed.words = {Partner()};
      for (const auto& uid : typed.words) request.mutable_get_presence()->add_uids(uid);
      break;
    case Verb::kAdd:
    case Verb::kRemove:
    case Verb::kLeave: {
      auto& update = *request.mutable_update_chat();
      update.set_chat_id(open_);
      if (typed.verb == Verb::kLeave) update.add_remove(options_.uid);
      for (const auto& uid : typed.words) {
        typed.verb == Verb::kAdd ? update.add_add(uid) : update.add_remove(uid);
      }
      break;
    }
    case Verb::kMute:
      request.mutable_mute_chat()->set_chat_id(open_);
      request.mutable_mute_chat()->set_until_ms(
          typed.number > 0 ? now.unix_ms + typed.number * 60'000 : typed.number);
      break;
    default:
      return;
  }
  Ask(std::move(request), std::move(typed), now);
}

void Chat::Ask(v1::Request request, Typed typed, Now now) {
  Asked asked;
  asked.typed = std::move(typed);
  asked.chat_id = open_;
  asked.holds = true;
  asked.since_ms = now.mono_ms;
  if (told_down_) terminal_->Note(now.unix_ms, "not connected: asked as soon as possible");
  asked_.emplace(device_.brain().Ask(std::move(request), now), std::move(asked));
}

void Chat::Answer(const v1::Response& response, Now now) {
  if (response.request_id() == listing_) {
    for (const auto& summary : response.chats().chats()) Know(summary.chat());
    return ShowEarly();
  }
  auto node = asked_.extract(response.request_id());
  if (node.empty()) return;  // a question of the device itself
  const Asked& asked = node.mapped();
  const Typed& typed = asked.typed;
  if (response.has_error()) {
    // Nobody has written in this chat yet: nothing to show.
    if (typed.verb == Verb::kTo && response.error().code() == v1::PERMISSION_DENIED) return;
    return terminal_->Bad(now.unix_ms, "refused: " + Harmless(response.error().message()));
  }
  switch (typed.verb) {
    case Verb::kTo:
      return ShowView(response.chat_view(), now);
    case Verb::kOpen:
      if (response.has_chats()) {
        for (const auto& summary : response.chats().chats()) Know(summary.chat());
        return OpenByName(typed, /*listed=*/true, now);
      }
      open_ = typed.text;
      Know(response.chat_view().chat());
      terminal_->Note(now.unix_ms, "in \"" + NameOf(open_) + "\"");
      return ShowView(response.chat_view(), now);
    case Verb::kChats:
      return ShowChats(response.chats(), now);
    case Verb::kNew:
      Know(response.chat());
      open_ = response.chat().chat_id();
      return terminal_->Note(now.unix_ms, fmt::format("a new group \"{}\" of {}: {}", NameOf(open_),
                                                      response.chat().member_count(), open_));
    case Verb::kHistory:
      for (const auto& message : response.history().messages()) ShowMessage(message);
      return terminal_->Note(now.unix_ms,
                             fmt::format("{} message{}{}", response.history().messages_size(),
                                         response.history().messages_size() == 1 ? "" : "s",
                                         response.history().more() ? ", and more before" : ""));
    case Verb::kMembers: {
      std::vector<std::string> uids(response.members().uids().begin(),
                                    response.members().uids().end());
      for (auto& uid : uids) uid = Harmless(uid);
      return terminal_->Note(now.unix_ms, fmt::format("{}{} in this chat: {}", uids.size(),
                                                      response.members().more() ? " and more" : "",
                                                      fmt::join(uids, ", ")));
    }
    case Verb::kWho:
      for (const auto& presence : response.presence().presence()) {
        ShowPresence(presence, now, /*with_age=*/true);
      }
      return;
    case Verb::kLeave:
      if (open_ == asked.chat_id) open_.clear();
      return terminal_->Note(now.unix_ms, "you left \"" + NameOf(asked.chat_id) + "\"");
    case Verb::kMute:
      return terminal_->Note(now.unix_ms, typed.number == 0 ? "no longer muted" : "muted");
    default:  // what was changed comes as a change of the chat
      return Know(response.chat());
  }
}

void Chat::ShowChats(const v1::ChatList& chats, Now now) {
  listed_.clear();
  if (chats.chats().empty()) terminal_->Note(now.unix_ms, "no chats yet; /to UID begins one");
  for (const auto& summary : chats.chats()) {
    Know(summary.chat());
    listed_.push_back(summary.chat().chat_id());
    const auto& last = summary.last_message();
    const std::string text = last.text().empty() ? ""
                                                 : fmt::format("  {}: {}", Harmless(last.author()),
                                                               Shorten(last.text(), 50));
    terminal_->Plain(fmt::format("  {:2}  {}{}  ({})", listed_.size(), NameOf(listed_.back()), text,
                                 Harmless(listed_.back())));
  }
  if (chats.more()) terminal_->Note(now.unix_ms, "and more");
}

void Chat::ShowView(const v1::ChatView& view, Now now) {
  Know(view.chat());
  for (const auto& message : view.messages()) ShowMessage(message);
  if (view.more()) terminal_->Note(now.unix_ms, "there is more: /history N");
}

void Chat::ShowPresence(const v1::Presence& presence, Now now, bool with_age) {
  terminal_->Presence(now.unix_ms, Harmless(presence.uid()), presence.online());
  if (!with_age || presence.online()) return;
  const int64_t ago = now.unix_ms - presence.last_active_ms();
  terminal_->Note(now.unix_ms, presence.last_active_ms() <= 0
                                   ? "never seen here"
                                   : "last seen " + Span(std::max<int64_t>(ago, 0)) + " ago");
}

}  // namespace nightjar::client
