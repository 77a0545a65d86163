#include "client-sim/chaos/schedule.h"

#include <algorithm>
#include <tuple>

#include "common/base/dice.h"

namespace nightjar::chaos {
namespace {

// Time is cut into rounds of equal length; in each round every process is hurt once. That gives
// every process its share whatever the dice say.
struct Rounds {
  int64_t kills = 0, others = 0;
  int64_t round_ms = 0;

  int64_t count() const { return kills + others; }
};

Rounds RoundsFor(int64_t length_ms) {
  constexpr int64_t kShortestRoundMs = 2'000;
  Rounds rounds;
  rounds.kills = std::max<int64_t>(2, length_ms / 11'000 + 1);
  rounds.others = std::max<int64_t>(1, rounds.kills / 2);
  rounds.others =
      std::clamp<int64_t>(rounds.others, 0, length_ms / kShortestRoundMs - rounds.kills);
  rounds.round_ms = length_ms / rounds.count();
  return rounds;
}

// What happens to one process, round by round.
std::vector<Hurt> Deck(const Rounds& rounds, Dice& dice) {
  std::vector<Hurt> deck(static_cast<size_t>(rounds.kills), Hurt::kKill);
  for (int64_t i = 0; i < rounds.others; ++i) {
    deck.push_back(dice.Below(3) == 0 ? Hurt::kStop : Hurt::kPause);
  }
  for (size_t left = deck.size(); left > 1; --left) {
    std::swap(deck[left - 1], deck[dice.Below(left)]);
  }
  return deck;
}

// Mostly short, as supervisors are quick; sometimes long enough that clients and sends give up.
int64_t Lasting(Hurt hurt, Dice& dice) {
  const bool longer = dice.Below(4) == 0;
  switch (hurt) {
    case Hurt::kKill:
    case Hurt::kStop:
      return longer ? dice.Between(1'500, 5'000) : dice.Between(0, 1'000);
    case Hurt::kPause:
      return longer ? dice.Between(2'000, 7'000) : dice.Between(50, 1'500);
  }
  return 0;
}

}  // namespace

std::string_view NameOf(Hurt hurt) {
  switch (hurt) {
    case Hurt::kKill:
      return "kill -9";
    case Hurt::kPause:
      return "pause";
    case Hurt::kStop:
      return "clean stop";
  }
  return "?";
}

std::vector<Fault> MakeSchedule(const ScheduleOptions& options) {
  std::vector<Fault> faults;
  if (options.processes == 0 || options.length_ms < kShortestMs) return faults;
  Dice dice(options.seed);
  const Rounds rounds = RoundsFor(options.length_ms);
  std::vector<std::vector<Hurt>> decks;
  for (size_t i = 0; i < options.processes; ++i) decks.push_back(Deck(rounds, dice));

  const int64_t latest_ms = rounds.round_ms / 2;  // in a round, so that something is left to last
  for (int64_t round = 0; round < rounds.count(); ++round) {
    const bool at_once = dice.Below(4) == 0;
    const int64_t common_ms = dice.Between(0, latest_ms);
    for (size_t process = 0; process < options.processes; ++process) {
      const Hurt hurt = decks[process][static_cast<size_t>(round)];
      const int64_t own_ms = dice.Between(0, latest_ms);
      // Some sit out what hurts the others at once: pairs are as interesting as all together.
      const bool joins = at_once && dice.Below(3) != 0;
      const int64_t offset_ms = joins ? common_ms : own_ms;
      const int64_t most_ms = rounds.round_ms - offset_ms - kBreathMs;
      faults.push_back({.at_ms = round * rounds.round_ms + offset_ms,
                        .lasts_ms = std::min(Lasting(hurt, dice), most_ms),
                        .process = process,
                        .hurt = hurt});
    }
  }
  std::sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) {
    return std::tie(a.at_ms, a.process) < std::tie(b.at_ms, b.process);
  });
  return faults;
}

}  // namespace nightjar::chaos
