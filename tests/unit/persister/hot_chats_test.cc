// The memory by itself: what it may say after every step of leases, rounds, fillings and bounds.
#include "persister/hot_chats.h"

#include <gtest/gtest.h>

namespace nightjar::persist {
namespace {

constexpr char kChat[] = "d:alice:bob";
constexpr char kOther[] = "d:alice:carol";

v1::Message Of(MsgId id, const std::string& chat = kChat) {
  v1::Message message;
  message.set_chat_id(chat);
  message.set_msg_id(id);
  message.set_text("message " + std::to_string(id));
  return message;
}

HistoryPage PageOf(MsgId from, MsgId to, bool more) {
  HistoryPage page;
  for (MsgId id = from; id <= to; ++id) page.messages.push_back(Of(id));
  page.more = more;
  return page;
}

class HotChatsTest : public testing::Test {
 protected:
  HotChatsTest() { Hold(7); }

  HotChats::Options Options() {
    return {
        .partitions = 2, .bytes = 1 << 20, .chat_messages = 10, .mono_ms = [this] { return now; }};
  }
  void Hold(uint64_t token) { hot.SetLeases({{token, now + 1000}, {token, now + 1000}}); }
  // A round of one message, at the position behind the last.
  void Stored(MsgId id, const std::string& chat = kChat, uint64_t token = 7) {
    hot.Stored({0, token, position, position + 1, {Of(id, chat)}});
    ++position;
  }
  void Fill(const HistoryPage& page) {
    const auto ticket = hot.Begin(0, kChat);
    ASSERT_TRUE(ticket);
    hot.Fill(*ticket, page);
  }
  // "ids" with + behind them if there are more; "-" if memory does not know.
  std::string Read(const HistoryQuery& query, std::optional<uint64_t> tail_first = {}) {
    const auto page = hot.Read(0, query, tail_first);
    if (!page) return "-";
    std::string out;
    for (const auto& message : page->messages) {
      EXPECT_EQ(message.text(), "message " + std::to_string(message.msg_id()));
      out += std::to_string(message.msg_id()) + " ";
    }
    return out + (page->more ? "+" : "");
  }
  std::string Newest(uint32_t limit) { return Read({kChat, 0, 0, limit}); }

