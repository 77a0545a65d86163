// How a person behaves: what they would say and how long they take, decided by a seed alone.
//
// Pure; one owner. The same seed gives the same person on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/dice.h"

namespace nightjar::client {

using nightjar::Dice;

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
