// How a person behaves: what they would say and how long they take, decided by a seed alone.
//
// Pure; one owner. The same seed gives the same person on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nightjar::client {

// A small generator whose sequence is ours, not the standard library's: runs are repeatable.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // 0 .. n - 1. REQUIRES: n > 0.
  uint64_t Below(uint64_t n) { return Next() % n; }
  // Both ends included.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low + 1)));
  }

 private:
  uint64_t state_;
};

// One thing somebody does in a script.
struct Beat {
  enum class Kind { kDirect, kGroup, kLeave, kReturn };
  int64_t at_ms = 0;  // from the start of the script
  Kind kind = Kind::kDirect;
  std::string who;
  std::string to;  // kDirect
  std::string text;
};

// The people of the demo and what they do: `people[0]` and `people[1]` talk in private, all five in
// a group; people[1] is away in the middle. About 20 s, in the order of at_ms.
struct Script {
  std::vector<std::string> people;
  std::string group_title;
  std::vector<Beat> beats;
};
Script WriteScript(uint64_t seed);

}  // namespace nightjar::client
