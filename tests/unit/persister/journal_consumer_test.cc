#include "persister/journal_consumer.h"

#include <gtest/gtest.h>

#include "common/wire/names.h"
#include "tests/unit/persister/consumer_world.h"

namespace nightjar::persist {
namespace {

std::string MarkBytes(const std::string& chat, MsgId id) {
  v1::JournalRecord record;
  record.mutable_mark()->set_chat_id(chat);
  record.mutable_mark()->set_uid("bob");
  record.mutable_mark()->set_msg_id(id);
  return record.SerializeAsString();
}

TEST(JournalConsumer, StoresThenTrims) {
  ConsumerWorld world;
  for (int i = 0; i < 10; ++i) world.SendOne("alice", "bob" + std::to_string(i));
  auto& life = world.Start();
  ASSERT_TRUE(world.Drain(5'000));
  EXPECT_EQ(world.NotExactlyOnce(), "");
  EXPECT_EQ(life.consumer->held(world.now_ms), kPartitions);
  EXPECT_EQ(life.consumer->counters().stored, 10u);
  EXPECT_EQ(world.puts, 1u) << "all partitions in one batch";
}

TEST(JournalConsumer, NothingIsTrimmedWhileTheStoreIsAway) {
  ConsumerWorld world;
  world.mood = StoreMood::kAway;
  world.SendOne("alice", "bob");
  auto& life = world.Start();
  EXPECT_FALSE(world.Drain(60'000));
  EXPECT_EQ(world.JournalSize(), 1u);
  EXPECT_GE(world.puts, 5u);
  EXPECT_LE(world.puts, 40u) << "the waits must grow";
  EXPECT_EQ(life.consumer->held(world.now_ms), kPartitions) << "leases are kept meanwhile";
  world.mood = StoreMood::kGood;
  EXPECT_TRUE(world.Drain(10'000));
  EXPECT_EQ(world.NotExactlyOnce(), "");
}

TEST(JournalConsumer, PollsLessWhenIdleAndAtOnceWithABacklog) {
  ConsumerWorld world;
  auto& life = world.Start({.read_count = 1});
  world.Settle(life);
  const auto reads_in = [&](int64_t ms) {
    const uint64_t rounds = life.consumer->counters().rounds;
    for (const int64_t until = world.now_ms + ms; world.now_ms < until; world.now_ms += 10) {
      world.Settle(life);
    }
    return life.consumer->counters().rounds - rounds;
  };
  EXPECT_EQ(reads_in(10'000), 0u);
  // Idle for long: the next question is up to a second away, and not more.
  EXPECT_GT(life.consumer->NextWakeMs(), world.now_ms);
  for (int i = 0; i < 20; ++i) world.SendOne("alice", "bob");
  EXPECT_TRUE(world.Drain(1'100)) << "one record a round, twenty rounds back to back";
}

TEST(JournalConsumer, WhatCannotBeStoredIsLaidAsideAndTheRestGoesOn) {
  ConsumerWorld world;
  for (int i = 0; i < 7; ++i) {
    world.SendOne("alice", "bob" + std::to_string(i));
    world.PutRaw("u" + std::to_string(i), "\xff\xff no protobuf");
    world.PutRaw("u" + std::to_string(i), MarkBytes("no chat id", 5));
    world.PutRaw("u" + std::to_string(i), "");
    world.PutRaw("u" + std::to_string(i), MarkBytes("d:alice:bob", 5));
  }
  auto& life = world.Start();
  ASSERT_TRUE(world.Drain(5'000));
  EXPECT_EQ(world.NotExactlyOnce(), "");
  EXPECT_EQ(life.consumer->counters().dead, 21u);
  size_t dead = 0;
  for (const auto& [p, partition] : world.hub().state().partitions) {
    for (const auto& letter : partition.dead) {
      EXPECT_FALSE(letter.reason.empty());
      ++dead;
    }
  }
  EXPECT_EQ(dead, 21u);
}

TEST(JournalConsumer, ADeadLetterThatCannotBeLaidAsideStaysInTheJournal) {
  ConsumerWorld world;
  world.PutRaw("u", "\xff\xff");
  auto& life = world.Start();
  world.Tick(life);
  bool failed = false;
  for (int i = 0; i < 100 && !failed; ++i) {
    if (world.Step(life)) continue;
    ASSERT_GT(life.hub->size(), 0u);
    if (std::holds_alternative<hub::PutDeadLetter>(life.hub->Peek())) {
      life.hub->FailNext();
      failed = true;
    } else {
      life.hub->RunOne();
    }
  }
  ASSERT_TRUE(failed);
  EXPECT_EQ(world.JournalSize(), 1u);
  EXPECT_TRUE(world.Drain(5'000));
}

TEST(JournalConsumer, AFullListOfDeadLettersStallsItsOwnPartitionOnly) {
  ConsumerWorld world(/*dead_max=*/1);
  const uint32_t stalled = PartitionOf("u", kPartitions);
  for (int i = 0; i < 3; ++i) world.PutRaw("u", "\xff\xff");
  auto& life = world.Start();
  world.Drain(1'000);
  for (int i = 0; i < 20; ++i) world.SendOne("alice", "bob" + std::to_string(i));
  EXPECT_FALSE(world.Drain(60'000));
  for (const auto& [p, partition] : world.hub().state().partitions) {
    EXPECT_EQ(partition.journal.records.empty(), p != stalled) << p;
  }
  EXPECT_EQ(world.Lost(), "");
  EXPECT_EQ(life.consumer->counters().failures, 0u);
  EXPECT_LE(life.consumer->counters().stalled, 15u) << "looked at every few seconds, no more";
  EXPECT_EQ(life.consumer->held(world.now_ms), kPartitions);
  const auto told = [&](const std::string& what) {
    return std::count_if(world.said.begin(), world.said.end(),
                         [&](const std::string& line) { return line.starts_with(what); });
  };
  EXPECT_EQ(told("dead letters full"), 1);
  EXPECT_EQ(told("dead letter partition"), 1);

  // Somebody looks at what was laid aside, and takes it away.
  for (int i = 0; i < 2; ++i) {
    for (auto& [p, partition] : world.hub().mutable_state().partitions) partition.dead.clear();
    world.Drain(10'000);
  }
  EXPECT_EQ(world.JournalSize(), 0u);
  EXPECT_EQ(life.consumer->counters().dead, 3u) << "each once";
  EXPECT_EQ(world.NotExactlyOnce(), "");
}

TEST(JournalConsumer, TheSecondWaitsAndTakesOverWhenTheFirstDies) {
  ConsumerWorld world;
  auto& first = world.Start();
  world.Settle(first);
  auto& second = world.Start();
  world.Settle(second);
  EXPECT_EQ(second.consumer->held(world.now_ms), 0u);
  world.Kill(0);
  world.SendOne("alice", "bob");
  EXPECT_TRUE(world.Drain(8'000));
  EXPECT_EQ(second.consumer->held(world.now_ms), kPartitions);
  EXPECT_EQ(world.NotExactlyOnce(), "");
}

TEST(JournalConsumer, WhatIsAnothersIsLeftToIt) {
  ConsumerWorld world;
  auto& first = world.Start();
  world.Settle(first);
  auto& second = world.Start();
  world.Settle(second);
  first.consumer->Share({true, true, false, false});
  second.consumer->Share({false, false, true, true});
  EXPECT_EQ(first.consumer->held(world.now_ms), kPartitions) << "until they run out";
  const auto pass = [&](int64_t ms) {
    for (const int64_t until = world.now_ms + ms; world.now_ms < until; world.now_ms += 100) {
      world.Settle(first);
      world.Settle(second);
    }
  };
  pass(8'000);
  EXPECT_EQ(first.consumer->held(world.now_ms), 2u);
  EXPECT_EQ(second.consumer->held(world.now_ms), 2u);
  EXPECT_TRUE(first.consumer->leasing(world.now_ms));
  // All again, and nothing, which is taken for all: whoever is first.
  first.consumer->Share({true, true, true, true});
  second.consumer->Share({false, false, false, false});
  pass(8'000);
  EXPECT_EQ(first.consumer->held(world.now_ms) + second.consumer->held(world.now_ms), kPartitions);
}

TEST(JournalConsumer, APausedHolderIsFenced) {
  ConsumerWorld world;
  world.SendOne("alice", "bob");
  auto& paused = world.Start();
  world.Tick(paused);
  // Up to the trim, which stays under way while the lease runs out.
  for (int i = 0; i < 100; ++i) {
    if (world.Step(paused)) continue;
    if (std::holds_alternative<hub::TrimLog>(paused.hub->Peek())) break;
    paused.hub->RunOne();
  }
  world.now_ms += 6'000;
  auto& other = world.Start();
  while (other.consumer->held(world.now_ms) == 0) {
    world.Tick(other);
    while (world.Step(other)) {
    }
    ASSERT_TRUE(other.hub->RunOne());
  }
  world.SendOne("bob", "alice");
  const size_t before = world.JournalSize();
  while (paused.hub->RunOne()) {
  }
  EXPECT_EQ(world.JournalSize(), before) << "a trim with an old token took something";
  EXPECT_GE(paused.consumer->counters().fenced, 1u);
  EXPECT_TRUE(world.Drain(8'000));
  EXPECT_EQ(world.NotExactlyOnce(), "");
}

TEST(JournalConsumer, StoppingFinishesTheRoundAndGivesLeasesBack) {
  ConsumerWorld world;
  for (int i = 0; i < 5; ++i) world.SendOne("alice", "bob");
  auto& life = world.Start();
  world.Tick(life);
  while (world.puts == 0) {
    if (!world.Step(life)) life.hub->RunOne();
  }
  Actions out;
  life.consumer->Stop(world.now_ms, out);
  EXPECT_TRUE(out.empty()) << "the round under way comes first";
  world.Settle(life);
  EXPECT_TRUE(life.consumer->stopped());
  EXPECT_EQ(world.JournalSize(), 0u);
  auto& next = world.Start();
  world.Settle(next);
  EXPECT_EQ(next.consumer->held(world.now_ms), kPartitions) << "without waiting for the TTL";
}

TEST(JournalConsumer, NoPartitionStarves) {
  // Whichever partition the busy chat is in, the other chat's one message waits a few rounds at
  // most.
  for (int peer = 0; peer < 8; ++peer) {
    ConsumerWorld world;
    for (int i = 0; i < 300; ++i) world.SendOne("alice", "bob");
    const std::string lonely = "peer" + std::to_string(peer);
    world.SendOne("carol", lonely);
    auto& life = world.Start({.read_count = 8, .read_bytes = 1});  // one record a round
    const std::string chat = "d:carol:" + lonely;
    if (PartitionOf(chat, kPartitions) == PartitionOf("d:alice:bob", kPartitions)) continue;
    while (world.store().History({chat, 0, 0, 1})->messages.empty()) {
      if (world.Step(life) || life.hub->RunOne()) continue;
      world.Tick(life);
    }
    EXPECT_LE(life.consumer->counters().rounds, kPartitions) << chat;
  }
}

// The property: whatever dies or fails at whatever step, nothing is trimmed that is not stored, and
// in the end the store holds exactly what was accepted.
TEST(JournalConsumer, DiesAnywhereAndNothingIsLostOrDoubled) {
  for (uint32_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    ConsumerWorld world;
    world.Start({.read_count = 1 + below(8), .seed = seed});
    if (below(2) == 0) world.Start({.seed = seed + 1});
    for (int step = 0; step < 600; ++step) {
      if (below(4) == 0)
        world.SendOne("u" + std::to_string(below(4)), "u" + std::to_string(below(4)));
      if (below(100) == 0) world.PutRaw("x", "\xff");
      if (below(10) == 0) world.mood = static_cast<StoreMood>(below(3));
      world.now_ms += below(8) == 0 ? below(400) : 0;
      if (below(200) == 0) world.now_ms += 7'000;  // everybody paused beyond the leases
      const size_t i = below(static_cast<uint32_t>(world.lives().size()));
      if (below(40) == 0) {
        world.Kill(i);
        world.Start({.read_count = 1 + below(8), .seed = seed + static_cast<uint32_t>(step)});
        continue;
      }
      auto& life = *world.lives()[i];
      world.Tick(life);
      if (below(2) == 0) world.Step(life);
      switch (below(12)) {
        case 0:
          life.hub->FailNext();
          break;
        case 1:
          life.hub->LoseNext();
          break;
        case 2:
          life.hub->RepeatNext();
          break;
        default:
          life.hub->RunOne();
      }
      ASSERT_EQ(world.Lost(), "") << "at step " << step;
    }
    world.mood = StoreMood::kGood;
    ASSERT_TRUE(world.Drain(60'000));
    ASSERT_EQ(world.NotExactlyOnce(), "");
  }
}

}  // namespace
}  // namespace nightjar::persist
