#include "notifier/core/preview.h"

#include <array>
#include <cctype>

namespace nightjar::notify {
namespace {

constexpr std::string_view kEllipsis = "\xe2\x80\xa6";
constexpr char32_t kDamaged = 0xfffd;

struct Char {
  char32_t code = kDamaged;
  size_t bytes = 1;  // in the text
};

// REQUIRES: at < text.size().
Char CharAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + bytes > text.size()) return {};
  char32_t code = first & (0xff >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kLeast[bytes] || code > 0x10ffff || surrogate) return {};
  return {code, bytes};
}

size_t JsonBytesOf(const Char& c) {
  if (c.code == kDamaged) return 3;
  if (c.code == '"' || c.code == '\\') return 2;
  if (c.code == '\n' || c.code == '\t' || c.code == '\r' || c.code == '\b' || c.code == '\f') {
    return 2;
  }
  return c.code < 0x20 ? 6 : c.bytes;
}

bool LeftOut(char32_t c) { return (c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0); }

// Does it belong to the character before it?
bool Extends(char32_t c) {
  return (c >= 0x300 && c <= 0x36f) || (c >= 0x1ab0 && c <= 0x1aff) ||
         (c >= 0x20d0 && c <= 0x20ff) || c == 0x200d || (c >= 0xfe00 && c <= 0xfe0f) ||
         (c >= 0x1f3fb && c <= 0x1f3ff);
}

void Append(std::string& out, std::string_view text, size_t at, const Char& c) {
  if (c.code == kDamaged) {
    out += "\xef\xbf\xbd";
  } else {
    out += text.substr(at, c.bytes);
  }
}

struct Words {
  std::string_view language, one, many;  // many: after the number and a space
};
constexpr std::array<Words, 8> kWords = {{
    {"en", "New message", "new messages"},
    {"de", "Neue Nachricht", "neue Nachrichten"},
    {"es", "Mensaje nuevo", "mensajes nuevos"},
    {"fr", "Nouveau message", "nouveaux messages"},
    {"it", "Nuovo messaggio", "nuovi messaggi"},
    {"nl", "Nieuw bericht", "nieuwe berichten"},
    {"pt", "Nova mensagem", "novas mensagens"},
    {"sv", "Nytt meddelande", "nya meddelanden"},
}};

}  // namespace

size_t JsonBytes(std::string_view text) {
  size_t bytes = 0;
  for (size_t at = 0; at < text.size();) {
    const Char c = CharAt(text, at);
    bytes += JsonBytesOf(c);
    at += c.bytes;
  }
  return bytes;
}

std::string CutForJson(std::string_view text, size_t most) {
  std::string out;
  size_t used = 0;
  size_t cut = 0;  // where `out` may end, with room for the ellipsis behind it
  bool joined = false;
  for (size_t at = 0; at < text.size();) {
    const Char c = CharAt(text, at);
    if (!LeftOut(c.code)) {
      const bool boundary = !joined && !Extends(c.code);
      if (boundary && used + kEllipsis.size() <= most) cut = out.size();
      used += JsonBytesOf(c);
      if (used > most) {
        if (cut == 0) return "";
        return out.substr(0, cut).append(kEllipsis);
      }
      Append(out, text, at, c);
      joined = c.code == 0x200d;
    }
    at += c.bytes;
  }
  return out;
}

std::string GenericText(std::string_view language, uint32_t count) {
  std::string first;
  for (const char c : language.substr(0, language.find('-'))) {
    first += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const Words* words = kWords.data();
  for (const Words& candidate : kWords) {
    if (candidate.language == first) words = &candidate;
  }
  if (count <= 1) return std::string(words->one);
  return std::to_string(count).append(" ").append(words->many);
}

}  // namespace nightjar::notify
