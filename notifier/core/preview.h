// Text for notifications: cut to what fits, and the words where nothing may be shown.
// Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nightjar::notify {

// How many bytes `text` (UTF-8; what is not counts as one U+FFFD a byte) takes inside a JSON
// string, as nlohmann::json writes it.
size_t JsonBytes(std::string_view text);

// `text`, or as much of its beginning as takes at most `most` bytes inside a JSON string, ended
// with an ellipsis. Cut between characters: not within one, nor between one and the marks, joiners
// and skin tones that belong to it. Control characters other than line breaks are left out. Empty
// if not even one character fits.
std::string CutForJson(std::string_view text, size_t most);

// "New message", "3 new messages" in a language (BCP 47; the first subtag decides; English for
// those that are not known).
std::string GenericText(std::string_view language, uint32_t count);

}  // namespace nightjar::notify
