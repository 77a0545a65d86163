// Worlds that keep every promise: the judge must have nothing to say.
#include <gtest/gtest.h>

#include "tests/unit/client_sim/judge_world.h"

namespace nightjar::client {
namespace {

void ExpectNothing(uint64_t seed, const WorldShape& shape) {
  const Judged judged = Judge(PlayWorld(seed, shape));
  for (const Violation& broken : judged.violations) {
    ADD_FAILURE() << "seed " << seed << " " << broken.promise << ": " << broken.what << "\n"
                  << broken.story;
  }
  EXPECT_TRUE(judged.settled) << "seed " << seed << ": " << judged.outstanding;
  EXPECT_EQ(judged.tally.delivered, judged.tally.owed);
  EXPECT_EQ(judged.tally.marks, judged.tally.marks_owed);
  EXPECT_EQ(judged.tally.unanswered, 0U);
  EXPECT_EQ(judged.tally.unsettled, 0U);
}

TEST(JudgeLegal, ThousandsOfRandomRuns) {
  WorldShape shape;
  shape.steps = 150;
  for (uint64_t seed = 0; seed < 1'500 && !::testing::Test::HasFailure(); ++seed) {
    shape.users = 2 + static_cast<int>(seed % 4);
    ExpectNothing(seed, shape);
  }
}

TEST(JudgeLegal, TextsThatReadTheSame) {
  WorldShape shape;
  shape.steps = 150;
  shape.unique_texts = false;
  shape.refusals = false;
  for (uint64_t seed = 0; seed < 200 && !::testing::Test::HasFailure(); ++seed) {
    ExpectNothing(seed, shape);
  }
}

TEST(JudgeLegal, ALongRun) {
  WorldShape shape;
  shape.steps = 5'000;
  shape.epochs = false;
  for (uint64_t seed = 0; seed < 2; ++seed) ExpectNothing(seed, shape);
}

TEST(JudgeLegal, CountsWhatHappened) {
  WorldShape shape;
  shape.steps = 2'000;
  const Record record = PlayWorld(7, shape);
  const Judged judged = Judge(record);
  size_t accepted = 0, wrote = 0, messages = 0;
  for (const Told& told : record.told) {
    if (told.kind != Told::Kind::kTook) continue;
    accepted += std::holds_alternative<SendAccepted>(told.happening);
    wrote += std::holds_alternative<Wrote>(told.happening);
  }
  for (const auto& [chat, history] : record.histories) messages += history.size();
  EXPECT_GT(wrote, 200U);
  EXPECT_EQ(judged.tally.written, wrote);
  EXPECT_EQ(judged.tally.accepted, accepted);
  EXPECT_EQ(judged.tally.history_read, messages);
  EXPECT_GT(judged.tally.repeats, 0U);
  EXPECT_GT(judged.tally.resyncs, 0U);
  EXPECT_GT(judged.tally.presence, 10U);
}

}  // namespace
}  // namespace nightjar::client
