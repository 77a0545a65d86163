#include "plugin/sessions.h"

#include <gtest/gtest.h>

#include "tests/unit/plugin/fake_broker.h"

namespace nightjar::plugin {
namespace {

struct SessionsTest : ::testing::Test {
  Sessions sessions;
  mosquitto a, b, c;
};

TEST_F(SessionsTest, FoundByPointerAndByNumber) {
  const Session& session = sessions.Add(&a, "alice:p");
  EXPECT_EQ(sessions.FindClient(&a), &session);
  EXPECT_EQ(sessions.Find(session.id), &session);
  EXPECT_EQ(sessions.FindClient(&b), nullptr);
  EXPECT_EQ(sessions.Find(session.id + 1), nullptr);
  EXPECT_TRUE(sessions.Current(session));
}

TEST_F(SessionsTest, ATakeoverMakesTheNewerOneCurrent) {
  Session& older = sessions.Add(&a, "alice:p");
  Session& newer = sessions.Add(&b, "alice:p");
  EXPECT_NE(older.id, newer.id);
  EXPECT_FALSE(sessions.Current(older));
  EXPECT_TRUE(sessions.Current(newer));
  sessions.MarkGone(older);
  EXPECT_TRUE(sessions.Current(newer));
  EXPECT_EQ(sessions.size(), 1u);
}

TEST_F(SessionsTest, ATakeoverThatIsRefusedGivesTheOlderOneBack) {
  Session& older = sessions.Add(&a, "alice:p");
  sessions.Remove(sessions.Add(&b, "alice:p"));
  EXPECT_TRUE(sessions.Current(older));
  EXPECT_EQ(sessions.FindClient(&b), nullptr);
  sessions.MarkGone(older);
  EXPECT_FALSE(sessions.Current(older));
}

TEST_F(SessionsTest, OneInTheMiddleOfAChainOfTakeoversMayGo) {
  Session& first = sessions.Add(&a, "alice:p");
  Session& second = sessions.Add(&b, "alice:p");
  Session& third = sessions.Add(&c, "alice:p");
  sessions.MarkGone(second);
  EXPECT_TRUE(sessions.Current(third));
  sessions.MarkGone(third);
  EXPECT_FALSE(sessions.Current(first)) << "it was replaced long ago";
  EXPECT_EQ(sessions.Find(first.id), &first);
}

TEST_F(SessionsTest, AGoneOneIsFoundByPointerUntilTheSweep) {
  Session& session = sessions.Add(&a, "alice:p");
  const core::SessionId id = session.id;
  sessions.MarkGone(session);
  EXPECT_EQ(sessions.Find(id), nullptr);
  EXPECT_EQ(sessions.FindClient(&a), &session);
  sessions.Sweep();
  EXPECT_EQ(sessions.FindClient(&a), nullptr);
}

TEST_F(SessionsTest, AReusedPointerSurvivesTheSweepOfItsPredecessor) {
  Session& old = sessions.Add(&a, "alice:p");
  sessions.MarkGone(old);
  sessions.Remove(old);
  const Session& fresh = sessions.Add(&a, "bob:p");
  sessions.Sweep();
  EXPECT_EQ(sessions.FindClient(&a), &fresh);
}

}  // namespace
}  // namespace nightjar::plugin
