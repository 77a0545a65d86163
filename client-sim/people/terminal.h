// Lines for people to read: a time, who, what, and marks; coloured where the terminal takes
// colours.
//
// One owner. Writes to a std::ostream; a closed pipe is the stream's affair.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

namespace nightjar::client {

class Terminal {
 public:
  Terminal(std::ostream& out, bool colours) : out_(out), colours_(colours) {}
  // Colours if standard output is a terminal and NO_COLOR is not set.
  static bool WantsColours();

  // A message that the chat holds: "16:20:01.123  alice → bob  text  ✓".
  void Message(int64_t unix_ms, const std::string& who, const std::string& where,
               const std::string& text);
  // All have it: "✓✓".
  void Delivered(int64_t unix_ms, const std::string& who, const std::string& where,
                 const std::string& to_whom, const std::string& text);
  // In one person's own terminal: "16:20:01.123  [Friday dinner] bob: text"; no `where`: the chat
  // that is open.
  void Said(int64_t unix_ms, const std::string& where, const std::string& who,
            const std::string& text);
  // "16:20:01.123  ✓ text", and with everybody who has it "✓✓ bob: text".
  void Mark(int64_t unix_ms, const std::string& to_whom, const std::string& text);
  void Presence(int64_t unix_ms, const std::string& who, bool online);
  // What happens around the talk.
  void Note(int64_t unix_ms, const std::string& text);
  void Bad(int64_t unix_ms, const std::string& text);
  void Plain(const std::string& text);

 private:
  void Stamp(int64_t unix_ms);
  std::string Paint(const std::string& text, const char* code) const;
  std::string PaintName(const std::string& name) const;

  std::ostream& out_;
  bool colours_;
};

}  // namespace nightjar::client
