// How processes divide partitions among themselves without talking about it: each goes to the one
// that weighs most for it. Who comes or goes moves only what becomes or was theirs.
#pragma once

#include <cstdint>
#include <string_view>

namespace nightjar {

// The same in every process of every build: FNV-1a, and a finisher that spreads it.
inline uint64_t ShareWeight(uint32_t partition, std::string_view who) {
  uint64_t hash = 14695981039346656037ULL;
  const auto add = [&](uint8_t byte) { hash = (hash ^ byte) * 1099511628211ULL; };
  for (int shift = 0; shift < 32; shift += 8) add(static_cast<uint8_t>(partition >> shift));
  for (const char c : who) add(static_cast<uint8_t>(c));
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdULL;
  return hash ^ (hash >> 29);
}

}  // namespace nightjar
