#include "client-sim/people/user.h"

#include <algorithm>
#include <array>

namespace nightjar::client {
namespace {

struct Line {
  int who;  // index of the speaker
  const char* text;
};

// Private talk: 0 and 1 take turns. The last three are written while 1 is away; then 1 answers.
struct Story {
  const char* title;
  std::array<Line, 5> direct;
  std::array<Line, 6> group;
  std::array<Line, 2> direct_away;
  std::array<Line, 4> group_away;
  std::array<Line, 3> direct_after;
  std::array<Line, 4> group_after;
};

constexpr std::array kStories = {
    Story{"Friday dinner",
          {{{0, "are you coming on friday?"},
            {1, "yes! what can I bring?"},
            {0, "something sweet, the rest is here"},
            {1, "lemon cake then"},
            {0, "you are the best"}}},
          {{{0, "dinner at my place, friday at seven"},
            {2, "count me in"},
            {3, "I will be late, the train again"},
            {4, "is there something for vegetarians?"},
            {1, "lemon cake is vegetarian :)"},
            {0, "there is a whole pot of it, eva"}}},
          {{{0, "do you still have my big bowl?"}, {0, "the green one"}}},
          {{{3, "train is on time after all"},
            {2, "who would have thought"},
            {4, "shall I bring the guitar?"},
            {0, "please do"}}},
          {{{1, "sorry, I was in the tunnel"},
            {1, "the bowl is packed already"},
            {0, "perfect, thank you"}}},
          {{{1, "guitar! now I am really coming"},
            {4, "practising already"},
            {2, "see you all at seven"},
            {3, "seven it is"}}}},
    Story{"Night hike",
          {{{0, "did you look at the weather?"},
            {1, "clear until two, then clouds"},
            {0, "then we start at nine"},
            {1, "I take the red lamp"},
            {0, "and I the map"}}},
          {{{0, "we start at nine from the old mill"},
            {3, "how long is it?"},
            {0, "eleven kilometres, nothing steep"},
            {2, "I heard the nightjars are back"},
            {4, "then we must be quiet at the clearing"},
            {1, "I will leave my whistle at home"}}},
          {{{0, "one more thing"}, {0, "bring the thermos, mine leaks"}}},
          {{{2, "look what I heard last night: churrrrr"},
            {4, "that is one for certain"},
            {3, "goosebumps"},
            {0, "nobody tell the newspapers"}}},
          {{{1, "no signal down in the valley"},
            {1, "thermos is in, with tea"},
            {0, "see you at the mill"}}},
          {{{1, "a nightjar! lucky you"},
            {2, "tonight you hear it yourself"},
            {3, "leaving now"},
            {4, "me too"}}}},
};

// Lets beats of one thread of talk follow each other with a person's pauses, fitted into [from,
// to].
template <size_t N>
void Talk(const std::array<Line, N>& lines, bool direct, int64_t from, int64_t to, Dice& dice,
          Script& script) {
  const int64_t step = (to - from) / static_cast<int64_t>(N);
  for (size_t i = 0; i < N; ++i) {
    Beat beat;
    beat.at_ms = from + static_cast<int64_t>(i) * step + dice.Between(0, step * 2 / 3);
    beat.kind = direct ? Beat::Kind::kDirect : Beat::Kind::kGroup;
    beat.who = script.people[static_cast<size_t>(lines[i].who)];
    if (direct) beat.to = script.people[lines[i].who == 0 ? 1 : 0];
    beat.text = lines[i].text;
    script.beats.push_back(std::move(beat));
  }
}

}  // namespace

Script WriteScript(uint64_t seed) {
  Dice dice(seed);
  const Story& story = kStories[dice.Below(kStories.size())];
  Script script;
  script.people = {"alice", "bob", "carol", "dave", "eva"};
  script.group_title = story.title;
  Talk(story.direct, true, 300, 4'300, dice, script);
  Talk(story.group, false, 1'500, 6'500, dice, script);
  script.beats.push_back({6'800, Beat::Kind::kLeave, script.people[1], "", ""});
  Talk(story.direct_away, true, 8'000, 10'500, dice, script);
  Talk(story.group_away, false, 8'500, 13'000, dice, script);
  script.beats.push_back({13'400, Beat::Kind::kReturn, script.people[1], "", ""});
  Talk(story.direct_after, true, 14'600, 18'000, dice, script);
  Talk(story.group_after, false, 15'200, 19'000, dice, script);
  std::stable_sort(script.beats.begin(), script.beats.end(),
                   [](const Beat& a, const Beat& b) { return a.at_ms < b.at_ms; });
  return script;
}

}  // namespace nightjar::client
