// Text between people and a terminal. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nightjar::client {

bool ValidUtf8(std::string_view text);

// `text` as it may be shown: what other people wrote must not move the cursor, ring the bell or
// change colours. Control characters become U+FFFD, new lines are indented, tabs are kept.
std::string Harmless(std::string_view text);

// At most `chars` characters in one line, with "…" if something was left out. Harmless as well.
std::string Shorten(std::string_view text, size_t chars);

// "3 s", "12 min", "5 h", "9 days".
std::string Span(int64_t ms);

// Bytes as they are read, in pieces of any size, cut into lines. Bounded: of a line longer than
// `most` the beginning is told as too long, and the rest dropped.
class LineSplitter {
 public:
  explicit LineSplitter(size_t most) : most_(most) {}

  struct Line {
    std::string text;  // without the line's end; "\r\n" counts as one
    bool too_long = false;
  };
  void Put(std::string_view bytes) { pending_ += bytes; }
  std::optional<Line> Next();
  // The last line, if it had no end.
  std::optional<Line> Rest();

 private:
  Line Make(std::string text);

  size_t most_;
  std::string pending_;
  bool dropping_ = false;
};

}  // namespace nightjar::client
