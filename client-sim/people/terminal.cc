#include "client-sim/people/terminal.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace nightjar::client {
namespace {
constexpr const char* kDim = "2";
constexpr const char* kGreen = "32";
constexpr const char* kRed = "31";
constexpr const char* kYellow = "33";
constexpr size_t kTalkWidth = 22;  // "alice → Friday dinner"
constexpr size_t kTextWidth = 42;

// Pads by characters, not bytes (names and arrows may be UTF-8).
std::string Pad(const std::string& text, size_t width) {
  size_t chars = 0;
  for (const char c : text) chars += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return chars >= width ? text : text + std::string(width - chars, ' ');
}
}  // namespace

bool Terminal::WantsColours() {
  return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
}

std::string Terminal::Paint(const std::string& text, const char* code) const {
  return colours_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
}

std::string Terminal::PaintName(const std::string& name) const {
  static constexpr const char* kNames[] = {"1;36", "1;35", "1;34", "1;33", "1;32", "1;31"};
  size_t sum = 0;
  for (const char c : name) sum = sum * 31 + static_cast<unsigned char>(c);
  return Paint(name, kNames[sum % std::size(kNames)]);
}

void Terminal::Stamp(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  out_ << Paint(fmt::format("{:%H:%M:%S}.{:03}", fmt::localtime(seconds), unix_ms % 1000), kDim)
       << "  ";
}

void Terminal::Message(int64_t unix_ms, const std::string& who, const std::string& where,
                       const std::string& text) {
  Stamp(unix_ms);
  const std::string rest = Pad(" → " + where, kTalkWidth - std::min(kTalkWidth, who.size()));
  out_ << PaintName(who) << Paint(rest, kDim) << "  " << Pad(text, kTextWidth) << " "
       << Paint("✓", kDim) << std::endl;
}

void Terminal::Delivered(int64_t unix_ms, const std::string& who, const std::string& where,
                         const std::string& to_whom, const std::string& text) {
  Stamp(unix_ms);
  const std::string rest = Pad(" → " + where, kTalkWidth - std::min(kTalkWidth, who.size()));
  out_ << Paint(who + rest + "  " + Pad(text, kTextWidth), kDim) << " " << Paint("✓✓", kGreen)
       << Paint(" " + to_whom, kDim) << std::endl;
}

void Terminal::Said(int64_t unix_ms, const std::string& where, const std::string& who,
                    const std::string& text) {
  Stamp(unix_ms);
  if (!where.empty()) out_ << Paint("[" + where + "] ", kDim);
  out_ << PaintName(who) << ": " << text << std::endl;
}

void Terminal::Mark(int64_t unix_ms, const std::string& to_whom, const std::string& text) {
  Stamp(unix_ms);
  if (to_whom.empty()) {
    out_ << Paint("✓ " + text, kDim) << std::endl;
  } else {
    out_ << Paint("✓✓ ", kGreen) << Paint(to_whom + " has: " + text, kDim) << std::endl;
  }
}

void Terminal::Presence(int64_t unix_ms, const std::string& who, bool online) {
  Stamp(unix_ms);
  out_ << (online ? Paint("●", kGreen) : Paint("○", kDim)) << " " << PaintName(who)
       << (online ? " is online" : " is offline") << std::endl;
}

void Terminal::Note(int64_t unix_ms, const std::string& text) {
  Stamp(unix_ms);
  out_ << Paint("· " + text, kYellow) << std::endl;
}

void Terminal::Bad(int64_t unix_ms, const std::string& text) {
  Stamp(unix_ms);
  out_ << Paint("✗ " + text, kRed) << std::endl;
}

void Terminal::Plain(const std::string& text) { out_ << text << std::endl; }

}  // namespace nightjar::client
