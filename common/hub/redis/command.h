// Commands in the Redis protocol. Not shared between threads.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/hub/keys.h"

namespace nightjar::hub {

// Collects the arguments of one command, then appends it whole. Reused from command to command.
class CommandWriter {
 public:
  explicit CommandWriter(bool in_cluster = false) : in_cluster_(in_cluster) {}

  // A call of a function: FCALL `function` with one key, the one that decides where it runs.
  //
  // In a Cluster it names two more of the same slot, one that exists and one that never does. So
  // while the slot's keys are on their way from one server to another, neither has all of them and
  // every call is turned away: a function finds the whole of its partition, and calls keep their
  // order.
  CommandWriter& Function(std::string_view function, std::string_view key) {
    Clear();
    Arg("FCALL").Arg(function);
    if (!in_cluster_) return Arg("1").Arg(key);
    const size_t open = key.find('{');
    const std::string tail(key.substr(open + 1, key.find('}') - open));
    return Arg("3").Arg(key).Arg(keys::Join(keys::kHub, tail)).Arg(keys::Join(keys::kNever, tail));
  }
  CommandWriter& Clear() {
    body_.clear();
    count_ = 0;
    return *this;
  }
  CommandWriter& Arg(std::string_view value) {
    Number('$', value.size());
    body_.append(value).append("\r\n");
    ++count_;
    return *this;
  }
  CommandWriter& Arg(const char* value) { return Arg(std::string_view(value)); }
  CommandWriter& Arg(const std::string& value) { return Arg(std::string_view(value)); }
  CommandWriter& Arg(uint64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value);
    return Arg(std::string_view(digits, static_cast<size_t>(end.ptr - digits)));
  }
  CommandWriter& Arg(int64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value);
    return Arg(std::string_view(digits, static_cast<size_t>(end.ptr - digits)));
  }
  void AppendTo(std::string& out) const {
    out.push_back('*');
    out.append(std::to_string(count_)).append("\r\n").append(body_);
  }

 private:
  void Number(char kind, uint64_t n) {
    char digits[24];
    digits[0] = kind;
    const auto end = std::to_chars(digits + 1, digits + sizeof digits, n);
    body_.append(digits, static_cast<size_t>(end.ptr - digits)).append("\r\n");
  }

  const bool in_cluster_;
  std::string body_;
  uint64_t count_ = 0;
};

}  // namespace nightjar::hub
