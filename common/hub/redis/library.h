// The text of the Redis function library, built into the binary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace nightjar::hub {

// What keys and fields look like. Another number: another hub, which this program must not touch.
inline constexpr uint64_t kLayoutVersion = 2;
// Raise it with every change to common/hub/functions/ that leaves a build. The newest one wins on a hub
// that several versions use: functions must keep serving the arguments of older callers of the layout.
inline constexpr uint64_t kLibraryVersion = 7;

struct LibraryPart {
  const char* name;
  const char* text;
};
extern const LibraryPart kLibraryParts[];  // generated
extern const size_t kLibraryPartCount;
extern const char kTestClock[];
extern const char kTestOnePartition[];

// The whole text for FUNCTION LOAD. `version` and `clock` (the text of clock.lua) differ in tests only.
std::string LibraryText(uint64_t version = kLibraryVersion, const char* clock = nullptr);

// What the server's nj_version says, compared with the text we would load.
struct LibraryState {
  uint64_t layout = 0, version = 0;
  std::string digest;
};
LibraryState StateOf(const std::string& text);
// REQUIRES: the same layout. True if the one there is older, or is another build of the same version.
bool ShouldReplace(const LibraryState& there, const LibraryState& ours);

}  // namespace nightjar::hub
