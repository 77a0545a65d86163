#include "client-sim/people/chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "client-sim/people/text.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {
namespace {
constexpr size_t kGlimpse = 60;  // characters of a text that marks and errors repeat
}  // namespace

Chat::Chat(Options options, std::unique_ptr<Link> link, Terminal* terminal)
    : options_(std::move(options)),
      terminal_(terminal),
      device_(options_.uid, options_.device, std::move(link), options_.seed) {}

void Chat::Line(std::string line) { lines_.push_back(std::move(line)); }

void Chat::TooLongLine() {
  terminal_->Plain(fmt::format("✗ not sent: a line of more than {} bytes", limits::kText));
}

void Chat::EndOfInput(Now now) {
  if (ending_) return;
  ending_ = true;
  end_by_ms_ = now.mono_ms + options_.finish_ms;
}

void Chat::Step(Now now) {
  if (done_) return;
  device_.GoOnline(now);
  happened_.clear();
  device_.Step(now, happened_);
  for (const auto& happening : happened_) Saw(happening, now);
  if (now.mono_ms >= early_until_ms_) ShowEarly();
  TakeLines(now);
  Finish(now);
}

int64_t Chat::NextDeadline() const {
  int64_t next = std::min({device_.NextDeadline(), end_by_ms_, early_until_ms_});
  if (lines_.empty()) return next;
  for (const auto& [id, asked] : asked_) {
    if (asked.holds) next = std::min(next, asked.since_ms + kAnswerMs);
  }
  return next;
}

void Chat::TakeLines(Now now) {
  while (!lines_.empty() && !done_ && !Held(now)) {
    const std::string line = std::move(lines_.front());
    lines_.pop_front();
    Do(line, now);
  }
}

// Lines wait for the answers to the ones before them, so that a script reads as it runs. Without a
// connection only those wait that would go to another chat than was meant, or would show a history
// without what was typed before.
bool Chat::Held(Now now) const {
  if (unanswered_.size() >= kMostUnanswered) return true;
  if (!unanswered_.empty() && ParseTyped(lines_.front()).verb == Typed::Verb::kHistory) return true;
  return std::any_of(asked_.begin(), asked_.end(), [&](const auto& entry) {
    const Asked& asked = entry.second;
    const bool moves =
        asked.typed.verb == Typed::Verb::kNew || asked.typed.verb == Typed::Verb::kOpen;
    if (!asked.holds) return false;
    return moves || (device_.online() && now.mono_ms < asked.since_ms + kAnswerMs);
  });
}

void Chat::Do(const std::string& line, Now now) {
  Typed typed = ParseTyped(line);
  switch (typed.verb) {
    case Typed::Verb::kNothing:
      return;
    case Typed::Verb::kBad:
      return terminal_->Bad(now.unix_ms, typed.text);
    case Typed::Verb::kSay:
      return Say(std::move(typed.text), now);
    case Typed::Verb::kTo:
      return TalkTo(typed.words[0], now);
    case Typed::Verb::kOpen:
      return OpenByName(typed, /*listed=*/false, now);
    case Typed::Verb::kWatch:
      for (const auto& uid : typed.words) Watch(uid);
      return;
    case Typed::Verb::kHelp:
      for (const auto& help : ChatHelp()) terminal_->Plain(help);
      return;
    case Typed::Verb::kQuit:
      lines_.clear();
      return EndOfInput(now);
    default:
      return AskAbout(std::move(typed), now);
  }
}

void Chat::Say(std::string text, Now now) {
  if (open_.empty()) {
    return terminal_->Bad(now.unix_ms, "not sent: to whom? /to UID or /open CHAT (/help)");
  }
  std::string glimpse = Shorten(text, kGlimpse);
  const std::string partner = Partner();
  // `to` makes the chat if this is its first message.
  const uint64_t id = partner.empty() ? device_.brain().SendToChat(open_, std::move(text), now)
                                      : device_.brain().SendToUser(partner, std::move(text), now);
  if (id == 0) {
    return terminal_->Bad(now.unix_ms, "not sent: too much waits for an answer: " + glimpse);
  }
  unanswered_.emplace(id, std::move(glimpse));
  if (told_down_) {
    terminal_->Note(now.unix_ms, fmt::format("not connected: {} to be sent", unanswered_.size()));
  }
}