  int64_t now = 1'000'000;
  uint64_t position = 100;
  HotChats hot{Options()};
};

TEST_F(HotChatsTest, KnowsNothingUntilAPageWasRead) {
  Stored(1);
  EXPECT_EQ(Newest(1), "-");
  EXPECT_TRUE(hot.Begin(0, kChat));
  Stored(2);
  EXPECT_EQ(Newest(1), "-") << "begun, not filled";
  EXPECT_EQ(hot.counters().misses, 2u);
}

TEST_F(HotChatsTest, APageAndWhatIsStoredAfterwards) {
  Fill(PageOf(3, 5, true));
  EXPECT_EQ(Newest(3), "3 4 5 +");
  EXPECT_EQ(Newest(4), "-") << "older ones are the store's";
  Stored(6);
  Stored(50, kOther);
  Stored(7);
  EXPECT_EQ(Newest(5), "3 4 5 6 7 +");
  EXPECT_EQ(Newest(2), "6 7 +");
  EXPECT_EQ(hot.counters().hits, 3u);
}

TEST_F(HotChatsTest, AWholeChat) {
  Fill(PageOf(1, 3, false));
  EXPECT_EQ(Newest(3), "1 2 3 ");
  EXPECT_EQ(Newest(50), "1 2 3 ");
  EXPECT_EQ(Newest(2), "2 3 +");
  EXPECT_EQ(Read({kChat, 3, 0, 5}), "1 2 ");
  EXPECT_EQ(Read({kChat, 0, 1, 5}), "2 3 ");
  EXPECT_EQ(Read({kChat, 0, 1, 1}), "2 +");
  EXPECT_EQ(Read({kChat, 3, 1, 5}), "2 ");
  EXPECT_EQ(Read({kChat, 1, 0, 5}), "");
  EXPECT_EQ(Read({kChat, 2, 1, 5}), "");
  EXPECT_EQ(Read({kChat, 1, 2, 5}), "-") << "not asked for in earnest";
}

TEST_F(HotChatsTest, AnEmptyChatIsKnownToo) {
  Fill(HistoryPage());
  EXPECT_EQ(Newest(5), "");
  Stored(1);
  EXPECT_EQ(Newest(5), "1 ");
}

TEST_F(HotChatsTest, BoundsOfAQueryBelowTheFloorAreTheStores) {
  Fill(PageOf(4, 8, true));  // floor 3
  EXPECT_EQ(Read({kChat, 0, 3, 2}), "4 5 +");
  EXPECT_EQ(Read({kChat, 0, 2, 2}), "-") << "3 may be there";
  EXPECT_EQ(Read({kChat, 7, 0, 3}), "4 5 6 +");
  EXPECT_EQ(Read({kChat, 7, 0, 4}), "-");
  EXPECT_EQ(Read({kChat, 7, 3, 9}), "4 5 6 ");
  EXPECT_EQ(Read({kChat, 7, 2, 9}), "-");
  EXPECT_EQ(Read({kChat, 7, 2, 2}), "5 6 +");
  EXPECT_EQ(Read({kChat, 7, 2, 3}), "-") << "whether there are more, the store knows";
  EXPECT_EQ(Read({kChat, 3, 0, 1}), "-");
  EXPECT_EQ(Read({kChat, 0, 8, 1}), "");
}

TEST_F(HotChatsTest, WhatIsStoredBetweenBeginAndFillIsNotLost) {
  const auto ticket = hot.Begin(0, kChat);
  const HistoryPage page = PageOf(1, 2, false);  // read now
  Stored(3);
  hot.Fill(*ticket, page);
  EXPECT_EQ(Newest(5), "1 2 3 ");
}

TEST_F(HotChatsTest, TwoFillAtOnce) {
  const auto one = hot.Begin(0, kChat);
  const HistoryPage early = PageOf(1, 2, false);
  Stored(3);
  const auto two = hot.Begin(0, kChat);
  const HistoryPage late = PageOf(3, 3, true);
  hot.Fill(*two, late);
  EXPECT_EQ(Newest(1), "3 +");
  hot.Fill(*one, early);
  EXPECT_EQ(Newest(5), "1 2 3 ");
  hot.Fill(*two, late);
  EXPECT_EQ(Newest(5), "1 2 3 ") << "a lesser page takes nothing away";
}

TEST_F(HotChatsTest, MessagesLetGoRaiseTheFloor) {
  Fill(PageOf(1, 10, false));
  EXPECT_EQ(Newest(50), "1 2 3 4 5 6 7 8 9 10 ");
  Stored(11);
  EXPECT_EQ(Newest(50), "-");
  EXPECT_EQ(Newest(10), "2 3 4 5 6 7 8 9 10 11 +");
}

TEST_F(HotChatsTest, APageReadBeforeMessagesWereLetGoMakesNoGap) {
  const auto ticket = hot.Begin(0, kChat);
  const HistoryPage page = PageOf(1, 5, false);
  for (MsgId id = 6; id <= 18; ++id) Stored(id);  // ten are kept: 9 to 18
  hot.Fill(*ticket, page);
  EXPECT_EQ(Newest(50), "-");
  EXPECT_EQ(Newest(10), "9 10 11 12 13 14 15 16 17 18 +");
  EXPECT_EQ(Read({kChat, 0, 8, 2}), "9 10 +");
  EXPECT_EQ(Read({kChat, 0, 5, 2}), "-");
}

TEST_F(HotChatsTest, TheSameRoundAgainChangesNothing) {
  Fill(PageOf(1, 2, false));
  Stored(3);
  hot.Stored({0, 7, position - 1, position, {Of(3)}});  // its trim had failed
  hot.Stored({0, 7, position - 1, position + 1, {Of(3), Of(4)}});
  EXPECT_EQ(Newest(5), "1 2 3 4 ");
}

TEST_F(HotChatsTest, ARoundBehindAGapVoidsEverything) {
  Stored(1);
  Fill(PageOf(1, 1, false));
  ++position;
  Stored(3);
  EXPECT_EQ(Newest(5), "-");
  Fill(PageOf(1, 3, false));
  EXPECT_EQ(Newest(5), "1 2 3 ");
}

TEST_F(HotChatsTest, AJournalThatBeginsBehindWhatWasBroughtVoidsEverything) {
  Stored(1);
  Fill(PageOf(1, 1, false));
  EXPECT_EQ(Read({kChat, 0, 0, 5}, position), "1 ");
  EXPECT_EQ(Read({kChat, 0, 0, 5}, position - 1), "1 ");
  EXPECT_EQ(Read({kChat, 0, 0, 5}, position + 1), "-");
  EXPECT_EQ(Read({kChat, 0, 0, 5}, position), "-");
}

TEST_F(HotChatsTest, ALeaseThatHasRunOutAnswersNothing) {
  Fill(PageOf(1, 1, false));
  now += 999;
  EXPECT_EQ(Newest(5), "1 ");
  now += 1;
  EXPECT_EQ(Newest(5), "-");
  EXPECT_FALSE(hot.Begin(0, kChat));
  EXPECT_EQ(hot.counters().elsewhere, 1u);
  Hold(7);  // renewed after all, by nobody else meanwhile
  EXPECT_EQ(Newest(5), "1 ");
}

TEST_F(HotChatsTest, ALeaseLostAndHeldAgainBeginsAnew) {
  Fill(PageOf(1, 1, false));
  hot.SetLeases({{0, 0}, {7, now + 1000}});
  EXPECT_EQ(Newest(5), "-");
  Hold(7);
  EXPECT_EQ(Newest(5), "-");
  Fill(PageOf(1, 1, false));
  EXPECT_EQ(Newest(5), "1 ");
  Hold(8);
  EXPECT_EQ(Newest(5), "-");
}

TEST_F(HotChatsTest, APageReadUnderAnEarlierLeaseIsNotKept) {
  const auto ticket = hot.Begin(0, kChat);
  Hold(8);
  hot.Fill(*ticket, PageOf(1, 1, false));
  EXPECT_EQ(Newest(5), "-");
  EXPECT_TRUE(hot.Begin(0, kChat));
  hot.Fill(*ticket, PageOf(1, 1, false));
  EXPECT_EQ(Newest(5), "-") << "nor in the entry of today";
}

TEST_F(HotChatsTest, ARoundUnderAnotherLeaseVoidsEverything) {
  Fill(PageOf(1, 1, false));
  Stored(2, kChat, 6);
  EXPECT_EQ(Newest(5), "-");
}

TEST_F(HotChatsTest, AnotherHubVoidsEverythingUntilLeasesAreKnown) {
  Fill(PageOf(1, 1, false));
  hot.Clear();
  EXPECT_EQ(Newest(5), "-");
  Stored(2);
  Hold(7);
  EXPECT_EQ(Newest(5), "-");
  Fill(PageOf(1, 2, false));
  EXPECT_EQ(Newest(5), "1 2 ");
}

TEST_F(HotChatsTest, OtherPartitionsAreTheirOwn) {
  Fill(PageOf(1, 1, false));
  hot.SetLeases({{7, now + 1000}, {9, now + 1000}});
  EXPECT_EQ(Newest(5), "1 ");
  EXPECT_FALSE(hot.Read(2, {kChat, 0, 0, 5}, {})) << "there is none";
  EXPECT_FALSE(hot.Begin(2, kChat));
}

TEST_F(HotChatsTest, TheLeastRecentlyReadGoesFirstAndBytesAreBounded) {
  HotChats::Options options = Options();
  options.bytes = 20'000;
  HotChats small(options);
  small.SetLeases({{7, now + 1000}, {7, now + 1000}});
  const auto chat = [](int i) { return "d:alice:bob" + std::to_string(i); };
  const auto read = [&](int i) { return small.Read(0, {chat(i), 0, 0, 1}, {}).has_value(); };
  for (int i = 0; i < 1000; ++i) {
    const auto ticket = small.Begin(0, chat(i));
    ASSERT_TRUE(ticket);
    HistoryPage page;
    page.messages.push_back(Of(1, chat(i)));
    small.Fill(*ticket, page);
    EXPECT_TRUE(read(i));
    EXPECT_TRUE(i == 0 || read(0)) << "read again and again";
    EXPECT_LE(small.counters().bytes, options.bytes);
  }
  EXPECT_FALSE(read(1));
  EXPECT_GT(small.counters().chats, 10u);
  EXPECT_EQ(small.counters().chats + small.counters().evicted, 1000u);
}

TEST_F(HotChatsTest, OneChatOfLongMessagesIsBoundedToo) {
  HotChats::Options options = Options();
  options.chat_bytes = 10'000;
  HotChats small(options);
  small.SetLeases({{7, now + 1000}, {7, now + 1000}});
  const auto ticket = small.Begin(0, kChat);
  HistoryPage page;
  for (MsgId id = 1; id <= 8; ++id) {
    page.messages.push_back(Of(id));
    page.messages.back().set_text(std::string(3'000, 'x'));
  }
  small.Fill(*ticket, page);
  EXPECT_LE(small.counters().bytes, 11'000u);
  const auto read = small.Read(0, {kChat, 0, 0, 3}, {});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->messages.size(), 3u);
  EXPECT_TRUE(read->more);
  EXPECT_FALSE(small.Read(0, {kChat, 0, 0, 8}, {}));
}

}  // namespace
}  // namespace nightjar::persist
