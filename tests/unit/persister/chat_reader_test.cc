#include "persister/chat_reader.h"

#include <gtest/gtest.h>

#include <random>

#include "persister/hot_chats.h"
#include "tests/unit/persister/reader_world.h"

namespace nightjar::persist {
namespace {

constexpr char kChat[] = "d:alice:bob";
constexpr char kGroup[] = "g:abcdefghijklmnopqrstuvwxyz";

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

TEST(ChatReader, SeesWhatIsStoredWhatIsNotAndBothOnce) {
  ReaderWorld world;
  std::vector<MsgId> sent;
  for (int i = 0; i < 10; ++i) sent.push_back(world.Say("alice", kChat));
  world.Persist(4);         // stored and trimmed
  world.Persist(3, false);  // stored, still in the journal
  const auto view = world.Ask("bob", "open_chat { chat_id: 'd:alice:bob' }").chat_view();
  EXPECT_EQ(Ids(view.messages()), sent);
  EXPECT_FALSE(view.more());
  EXPECT_EQ(view.chat().kind(), v1::Chat::DIRECT);
  EXPECT_EQ(view.chat().member_count(), 2u);
  EXPECT_EQ(view.chat().members(0), "alice");
  EXPECT_EQ(view.chat().last_msg_id(), sent.back());
  EXPECT_EQ(view.chat().created_by(), "alice");
  EXPECT_EQ(view.presence_size(), 2);
}

TEST(ChatReader, WhatIsTrimmedBetweenTailAndStoreIsSeen) {
  ReaderWorld world;
  std::vector<MsgId> sent;
  for (int i = 0; i < 10; ++i) sent.push_back(world.Say("alice", kChat));
  world.store.before_history = [&] { world.Persist(); };
  EXPECT_EQ(Ids(world.Ask("bob", "history { chat_id: 'd:alice:bob' }").history().messages()), sent);
  // And the moment the tail has been read.
  for (int i = 0; i < 10; ++i) sent.push_back(world.Say("alice", kChat));
  world.store.before_history = nullptr;
  world.hub.after_call = [&](const hub::Call& call) {
    if (std::holds_alternative<hub::ReadLog>(call)) world.Persist();
  };
  EXPECT_EQ(Ids(world.Ask("bob", "history { chat_id: 'd:alice:bob' }").history().messages()), sent);
}

TEST(ChatReader, PagesAreTheSameWhereverTheBoundaryOfTheStoreIs) {
  for (size_t stored = 0; stored <= 12; stored += 3) {
    SCOPED_TRACE(stored);
    ReaderWorld world;
    std::vector<MsgId> sent;
    for (int i = 0; i < 12; ++i) sent.push_back(world.Say(i % 2 ? "alice" : "bob", kChat));
    world.Persist(stored);
    std::mt19937 random(7);
    for (int i = 0; i < 200; ++i) {
      const MsgId before = random() % 3 ? sent[random() % 12] + random() % 3 - 1 : 0;
      const MsgId after = random() % 3 ? sent[random() % 12] + random() % 3 - 1 : 0;
      const size_t limit = 1 + random() % 6;
      std::vector<MsgId> expected;
      for (const MsgId id : sent) {
        if (id > after && (before == 0 || id < before)) expected.push_back(id);
      }
      const bool more = expected.size() > limit;
      if (more && after != 0 && before == 0) {
        expected.resize(limit);
      } else if (more) {
        expected.erase(expected.begin(), expected.end() - static_cast<ptrdiff_t>(limit));
      }
      const auto page = world.Ask(
          "alice", "history { chat_id: 'd:alice:bob' before_msg_id: " + std::to_string(before) +
                       " after_msg_id: " + std::to_string(after) +
                       " limit: " + std::to_string(limit) + " }");
      ASSERT_TRUE(page.has_history());
      ASSERT_EQ(Ids(page.history().messages()), expected) << before << " " << after << " " << limit;
      ASSERT_EQ(page.history().more(), more);
    }
  }
}

TEST(ChatReader, WhatHasExpiredIsNotSeenWhereverItIs) {
  ReaderWorld world;
  world.store.Keep({60'000, [&] { return world.hub.now_ms.load(); }});
  world.Say("alice", kChat);
  world.Say("bob", kChat);
  world.Persist(1);  // the other is in the journal's tail
  EXPECT_EQ(world.Ask("bob", "open_chat { chat_id: 'd:alice:bob' }").chat_view().messages_size(),
            2);
  const MsgId kept = world.Say("alice", kChat, "later", 61'000);
  const auto view = world.Ask("bob", "open_chat { chat_id: 'd:alice:bob' limit: 1 }").chat_view();
  EXPECT_EQ(Ids(view.messages()), std::vector<MsgId>{kept});
  EXPECT_FALSE(view.more());
  world.hub.now_ms += 61'000;
  const auto list = world.Ask("bob", "list_chats {}").chats();
  ASSERT_EQ(list.chats_size(), 1);
  EXPECT_FALSE(list.chats(0).has_last_message());
  EXPECT_EQ(list.chats(0).chat().last_msg_id(), kept);
  EXPECT_EQ(world.Ask("bob", "history { chat_id: 'd:alice:bob' }").history().messages_size(), 0);
}

TEST(ChatReader, WhatHasExpiredIsNotAnsweredFromMemoryEither) {
  ReaderWorld world;
  HotChats hot({.partitions = kReaderPartitions, .mono_ms = [] { return 0; }});
  hot.SetLeases(std::vector<HotChats::Lease>(kReaderPartitions, {1, 1'000'000}));
  ChatReader reader({.partitions = kReaderPartitions}, world.hub, world.store, &hot);
  const auto ask = [&](uint32_t limit, MsgId after = 0) {
    v1::Request request;
    request.mutable_history()->set_chat_id(kChat);
    request.mutable_history()->set_limit(limit);
    request.mutable_history()->set_after_msg_id(after);
    return reader.Answer("bob", request).history();
  };
  world.store.Keep({60'000, [&] { return world.hub.now_ms.load(); }});
  world.Say("alice", kChat);
  world.Say("bob", kChat, "second", 30'000);
  const MsgId last = world.Say("alice", kChat, "third", 1);
  world.Persist();
  EXPECT_EQ(ask(10).messages_size(), 3);
  ASSERT_EQ(hot.counters().chats, 1u);
  world.hub.now_ms += 30'000;
  for (const uint32_t limit : {10u, 2u}) {
    const auto page = ask(limit);
    EXPECT_EQ(page.messages_size(), 2);
    EXPECT_FALSE(page.more()) << limit;
  }
  EXPECT_EQ(ask(1, 1).messages_size(), 1);
  EXPECT_TRUE(ask(1, 1).more());
  EXPECT_EQ(Ids(ask(1).messages()), std::vector<MsgId>{last});
  EXPECT_TRUE(ask(1).more());
  EXPECT_GT(hot.counters().hits, 2u);
  world.hub.now_ms += 60'000;
  EXPECT_EQ(ask(10).messages_size(), 0);
  EXPECT_FALSE(ask(10).more());
}

TEST(ChatReader, OnlyTheAuthorSeesClientMsgIdAndDevice) {
  ReaderWorld world;
  world.Say("alice", kChat);
  world.Persist();
  world.Say("alice", kChat);
  for (const char* ask :
       {"open_chat { chat_id: 'd:alice:bob' }", "history { chat_id: 'd:alice:bob' }"}) {
    const auto own = world.Ask("alice", ask);
    const auto other = world.Ask("bob", ask);
    for (int i = 0; i < 2; ++i) {
      const auto& mine =
          own.has_history() ? own.history().messages(i) : own.chat_view().messages(i);
      const auto& theirs =
          other.has_history() ? other.history().messages(i) : other.chat_view().messages(i);
      EXPECT_EQ(mine.client_msg_id(), static_cast<uint64_t>(i + 1));
      EXPECT_EQ(mine.device(), "phone");
      EXPECT_EQ(theirs.client_msg_id(), 0u);
      EXPECT_EQ(theirs.device(), "");
    }
  }
  EXPECT_EQ(world.Ask("bob", "list_chats {}").chats().chats(0).last_message().device(), "");
}

TEST(ChatReader, NoSuchChatAndNotYoursAreTheSame) {
  ReaderWorld world;
  world.Create(kGroup, {"alice", "bob", "carol"});
  world.Say("alice", kChat);
  world.Say("carol", kGroup);
  world.Remove(kGroup, "alice", "carol");
  std::set<std::string> errors;
  for (const std::string ask : {"open_chat", "history"}) {
    for (const std::string chat : {kChat, kGroup, "g:zzzzzzzzzzzzzzzzzzzzzzzzzz", "d:x:y"}) {
      const auto response = world.Ask("mallory", ask + " { chat_id: " + Quoted(chat) + " }");
      errors.insert(response.error().SerializeAsString());
      EXPECT_EQ(response.error().code(), v1::PERMISSION_DENIED);
    }
    errors.insert(world.Ask("carol", ask + " { chat_id: " + Quoted(kGroup) + " }")
                      .error()
                      .SerializeAsString());
  }
  EXPECT_EQ(errors.size(), 1u);
  EXPECT_EQ(world.Ask("alice", "history { chat_id: 'nonsense' }").error().code(),
            v1::INVALID_ARGUMENT);
  EXPECT_EQ(world.Ask("alice", "open_chat { to: 'a b' }").error().code(), v1::INVALID_ARGUMENT);
  EXPECT_EQ(world.Ask("alice", "whoami {}").error().code(), v1::INVALID_ARGUMENT);
}

TEST(ChatReader, ADirectChatThatDoesNotExistYetIsEmpty) {
  ReaderWorld world;
  const auto view = world.Ask("bob", "open_chat { to: 'alice' }").chat_view();
  EXPECT_EQ(view.chat().chat_id(), kChat);
  EXPECT_EQ(view.chat().kind(), v1::Chat::DIRECT);
  EXPECT_EQ(view.chat().member_count(), 2u);
  EXPECT_EQ(view.chat().created_ms(), 0);
  EXPECT_EQ(view.messages_size(), 0);
  EXPECT_EQ(view.presence_size(), 2);
  const auto notepad = world.Ask("bob", "open_chat { to: 'bob' }").chat_view();
  EXPECT_EQ(notepad.chat().chat_id(), "d:bob:bob");
  EXPECT_EQ(notepad.chat().member_count(), 1u);
}

TEST(ChatReader, ABigGroupShowsItsFirstMembers) {
  ReaderWorld world;
  std::vector<std::string> members = {"alice"};
  for (int i = 0; i < 99; ++i) members.push_back("u" + std::to_string(100 + i));
  world.Create(kGroup, members);
  world.Say("alice", kGroup);
  const auto view = world.Ask("u150", "open_chat { chat_id: '" + std::string(kGroup) + "' }");
  const v1::Chat& chat = view.chat_view().chat();
  EXPECT_EQ(chat.member_count(), 100u);
  EXPECT_EQ(chat.members_size(), 64);
  EXPECT_TRUE(std::is_sorted(chat.members().begin(), chat.members().end()));
  EXPECT_EQ(chat.title(), "title");
  EXPECT_EQ(view.chat_view().presence_size(), 64);
}

TEST(ChatReader, DeliveredMarksComeAlong) {
  ReaderWorld world;
  world.hub.fake().Admit({"b1#1"});
  world.hub.Do(hub::Login{
      .uid = "bob", .device = "phone", .broker = "b1#1", .session = 1, .name = "", .email = ""});
  const MsgId id = world.Say("alice", kChat);
  hub::Ack acked;
  acked.uid = "bob";
  acked.device = "phone";
  acked.epoch = acked.seq = 1;
  acked.marks = {{kChat, id, {}}};
  const auto ack = std::get<hub::AckReply>(world.hub.Do(acked));
  ASSERT_EQ(ack.moved.size(), 1u);
  const auto view = world.Ask("alice", "open_chat { to: 'bob' }").chat_view();
  ASSERT_EQ(view.delivered_size(), 1);
  EXPECT_EQ(view.delivered(0).uid(), "bob");
  EXPECT_EQ(view.delivered(0).msg_id(), id);
}

TEST(ChatReader, LimitsHaveDefaultsAndEnds) {
  ReaderWorld world;
  for (int i = 0; i < 250; ++i) world.Say("alice", kChat);
  world.Persist();
  EXPECT_EQ(world.Ask("bob", "history { chat_id: 'd:alice:bob' }").history().messages_size(), 50);
  EXPECT_EQ(
      world.Ask("bob", "history { chat_id: 'd:alice:bob' limit: 9999 }").history().messages_size(),
      200);
  const auto view = world.Ask("bob", "open_chat { to: 'alice' limit: 60 }").chat_view();
  EXPECT_EQ(view.messages_size(), 60);
  EXPECT_TRUE(view.more());
}

TEST(ChatReader, AnAnswerThatWouldBeTooLargeIsCutWhereItCanGoOn) {
  ReaderWorld world(10'000);
  std::vector<MsgId> sent;
  for (int i = 0; i < 20; ++i) sent.push_back(world.Say("alice", kChat, std::string(1'000, 'x')));
  auto page = world.Ask("bob", "history { chat_id: 'd:alice:bob' }").history();
  EXPECT_TRUE(page.more());
  EXPECT_LT(page.ByteSizeLong(), 11'000u);
  EXPECT_EQ(page.messages().rbegin()->msg_id(), sent.back());
  page = world.Ask("bob", "history { chat_id: 'd:alice:bob' after_msg_id: 1 }").history();
  EXPECT_TRUE(page.more());
  EXPECT_EQ(page.messages(0).msg_id(), sent.front());
}

TEST(ChatReader, ListsChatsNewestFirstInPagesWithoutLeftOnes) {
  ReaderWorld world;
  world.Create(kGroup, {"bob", "alice"});
  std::vector<std::string> order;
  for (int i = 0; i < 9; ++i) {
    const std::string chat = "d:alice:u" + std::to_string(i);
    world.Say("u" + std::to_string(i), chat);
    order.insert(order.begin(), chat);
  }
  world.Persist(2);
  const MsgId newest = world.Say("alice", "d:alice:u4", "again");
  std::erase(order, "d:alice:u4");
  order.insert(order.begin(), "d:alice:u4");
  world.Remove(kGroup, "bob", "alice");  // the newest entry of all, and not to be listed
  std::vector<std::string> seen;
  std::string before = "0";
  for (int pages = 0; pages < 10; ++pages) {
    const auto list = world.Ask("alice", "list_chats { limit: 4 before_msg_id: " + before + " }");
    ASSERT_TRUE(list.has_chats()) << list.ShortDebugString();
    for (const auto& summary : list.chats().chats()) {
      seen.push_back(summary.chat().chat_id());
      EXPECT_EQ(summary.last_message().msg_id(), summary.chat().last_msg_id());
      before = std::to_string(summary.chat().last_msg_id());
    }
    if (!list.chats().more()) break;
  }
  EXPECT_EQ(seen, order);
  EXPECT_EQ(world.Ask("alice", "list_chats {}").chats().chats(0).chat().last_msg_id(), newest);
  EXPECT_EQ(world.Ask("nobody", "list_chats {}").chats().chats_size(), 0);
}

TEST(ChatReader, PagesOfChatsDoNotTearEqualIdsApart) {
  ReaderWorld world;
  // Two chats a millisecond: the same id in both.
  for (int i = 0; i < 10; ++i) {
    world.Say("alice", "d:alice:u" + std::to_string(i), "x", i % 2 == 0 ? 1 : 0);
  }
  std::set<std::string> seen;
  std::string before = "0";
  for (int pages = 0; pages < 20; ++pages) {
    const auto list = world.Ask("alice", "list_chats { limit: 3 before_msg_id: " + before + " }");
    EXPECT_LE(list.chats().chats_size(), 3);
    for (const auto& summary : list.chats().chats()) {
      EXPECT_TRUE(seen.insert(summary.chat().chat_id()).second);
      before = std::to_string(summary.chat().last_msg_id());
    }
    if (!list.chats().more()) break;
  }
  EXPECT_EQ(seen.size(), 10u);
}

TEST(ChatReader, StoreOrHubAwayIsUnavailable) {
  ReaderWorld world;
  world.Say("alice", kChat);
  world.Persist();  // a list of chats is answered from the journal alone where it can be
  const std::vector<std::string> asks = {"open_chat { to: 'alice' }",
                                         "history { chat_id: 'd:alice:bob' }", "list_chats {}"};
  world.store.away = true;
  for (const auto& ask : asks) {
    const auto response = world.Ask("bob", ask);
    EXPECT_EQ(response.error().code(), v1::UNAVAILABLE) << ask;
    EXPECT_GT(response.error().retry_after_ms(), 0u);
    EXPECT_EQ(response.error().message().find('/'), std::string::npos)
        << "paths are not for clients";
  }
  world.store.away = false;
  world.hub.away = true;
  for (const auto& ask : asks) {
    EXPECT_EQ(world.Ask("bob", ask).error().code(), v1::UNAVAILABLE) << ask;
  }
}

}  // namespace
}  // namespace nightjar::persist
