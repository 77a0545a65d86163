#include "client-sim/report/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

namespace nightjar::report {
namespace {

std::string Grouped(std::string digits) {
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

}  // namespace

std::string Count(uint64_t count) { return Grouped(std::to_string(count)); }

std::string Figure(double value) {
  if (value < 0) return "-" + Figure(-value);
  if (!(value < 1e15)) return fmt::format("{:.2e}", value);
  if (value == 0) return "0";
  if (value < 0.001) return fmt::format("{:.1g}", value);
  if (value < 1) return fmt::format("{:.3f}", value);
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return Grouped(fmt::format("{:.0f}", value));
}

std::string Megabytes(double bytes) { return Figure(bytes / 1e6) + " MB"; }

std::string Percent(double share) { return Figure(share * 100) + " %"; }

std::string Duration(double seconds) {
  if (!(seconds >= 0 && seconds < 1e12)) return Figure(seconds) + " s";
  if (seconds < 120) return Figure(std::round(seconds * 10) / 10) + " s";
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 7200) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string UtcTime(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm utc{};
  char text[64];
  if (gmtime_r(&seconds, &utc) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0) {
    return std::to_string(unix_ms);
  }
  return text;
}

std::string EscapeHtml(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        // No page may hold the other control characters.
        safe += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return safe;
}

std::string OneLine(std::string_view text) {
  std::string safe(text);
  std::replace_if(
      safe.begin(), safe.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return safe;
}

}  // namespace nightjar::report
