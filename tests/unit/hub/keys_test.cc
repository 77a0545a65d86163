#include "common/hub/keys.h"

#include <gtest/gtest.h>

#include "common/hub/redis/library.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

TEST(Keys, ATailNamesThePartitionAndTheName) {
  const std::string p = std::to_string(PartitionOf("alice", 64));
  EXPECT_EQ(keys::Tail("alice", 64), p + "}:alice");
  EXPECT_EQ(keys::Join(keys::kUser, keys::Tail("alice", 64)), "user:{" + p + "}:alice");
  EXPECT_EQ(keys::Join(keys::kJournal, keys::PartitionTail(7)), "journal:{7}");
  EXPECT_EQ(keys::Join(keys::kLease, keys::LeaseTail(7, Role::kPersist)), "lease:{7}:persist");
}

TEST(Keys, ABrokersIdIsItsNameWithoutTheIncarnation) {
  EXPECT_EQ(keys::BrokerId("b1#17"), "b1");
  EXPECT_EQ(keys::BrokerId("b1"), "b1");
}

TEST(Library, SaysItsLayoutVersionAndDigest) {
  const LibraryState state = StateOf(LibraryText(7));
  EXPECT_EQ(state.layout, kLayoutVersion);
  EXPECT_EQ(state.version, 7u);
  EXPECT_EQ(state.digest.size(), 16u);
  EXPECT_TRUE(LibraryText().starts_with("#!lua name=nightjar\n"));
}

TEST(Library, ANewerOneStaysAndAnOlderOrAnotherBuildGoes) {
  const LibraryState ours{1, 5, "a"};
  EXPECT_TRUE(ShouldReplace({1, 4, "a"}, ours));
  EXPECT_FALSE(ShouldReplace({1, 6, "a"}, ours));
  EXPECT_FALSE(ShouldReplace({1, 5, "a"}, ours));
  EXPECT_TRUE(ShouldReplace({1, 5, "b"}, ours));
}

TEST(Library, TheTestClockTakesTheClocksPlaceOnly) {
  const std::string real = LibraryText();
  const std::string test = LibraryText(kLibraryVersion, kTestClock);
  EXPECT_NE(StateOf(real).digest, StateOf(test).digest);
  EXPECT_EQ(real.find("test:clock'"), std::string::npos);
  EXPECT_NE(test.find("test:clock'"), std::string::npos);
  EXPECT_NE(test.find("register('nj_send'"), std::string::npos);
}

}  // namespace
}  // namespace nightjar::hub
