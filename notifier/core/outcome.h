// What became of a message for somebody who was away (G7). Each (user, message) that is owed ends
// in exactly one of these, and each is counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nightjar::notify {

enum class Outcome : uint8_t {
  kSent,            // a gateway took a notification that covers it, for at least one device
  kAcknowledged,    // suppressed: a device of the user has it by now
  kMuted,           // suppressed: the user muted the chat
  kOptedOut,        // suppressed: the user quieted every device that could be told
  kNoRegistration,  // suppressed: no device is registered for push
  kNoGateway,       // suppressed: registered only for gateways that are not configured here
  kExpired,         // too old when its turn came, or no longer in the inbox
  kDeadToken,       // every device that could be told has a token that the gateway no longer knows
  kFailed,          // failed for good
};
inline constexpr size_t kOutcomes = 9;

// Names for counters and logs.
constexpr std::string_view OutcomeName(Outcome outcome) {
  constexpr std::array<std::string_view, kOutcomes> names = {
      "sent",       "acknowledged", "muted",      "opted_out", "no_registration",
      "no_gateway", "expired",      "dead_token", "failed"};
  return names[static_cast<size_t>(outcome)];
}

struct Tally {
  std::array<uint64_t, kOutcomes> counts{};

  void Add(Outcome outcome, uint64_t n = 1) { counts[static_cast<size_t>(outcome)] += n; }
  uint64_t Of(Outcome outcome) const { return counts[static_cast<size_t>(outcome)]; }
  uint64_t Total() const {
    uint64_t total = 0;
    for (const uint64_t count : counts) total += count;
    return total;
  }
  Tally& operator+=(const Tally& other) {
    for (size_t i = 0; i < kOutcomes; ++i) counts[i] += other.counts[i];
    return *this;
  }
  friend bool operator==(const Tally&, const Tally&) = default;
};

}  // namespace nightjar::notify
