// How figures are written for people, on the page and in compare's lines. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nightjar::report {

std::string Count(uint64_t count);     // 1,234,567
std::string Figure(double value);      // three digits that matter: 0.0123, 1.23, 123, 12,300
std::string Megabytes(double bytes);   // "12.3 MB", of 10^6 bytes
std::string Percent(double share);     // of 1: "12.3 %"
std::string Duration(double seconds);  // "45 s", "2 min 5 s"
std::string UtcTime(int64_t unix_ms);  // "2026-11-22 18:55:13 UTC"

// For text and for attribute values in double quotes.
std::string EscapeHtml(std::string_view text);

// One line for a terminal: control characters (escape sequences too) become '?'.
std::string OneLine(std::string_view text);

}  // namespace nightjar::report
