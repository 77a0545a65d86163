#include "persister/peers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace nightjar::persist {
namespace {

constexpr uint32_t kMany = 64;

Peers::Options Of(const std::string& id) { return {.id = id, .partitions = kMany}; }

size_t Count(const std::vector<bool>& mine) {
  return static_cast<size_t>(std::count(mine.begin(), mine.end(), true));
}

TEST(Peers, AloneEverythingIsMine) {
  Peers peers(Of("p1"));
  EXPECT_EQ(Count(peers.Mine(0)), kMany);
  peers.Hear("p1", 0);
  peers.Hear("", 0);
  peers.Hear(std::string(1000, 'x'), 0);
  EXPECT_EQ(Count(peers.Mine(0)), kMany);
}

TEST(Peers, EachPartitionIsOnes) {
  std::vector<std::unique_ptr<Peers>> all;
  for (int i = 1; i <= 4; ++i) all.push_back(std::make_unique<Peers>(Of("p" + std::to_string(i))));
  for (auto& one : all) {
    for (int i = 1; i <= 4; ++i) one->Hear("p" + std::to_string(i), 0);
  }
  std::vector<int> owners(kMany);
  for (auto& one : all) {
    const auto mine = one->Mine(0);
    EXPECT_GT(Count(mine), 5u);
    for (size_t p = 0; p < kMany; ++p) owners[p] += mine[p];
  }
  EXPECT_EQ(owners, std::vector<int>(kMany, 1));
}

TEST(Peers, WhoIsSilentIsGone) {
  Peers peers(Of("p1"));
  peers.Hear("p2", 1000);
  const size_t shared = Count(peers.Mine(6000));
  EXPECT_LT(shared, kMany);
  EXPECT_EQ(Count(peers.Mine(6001)), kMany);
  peers.Hear("p2", 7000);
  EXPECT_EQ(Count(peers.Mine(7000)), shared);
}

TEST(Peers, NotMoreAreRememberedThanAreRight) {
  Peers::Options options = Of("p1");
  options.most = 1;
  Peers peers(options);
  peers.Hear("p2", 0);
  const auto mine = peers.Mine(0);
  peers.Hear("p3", 0);
  EXPECT_EQ(peers.Mine(0), mine);
  peers.Hear("p2", 5000);
  EXPECT_EQ(peers.Mine(5001), mine);
}

}  // namespace
}  // namespace nightjar::persist
