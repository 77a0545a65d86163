#include "client-sim/people/chat_commands.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "client-sim/people/text.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"

namespace nightjar::client {
namespace {

using Verb = Typed::Verb;

struct Entry {
  std::string_view name;
  Verb verb;
  std::string_view usage, says;
};
constexpr std::array kEntries = {
    Entry{"/to", Verb::kTo, "/to UID", "talk to one person from now on"},
    Entry{"/open", Verb::kOpen, "/open CHAT",
          "a chat by its id, its title, or its number in /chats"},
    Entry{"/new", Verb::kNew, "/new TITLE UID...", "a new group (\"a title with spaces\")"},
    Entry{"/chats", Verb::kChats, "/chats", "your chats, newest first"},
    Entry{"/history", Verb::kHistory, "/history [N]", "the last N messages here (20)"},
    Entry{"/members", Verb::kMembers, "/members", "who is in this chat"},
    Entry{"/who", Verb::kWho, "/who [UID...]", "are they online (your partner)"},
    Entry{"/watch", Verb::kWatch, "/watch UID...", "tell me when they come and go"},
    Entry{"/add", Verb::kAdd, "/add UID...", "into this group"},
    Entry{"/remove", Verb::kRemove, "/remove UID...", "out of this group"},
    Entry{"/leave", Verb::kLeave, "/leave", "this group"},
    Entry{"/mute", Verb::kMute, "/mute [MINUTES|off]", "no push from this chat (for ever)"},
    Entry{"/help", Verb::kHelp, "/help", "this; Ctrl-R shows what you have typed so far"},
    Entry{"/quit", Verb::kQuit, "/quit", "the same as Ctrl-D"},
};

Typed Bad(std::string why) { return {Verb::kBad, std::move(why), {}, 0}; }

// Words between spaces; "several words" in quotation marks are one. False: no closing mark.
bool SplitWords(std::string_view text, std::vector<std::string>& words) {
  while (true) {
    const size_t from = text.find_first_not_of(' ');
    if (from == std::string_view::npos) return true;
    text.remove_prefix(from);
    const bool quoted = text.front() == '"';
    if (quoted) text.remove_prefix(1);
    const size_t end = text.find(quoted ? '"' : ' ');
    if (quoted && end == std::string_view::npos) return false;
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

bool ParseNumber(const std::string& word, int64_t least, int64_t most, int64_t& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size() && number >= least &&
         number <= most;
}

Typed Uids(Typed typed, size_t least, size_t most, std::string_view usage) {
  if (typed.words.size() < least) return Bad("it is " + std::string(usage));
  if (typed.words.size() > most) return Bad("at most " + std::to_string(most) + " at once");
  for (const auto& uid : typed.words) {
    if (ValidUid(uid)) continue;
    return Bad("\"" + Shorten(uid, 64) + "\" is no user id (letters, digits, _ . -, up to 64)");
  }
  return typed;
}

Typed Say(std::string_view text) {
  if (text.size() > limits::kText) {
    return Bad("too long: " + std::to_string(text.size()) + " bytes, at most " +
               std::to_string(limits::kText));
  }
  return {Verb::kSay, std::string(text), {}, 0};
}

Typed ParseMute(Typed typed, std::string_view usage) {
  constexpr int64_t kYear = 365 * 24 * 60;
  if (typed.words.size() > 1) return Bad("it is " + std::string(usage));
  typed.number = -1;
  if (typed.words.empty()) return typed;
  if (typed.words[0] == "off") {
    typed.number = 0;
  } else if (!ParseNumber(typed.words[0], 1, kYear, typed.number)) {
    return Bad("minutes from 1 to " + std::to_string(kYear) + ", or off");
  }
  return typed;
}

Typed ParseCommand(const Entry& entry, std::string_view rest) {
  Typed typed;
  typed.verb = entry.verb;
  if (entry.verb == Verb::kOpen) {
    while (rest.ends_with(' ')) rest.remove_suffix(1);
    if (rest.empty()) return Bad("it is " + std::string(entry.usage));
    typed.text = rest;
    return typed;
  }
  if (!SplitWords(rest, typed.words)) return Bad("a quotation mark is not closed");
  switch (entry.verb) {
    case Verb::kTo:
      return Uids(std::move(typed), 1, 1, entry.usage);
    case Verb::kNew:
      if (typed.words.empty()) return Bad("it is " + std::string(entry.usage));
      typed.text = typed.words.front();
      typed.words.erase(typed.words.begin());
      if (typed.text.size() > limits::kTitle) {
        return Bad("a title has at most " + std::to_string(limits::kTitle) + " bytes");
      }
      return Uids(std::move(typed), 0, limits::kChangeUids, entry.usage);
    case Verb::kWho:
      return Uids(std::move(typed), 0, limits::kPresenceUids, entry.usage);
    case Verb::kWatch:
    case Verb::kAdd:
    case Verb::kRemove:
      return Uids(std::move(typed), 1, limits::kChangeUids, entry.usage);
    case Verb::kHistory:
      typed.number = 20;
      if (typed.words.size() > 1 ||
          (typed.words.size() == 1 &&
           !ParseNumber(typed.words[0], 1, limits::kHistoryMost, typed.number))) {
        return Bad("how many: 1 to " + std::to_string(limits::kHistoryMost));
      }
      return typed;
    case Verb::kMute:
      return ParseMute(std::move(typed), entry.usage);
    default:
      if (!typed.words.empty()) return Bad(std::string(entry.usage) + " takes nothing more");
      return typed;
  }
}

}  // namespace

Typed ParseTyped(std::string_view line) {
  if (line.find_first_not_of(" \t") == std::string_view::npos) return {};
  if (!ValidUtf8(line)) return Bad("not sent: this is not UTF-8");
  if (line.front() != '/') return Say(line);
  if (line.starts_with("//")) return Say(line.substr(1));
  const size_t end = line.find(' ');
  const std::string_view name = line.substr(0, end);
  for (const auto& entry : kEntries) {
    if (entry.name != name) continue;
    std::string_view rest = end == std::string_view::npos ? "" : line.substr(end);
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    return ParseCommand(entry, rest);
  }
  return Bad("no command " + Shorten(name, 32) + "; /help lists them, //... sends a text with a /");
}

std::vector<std::string> ChatHelp() {
  constexpr size_t kWidth = 22;
  std::vector<std::string> lines;
  for (const auto& entry : kEntries) {
    std::string line = "  " + std::string(entry.usage);
    line.resize(std::max(line.size() + 1, kWidth), ' ');
    lines.push_back(line + std::string(entry.says));
  }
  lines.emplace_back(
      "  anything else         is sent to the open chat (//... for a text with a /)");
  return lines;
}

}  // namespace nightjar::client
