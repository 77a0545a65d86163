// Profiles: what is right is taken, what is wrong is told in one line with file and key.
#include "client-sim/crowd/profile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

namespace nightjar::crowd {
namespace {

std::string ErrorOf(const std::string& toml) {
  const auto profile = ParseProfile(toml, "some/evening.toml");
  return profile.ok() ? Check(*profile).message() : profile.status().message();
}

TEST(Profile, TakesWhatTheFileSays) {
  const auto profile = ParseProfile(
      "users = 12\ndevices = 2\nrate = [10, 20.5]\nline = \"3g\"\njudge = false\n", "a/b.toml");
  ASSERT_TRUE(profile.ok()) << profile.status().message();
  EXPECT_EQ(profile->name, "b");
  EXPECT_EQ(profile->users, 12);
  EXPECT_EQ(profile->devices, 2);
  EXPECT_EQ(profile->rate, (std::vector<double>{10, 20.5}));
  EXPECT_EQ(profile->line, "3g");
  EXPECT_FALSE(profile->judge);
  EXPECT_TRUE(Check(*profile).ok());
}

TEST(Profile, SaysWhichFileLineAndKeyAreWrong) {
  EXPECT_EQ(ErrorOf("users = 10\nuserz = 3\n"), "some/evening.toml, line 2: userz: no such key");
  EXPECT_EQ(ErrorOf("users = 0\n"),
            "some/evening.toml, line 1: users: 0 is not between 1 and 1000000");
  EXPECT_EQ(ErrorOf("users = 1.5\n"), "some/evening.toml, line 1: users: 1.5 is not whole");
  EXPECT_EQ(ErrorOf("users = \"many\"\n"), "some/evening.toml, line 1: users: wants a number");
  EXPECT_EQ(ErrorOf("users = [1, 2]\n"), "some/evening.toml, line 1: users: is not a list");
  EXPECT_EQ(ErrorOf("rate = []\n"), "some/evening.toml, line 1: rate: wants 1 to 100 numbers");
  EXPECT_EQ(ErrorOf("judge = 1\n"), "some/evening.toml, line 1: judge: wants true or false");
  EXPECT_EQ(ErrorOf("line = 3\n"), "some/evening.toml, line 1: line: wants a text");
  EXPECT_NE(ErrorOf("users = = 3\n").find("some/evening.toml, line 1: "), std::string::npos);
}

TEST(Profile, SaysWhatDoesNotGoTogether) {
  EXPECT_EQ(ErrorOf("group_min = 10\ngroup_max = 5\n"), "group_max: is below group_min");
  EXPECT_EQ(ErrorOf("group_share = 0.5\n"), "group_share: there are no groups");
  EXPECT_EQ(ErrorOf("users = 11\n"), "users: pairs need an even number");
  EXPECT_EQ(ErrorOf("stay = 5\n"), "stay: stay and away go together");
  EXPECT_EQ(ErrorOf("arrivals = \"late\"\n"), "arrivals: 'late' is neither poisson nor even");
  EXPECT_EQ(ErrorOf("encoding = \"json\"\n"), "short_topics: JSON has none");
  EXPECT_EQ(ErrorOf("line = \"edge:0.7,3g:0.7\"\n"), "line: the shares are more than 1 in sum");
  EXPECT_EQ(ErrorOf("line = \"edge:x\"\n"),
            "line: 'edge:x' wants NAME:SHARE, a share between 0 and 1");
}

TEST(Profile, FlagsSetTheSameFields) {
  Profile profile;
  EXPECT_TRUE(SetField(profile, "rate", "100,2000").ok());
  EXPECT_EQ(profile.rate, (std::vector<double>{100, 2000}));
  EXPECT_TRUE(SetField(profile, "judge", "no").ok());
  EXPECT_FALSE(profile.judge);
  EXPECT_EQ(SetField(profile, "judge", "perhaps").message(),
            "judge: 'perhaps' is neither yes nor no");
  EXPECT_EQ(SetField(profile, "users", "ten").message(), "users: 'ten' is not a number");
  EXPECT_EQ(SetField(profile, "users", "1,2").message(), "users: '1,2' is not a number");
  EXPECT_EQ(SetField(profile, "cut", "2").message(), "cut: 2 is not between 0 and 1");
}

TEST(Profile, EveryFieldIsDescribed) {
  const auto described = Describe(Profile{});
  EXPECT_EQ(described.size(), Fields().size() + 1);  // and the name
}

TEST(Profile, TheNamedOnesAreGood) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(NIGHTJAR_PROFILES)) {
    const auto profile = ReadProfile(entry.path().string());
    ASSERT_TRUE(profile.ok()) << profile.status().message();
    EXPECT_TRUE(Check(*profile).ok()) << entry.path() << ": " << Check(*profile).message();
    names.insert(profile->name);
  }
  for (const char* name : {"smoke", "pairs", "groups", "big-group", "storm", "commute", "iot"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(Profile, AMissingOneIsTold) {
  EXPECT_NE(ReadProfile("no-such-profile").status().message().find("no profile 'no-such-profile'"),
            std::string::npos);
  EXPECT_EQ(ReadProfile("/no/such.toml").status().message(), "cannot read /no/such.toml");
}

}  // namespace
}  // namespace nightjar::crowd
