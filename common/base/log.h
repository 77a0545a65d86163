// Log lines of the sidecars and tools, all in one format, to standard error:
//   2026-01-31T12:00:00.123Z warning persister: journal 7 is 1200 records behind
// One event, one line. Never a message's text or a token. (The plugin logs through the broker.)
//
// Threads: Start once, before others; the rest from any thread.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace nightjar::log {

enum class Level { kDebug, kInfo, kNotice, kWarning, kError };

// "debug", "info", "notice", "warning", "error"; nothing for other names.
std::optional<Level> ParseLevel(std::string_view name);

// Names the component and the lowest level that is written. Before Start: "nightjar", kInfo.
void Start(std::string_view component, Level level);

bool Enabled(Level level);

// Control characters, which could forge a second line, are written as '?'.
void Line(Level level, std::string_view text);

template <typename... Args>
void Write(Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(level)) Line(level, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kDebug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kInfo, format, std::forward<Args>(args)...);
}
template <typename... Args>
void Notice(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kNotice, format, std::forward<Args>(args)...);
}
template <typename... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kWarning, format, std::forward<Args>(args)...);
}
template <typename... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kError, format, std::forward<Args>(args)...);
}

}  // namespace nightjar::log