void Chat::TalkTo(const std::string& uid, Now now) {
  open_ = DirectChatId(options_.uid, uid);
  terminal_->Note(now.unix_ms, uid == options_.uid ? "your notepad" : "talking to " + uid);
  if (uid != options_.uid) Watch(uid);
  Typed typed{Typed::Verb::kTo, "", {uid}, 0};
  AskAbout(std::move(typed), now);
}

void Chat::Open(const std::string& chat_id, Now now) {
  if (const auto name = ParseChatId(chat_id); name && name->direct) {
    const bool mine = name->low == options_.uid || name->high == options_.uid;
    if (!mine) return terminal_->Bad(now.unix_ms, "you are not in that chat");
    return TalkTo(name->low == options_.uid ? name->high : name->low, now);
  }
  Typed typed{Typed::Verb::kOpen, chat_id, {}, 1};
  AskAbout(std::move(typed), now);
}

// `listed`: the chats were asked for already, and this is the second look.
void Chat::OpenByName(const Typed& typed, bool listed, Now now) {
  if (ParseChatId(typed.text)) return Open(typed.text, now);
  size_t number = 0;
  const char* end = typed.text.data() + typed.text.size();
  const auto [stopped, error] = std::from_chars(typed.text.data(), end, number);
  if (error == std::errc() && stopped == end && number >= 1 && number <= listed_.size()) {
    return Open(std::string(listed_[number - 1]), now);
  }
  std::vector<std::string> found;
  for (const auto& [id, chat] : chats_) {
    if (chat.title == typed.text) found.push_back(id);
  }
  if (found.size() == 1) return Open(found[0], now);
  if (found.size() > 1) {
    return terminal_->Bad(now.unix_ms, fmt::format("{} chats are called so: open it by its number "
                                                   "in /chats, or its id",
                                                   found.size()));
  }
  if (listed) {
    return terminal_->Bad(now.unix_ms, "no chat \"" + Shorten(typed.text, kGlimpse) + "\"");
  }
  AskAbout(typed, now);
}

void Chat::Watch(const std::string& uid) {
  if (watched_.contains(uid)) return;
  if (watched_.size() >= kMostWatched) {
    return terminal_->Plain(fmt::format("✗ {} people are watched already", kMostWatched));
  }
  watched_.emplace(uid, false);
  device_.brain().Watch(uid);
}

void Chat::Finish(Now now) {
  if (replaced_) return End(false, now);
  if (!ending_) return;
  const auto& cursor = device_.brain().cursor();
  const bool owes = device_.online() && cursor.acked() < cursor.held();
  const bool settled = lines_.empty() && unanswered_.empty() && asked_.empty();
  // Even who says nothing wants to know whether they could have.
  const bool tried = ever_online_ || told_down_;
  if ((settled && tried && !owes) || now.mono_ms >= end_by_ms_) End(settled && ever_online_, now);
}

void Chat::End(bool good, Now now) {
  ShowEarly();
  done_ = true;
  good_ = good;
  device_.GoOffline(now);
  if (!ever_online_) terminal_->Bad(now.unix_ms, "there never was a connection");
  for (const auto& [id, glimpse] : unanswered_) {
    terminal_->Bad(now.unix_ms, "not known to be sent: " + glimpse);
  }
  for (const auto& line : lines_) {
    terminal_->Bad(now.unix_ms, "not sent: " + Shorten(line, kGlimpse));
  }
  if (!asked_.empty()) {
    terminal_->Bad(now.unix_ms, fmt::format("{} questions were not answered", asked_.size()));
  }
}

}  // namespace nightjar::client
