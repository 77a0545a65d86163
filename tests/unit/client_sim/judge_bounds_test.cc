// The judge stays small and quick however long a run is, and says so when it cannot go on.
//
// NIGHTJAR_JUDGE_MESSAGES=20000000 runs the long version by hand.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

#include "client-sim/judge/oracle.h"

namespace nightjar::client {
namespace {

uint64_t ResidentBytes() {
  uint64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * 4096;
}

// 500 pairs who write in turn; everything arrives at once.
class Pairs {
 public:
  static constexpr uint64_t kPairs = 500;

  explicit Pairs(Oracle& oracle) : oracle_(oracle) {
    for (uint64_t i = 0; i < 2 * kPairs; ++i) {
      ids_.push_back(oracle_.Expect("u" + std::to_string(i), "phone"));
      oracle_.Took(ids_.back(), Synced{1, 0, 0, false}, now_);
    }
    for (uint64_t i = 0; i < kPairs; ++i) {
      const std::string a = "u" + std::to_string(2 * i), b = "u" + std::to_string(2 * i + 1);
      chats_.push_back("d:" + std::min(a, b) + ":" + std::max(a, b));
    }
    seq_.resize(kPairs);
  }
  // Message n: written, accepted, seen, and acknowledged with its mark if `whole`.
  void One(uint64_t n, bool whole = true) {
    now_.mono_ms = 1 + static_cast<int64_t>(n / 5);
    now_.unix_ms = now_.mono_ms;
    const uint64_t pair = n % kPairs;
    const std::string& chat = chats_[pair];
    const DeviceId author = ids_[2 * pair], reader = ids_[2 * pair + 1];
    const std::string text =
        "a text of about a hundred bytes, as people write them, with a number: " +
        std::to_string(n) + std::string(20, '.');
    const uint64_t id = 1'000'000 + n;
    oracle_.Took(author, Wrote{n + 1, chat, text}, now_);
    oracle_.Took(author, SendAccepted{n + 1, id, chat, text, 1}, now_);
    if (!whole) return;
    MessageCame came{++seq_[pair], {}};
    came.message.set_chat_id(chat);
    came.message.set_msg_id(id);
    came.message.set_author("u" + std::to_string(2 * pair));
    came.message.set_text(text);
    oracle_.Took(reader, came, now_);
    oracle_.Took(reader, AckSent{seq_[pair]}, now_);
    oracle_.Took(author, MarkMoved{chat, "u" + std::to_string(2 * pair + 1), id}, now_);
  }
  Now now() const { return now_; }

 private:
  Oracle& oracle_;
  Now now_{1, 1};
  std::vector<DeviceId> ids_;
  std::vector<std::string> chats_;
  std::vector<uint64_t> seq_;
};

TEST(JudgeBounds, MemoryIsFlatOverMillions) {
  const char* wanted = std::getenv("NIGHTJAR_JUDGE_MESSAGES");
  const uint64_t messages = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 100'000;
  Oracle oracle;
  Pairs pairs(oracle);
  uint64_t n = 0;
  for (; n < messages / 2; ++n) pairs.One(n);
  const size_t half = oracle.MemoryBytes();
  const uint64_t resident = ResidentBytes();
  const auto begin = std::chrono::steady_clock::now();
  for (; n < messages; ++n) pairs.One(n);
  const auto took = std::chrono::steady_clock::now() - begin;
  oracle.Finish(pairs.now());
  for (const Violation& broken : oracle.violations()) ADD_FAILURE() << broken.what << broken.story;
  EXPECT_TRUE(oracle.Settled());
  EXPECT_EQ(oracle.Count().marks, oracle.Count().marks_owed);
  EXPECT_LE(oracle.MemoryBytes(), half + half / 4 + (1 << 20));
  std::printf(
      "%llu messages: %.0f ns each (5 happenings), %.1f MB of books at half, %.1f at the end, "
      "resident %.1f then %.1f MB\n",
      static_cast<unsigned long long>(messages),
      static_cast<double>(std::chrono::nanoseconds(took).count()) /
          static_cast<double>(messages - messages / 2),
      static_cast<double>(half) / 1e6, static_cast<double>(oracle.MemoryBytes()) / 1e6,
      static_cast<double>(resident) / 1e6, static_cast<double>(ResidentBytes()) / 1e6);
}

TEST(JudgeBounds, AnUnsettledMessageIsSmall) {
  Oracle oracle;
  Pairs pairs(oracle);
  for (uint64_t n = 0; n < 50'000; ++n) pairs.One(n);  // the ring is full
  const size_t before = oracle.MemoryBytes();
  for (uint64_t n = 50'000; n < 150'000; ++n) pairs.One(n, /*whole=*/false);
  const auto each = (oracle.MemoryBytes() - before) / 100'000;
  EXPECT_LE(each, 400U);
  EXPECT_FALSE(oracle.Settled());
  std::printf("%zu bytes for a message that is not settled\n", each);
}

TEST(JudgeBounds, BeyondTheBoundItSaysThatItCannotJudge) {
  OracleOptions options;
  options.most_unsettled = 1'000;
  Oracle oracle(options);
  Pairs pairs(oracle);
  for (uint64_t n = 0; n < 3'000; ++n) pairs.One(n, /*whole=*/false);
  oracle.Finish(pairs.now());
  ASSERT_EQ(oracle.violations().size(), 1U);
  EXPECT_EQ(oracle.violations()[0].promise, "judge");
  EXPECT_NE(oracle.violations()[0].what.find("cannot judge any more"), std::string::npos);
}

}  // namespace
}  // namespace nightjar::client
