// Everything that happens in a world passes here: into a hash always (two runs of a seed must have
// the same), onto a stream if one is given.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace nightjar::worlds {

class Trace {
 public:
  explicit Trace(std::ostream* out) : out_(out) {}

  void Mix(uint64_t value) {
    hash_ = (hash_ ^ value) * 0x100000001b3;
    hash_ ^= hash_ >> 29;
  }
  void Mix(std::string_view bytes) { Mix(std::hash<std::string_view>{}(bytes)); }
  // `what` names the kind; a and b are whatever tells events apart.
  void Note(int64_t now, std::string_view what, uint64_t a = 0, uint64_t b = 0,
            std::string_view bytes = {}) {
    Mix(static_cast<uint64_t>(now));
    Mix(what);
    Mix(a);
    Mix(b);
    if (!bytes.empty()) Mix(bytes);
  }

  bool printing() const { return out_ != nullptr; }
  template <typename... Args>
  void Print(int64_t now, fmt::format_string<Args...> format, Args&&... args) {
    if (out_ == nullptr) return;
    *out_ << fmt::format("{:>8.3f} ", static_cast<double>(now - 1'000'000) / 1000)
          << fmt::format(format, std::forward<Args>(args)...) << '\n';
  }

  uint64_t hash() const { return hash_; }

 private:
  std::ostream* out_;
  uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace nightjar::worlds
