// Who the people of a load run are and what they do: the same for the same seed, and as the profile
// says.
#include "client-sim/crowd/crowd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace nightjar::crowd {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

Profile Town() {
  Profile profile;
  profile.users = 200;
  profile.devices = 1.5;
  profile.contacts = 4;
  profile.groups = 20;
  profile.group_min = 3;
  profile.group_max = 50;
  profile.group_share = 0.4;
  profile.zipf = 1;
  profile.online = 0.7;
  profile.stay = 5;
  profile.away = 3;
  profile.storm_every = 4;
  profile.storm_share = 0.5;
  profile.history = 3;
  profile.watches = 2;
  return profile;
}

struct Life {
  std::vector<std::string> deeds;
  std::vector<uint32_t> of_kind = std::vector<uint32_t>(6);
  std::vector<uint32_t> of_chat;
};

Life Live(Crowd& crowd, double rate, int64_t seconds) {
  Life life;
  life.of_chat.resize(crowd.chats().size());
  crowd.Begin(0);
  crowd.Write(rate, 0);
  int64_t last = 0;
  while (crowd.NextAt() < seconds * kSecond) {
    const Deed deed = crowd.Take();
    EXPECT_GE(deed.at_ns, last);
    last = deed.at_ns;
    ++life.of_kind[static_cast<size_t>(deed.kind)];
    if (deed.kind == Deed::Kind::kWrite) ++life.of_chat[deed.chat];
    life.deeds.push_back(std::to_string(static_cast<int>(deed.kind)) + " " +
                         std::to_string(deed.at_ns) + " " + std::to_string(deed.device) + " " +
                         std::to_string(deed.chat) + " " + std::to_string(deed.bytes));
  }
  return life;
}

TEST(Crowd, TheSameSeedIsTheSameLife) {
  Crowd one(Town(), 7, "u"), two(Town(), 7, "u"), three(Town(), 8, "u");
  const Life first = Live(one, 100, 20);
  EXPECT_EQ(first.deeds, Live(two, 100, 20).deeds);
  EXPECT_NE(first.deeds, Live(three, 100, 20).deeds);
  EXPECT_EQ(one.Watches(3), two.Watches(3));
}

TEST(Crowd, WhoWritesIsAMemberAndHasAChat) {
  Crowd crowd(Town(), 1, "u");
  crowd.Begin(0);
  crowd.Write(500, 0);
  while (crowd.NextAt() < 10 * kSecond) {
    const Deed deed = crowd.Take();
    if (deed.kind != Deed::Kind::kWrite && deed.kind != Deed::Kind::kHistory) continue;
    const auto& members = crowd.chats()[deed.chat].members;
    EXPECT_EQ(std::count(members.begin(), members.end(), crowd.UserOf(deed.device)), 1);
  }
}

TEST(Crowd, PeopleAndChatsAreAsTheProfileSays) {
  const Crowd crowd(Town(), 3, "u");
  EXPECT_EQ(crowd.users(), 200U);
  EXPECT_NEAR(crowd.devices(), 300, 40);
  EXPECT_EQ(crowd.chats().size(), 400U + 20U);
  std::set<std::set<uint32_t>> direct;
  for (const auto& chat : crowd.chats()) {
    const std::set<uint32_t> members(chat.members.begin(), chat.members.end());
    EXPECT_EQ(members.size(), chat.members.size()) << "nobody is in a chat twice";
    EXPECT_LT(*members.rbegin(), 200U);
    if (!chat.group) {
      EXPECT_EQ(members.size(), 2U);
      EXPECT_TRUE(direct.insert(members).second) << "no two chats of the same two people";
    } else {
      EXPECT_GE(members.size(), 3U);
      EXPECT_LE(members.size(), 50U);
    }
  }
  for (uint32_t device = 0; device < crowd.devices(); ++device) {
    EXPECT_EQ(crowd.Watches(device).size(), 2U);
    EXPECT_GE(device, crowd.FirstDevice(crowd.UserOf(device)));
    EXPECT_LT(device, crowd.EndDevice(crowd.UserOf(device)));
  }
}

TEST(Crowd, RatesAndPopularityAreKept) {
  Profile profile = Town();
  profile.online = 1;
  profile.stay = profile.away = profile.storm_every = 0;
  Crowd crowd(profile, 5, "u");
  const Life life = Live(crowd, 1000, 20);
  EXPECT_NEAR(life.of_kind[static_cast<size_t>(Deed::Kind::kWrite)], 20'000, 600);
  EXPECT_NEAR(life.of_kind[static_cast<size_t>(Deed::Kind::kHistory)], 60, 30);
  EXPECT_EQ(life.of_kind[static_cast<size_t>(Deed::Kind::kLeave)], 0U);
  uint32_t in_groups = 0;
  for (size_t i = 400; i < life.of_chat.size(); ++i) in_groups += life.of_chat[i];
  EXPECT_NEAR(in_groups, 8000, 400);
  // Zipf: the first group gets about ten times what the tenth gets.
  EXPECT_NEAR(life.of_chat[400] / static_cast<double>(life.of_chat[409]), 10, 3);
}

TEST(Crowd, EvenArrivalsAreEven) {
  Profile profile;
  profile.arrivals = "even";
  Crowd crowd(profile, 1, "u");
  crowd.Write(100, 0);
  for (int i = 1; i <= 50; ++i) EXPECT_EQ(crowd.Take().at_ns, i * kSecond / 100);
}

TEST(Crowd, PeopleComeAndGoAndInTheEndAllAreBack) {
  Crowd crowd(Town(), 2, "u");
  const Life life = Live(crowd, 0, 60);
  const auto gone = life.of_kind[static_cast<size_t>(Deed::Kind::kLeave)] +
                    life.of_kind[static_cast<size_t>(Deed::Kind::kDrop)];
  EXPECT_GT(gone, 1000U);
  EXPECT_NEAR(life.of_kind[static_cast<size_t>(Deed::Kind::kDrop)] / static_cast<double>(gone), 0.5,
              0.1);
  EXPECT_EQ(life.of_kind[static_cast<size_t>(Deed::Kind::kStorm)], 14U);
  uint32_t hit = 0;
  for (uint32_t device = 0; device < crowd.devices(); ++device) hit += crowd.InStorm(device);
  EXPECT_NEAR(hit, crowd.devices() / 2.0, 40);
  crowd.End();
  EXPECT_EQ(crowd.NextAt(), INT64_MAX);
  for (uint32_t device = 0; device < crowd.devices(); ++device) EXPECT_TRUE(crowd.online(device));
}

TEST(Crowd, SharesOfSeveralProcessesAreTheWhole) {
  Profile whole = Town();
  whole.rate = {900, 1800};
  int64_t users = 0, groups = 0;
  double rate = 0;
  for (int64_t part = 0; part < 3; ++part) {
    const Profile share = ShareOf(whole, part, 3);
    users += share.users;
    groups += share.groups;
    rate += share.rate[1];
  }
  EXPECT_EQ(users, whole.users);
  EXPECT_EQ(groups, whole.groups);
  EXPECT_DOUBLE_EQ(rate, 1800);
  whole.contacts = 1;
  EXPECT_EQ(ShareOf(whole, 0, 3).users % 2, 0) << "pairs stay whole";
}

}  // namespace
}  // namespace nightjar::crowd
