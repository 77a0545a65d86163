#include "notifier/gateways/http.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace nightjar::notify {

int64_t RetryAfterMs(const std::string& header, int64_t now_ms) {
  constexpr int64_t kMostMs = int64_t{24} * 3600 * 1000;
  int64_t seconds = 0;
  const char* const end = header.data() + header.size();
  const auto [rest, error] = std::from_chars(header.data(), end, seconds);
  if (error == std::errc::result_out_of_range && rest == end) return header[0] == '-' ? 0 : kMostMs;
  if (error == std::errc() && rest == end) {
    return std::clamp(seconds, int64_t{0}, kMostMs / 1000) * 1000;
  }
  std::tm date{};
  const char* const read = strptime(header.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (read == nullptr || *read != '\0') return 0;
  return std::clamp(static_cast<int64_t>(timegm(&date)) * 1000 - now_ms, int64_t{0}, kMostMs);
}

std::string Reason(int status, const std::string& reason) {
  std::string text = std::to_string(status);
  if (reason.empty()) return text;
  text += ' ';
  for (const char c : reason.substr(0, 64)) text += c >= 0x20 && c < 0x7f ? c : '?';
  return text;
}

}  // namespace nightjar::notify
