#include "common/base/result.h"

#include <gtest/gtest.h>

#include <memory>

#include "common/base/clock.h"

namespace nightjar {
namespace {

TEST(Status, IsOkByDefaultAndComparesByCodeAndMessage) {
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(Status(), Status::Ok());
  const Status full(Code::kResourceExhausted, "full");
  EXPECT_FALSE(full.ok());
  EXPECT_EQ(full.code(), Code::kResourceExhausted);
  EXPECT_EQ(full.message(), "full");
  EXPECT_NE(full, Status(Code::kResourceExhausted, "else"));
}

TEST(Result, HoldsAValueOrTheReasonForNone) {
  Result<int> good = 7;
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 7);
  EXPECT_TRUE(good.status().ok());

  const Result<int> bad = Status(Code::kNotFound, "nowhere");
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status(), Status(Code::kNotFound, "nowhere"));
}

TEST(Result, GivesItsValueAway) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(Clock, ReadsBothClocksInMilliseconds) {
  const Now first = SystemNow();
  const Now second = SystemNow();
  EXPECT_GE(second.mono_ms, first.mono_ms);
  EXPECT_GT(first.unix_ms, int64_t{1'600'000'000'000});  // after 2020: not seconds
  EXPECT_LT(first.unix_ms, int64_t{10'000'000'000'000});  // before 2286: not microseconds
}

}  // namespace
}  // namespace nightjar
