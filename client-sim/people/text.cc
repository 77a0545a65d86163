#include "client-sim/people/text.h"

#include <utility>

namespace nightjar::client {
namespace {

constexpr const char* kReplacement = "\xef\xbf\xbd";

// The character that `text` begins with: its bytes, and its number. No bytes: not UTF-8.
struct Character {
  size_t bytes = 0;
  uint32_t number = 0;
};
Character First(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return {1, byte(0)};
  const size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < size) return {};
  uint32_t number = byte(0) & (0xffU >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    number = number << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = number >= 0xd800 && number <= 0xdfff;
  if (number < kLeast[size] || number > 0x10ffff || surrogate) return {};
  return {size, number};
}

// C0, DEL and C1; and what turns the direction of writing, which can disguise who said what.
bool Controls(uint32_t number) {
  return number < 0x20 || (number >= 0x7f && number < 0xa0) ||
         (number >= 0x202a && number <= 0x202e) || (number >= 0x2066 && number <= 0x2069);
}

}  // namespace

bool ValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const Character c = First(text);
    if (c.bytes == 0) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

std::string Harmless(std::string_view text) {
  std::string harmless;
  while (!text.empty()) {
    const Character c = First(text);
    if (c.number == '\n' && c.bytes == 1) {
      harmless += "\n              ";
    } else if (c.bytes == 0 || (Controls(c.number) && c.number != '\t')) {
      harmless += kReplacement;
    } else {
      harmless += text.substr(0, c.bytes);
    }
    text.remove_prefix(c.bytes == 0 ? 1 : c.bytes);
  }
  return harmless;
}

std::string Shorten(std::string_view text, size_t chars) {
  std::string line;
  for (size_t count = 0; !text.empty(); ++count) {
    if (count == chars) return line + "…";
    const Character c = First(text);
    const bool shown = c.bytes > 0 && !Controls(c.number);
    line += shown ? text.substr(0, c.bytes) : std::string_view(" ");
    text.remove_prefix(c.bytes == 0 ? 1 : c.bytes);
  }
  return line;
}

std::string Span(int64_t ms) {
  const int64_t seconds = ms / 1000;
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 2 * 3600) return std::to_string(seconds / 60) + " min";
  if (seconds < 48 * 3600) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / (24 * 3600)) + " days";
}

LineSplitter::Line LineSplitter::Make(std::string text) {
  if (!text.empty() && text.back() == '\r') text.pop_back();
  const bool too_long = text.size() > most_;
  if (too_long) text.resize(most_);
  return {std::move(text), too_long};
}

std::optional<LineSplitter::Line> LineSplitter::Next() {
  for (;;) {
    const size_t end = pending_.find('\n');
    if (end == std::string::npos && pending_.size() <= most_ + 1) return std::nullopt;
    std::string text = pending_.substr(0, end);
    pending_.erase(0, end == std::string::npos ? end : end + 1);
    const bool rest_of_a_long_one = dropping_;
    dropping_ = end == std::string::npos;
    if (!rest_of_a_long_one) return Make(std::move(text));
  }
}

std::optional<LineSplitter::Line> LineSplitter::Rest() {
  if (pending_.empty() || dropping_) return std::nullopt;
  return Make(std::exchange(pending_, {}));
}

}  // namespace nightjar::client
