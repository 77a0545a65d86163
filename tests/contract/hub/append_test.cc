// Appends of several messages at once: each to whoever lacks it, in order, repeated and
// interleaved.
#include "tests/contract/hub/hub_test.h"

namespace nightjar::hub::contract {

class AppendTest : public HubTest {
 protected:
  using Lists = std::vector<std::vector<Delivery>>;

  static MsgId Id(uint32_t n) { return MakeMsgId(kStartMs, n); }
  // Messages n of nobody: chat changes, as it were.
  static hub::Append Of(const std::vector<uint32_t>& messages, std::vector<std::string> uids,
                        const BrokerName& broker = kB1, const std::string& chat = kGroup) {
    hub::Append append{chat, {}, std::move(uids), broker};
    for (const uint32_t n : messages) {
      append.messages.push_back({Id(n), "", "", "e" + std::to_string(n), ""});
    }
    return append;
  }
  Lists Deliver(const hub::Append& append) { return Ask<AppendReply>(append).deliveries; }
  std::string InboxOf(const std::string& uid) {
    std::string text;
    for (const auto& entry : Inbox(uid).entries) text += (text.empty() ? "" : " ") + entry;
    return text;
  }
};
NIGHTJAR_HUB_SUITE(AppendTest);

TEST_P(AppendTest, EveryMessageForEveryUser) {
  Login("alice");
  Login("bob");
  const auto append = Of({1, 2, 3}, {"bob", "carol", "alice"});
  EXPECT_EQ(
      Deliver(append),
      (Lists{{{"bob", 1}, {"alice", 1}}, {{"bob", 2}, {"alice", 2}}, {{"bob", 3}, {"alice", 3}}}));
  for (const char* uid : {"alice", "bob", "carol"}) EXPECT_EQ(InboxOf(uid), "e1 e2 e3");
  EXPECT_EQ(Ask<UserChatsReply>(UserChats{"carol"}).chats.at(0).second, Id(3));
  EXPECT_TRUE(IsDue("carol"));
  EXPECT_EQ(HiddenUser("carol").owed, 1u);
}

TEST_P(AppendTest, RepeatedItDoesNothing) {
  Login("alice");
  const auto append = Of({1, 2}, {"alice", "bob"});
  Do(append);
  const std::string before = DumpAll();
  EXPECT_EQ(Deliver(append), (Lists{{}, {}}));
  EXPECT_EQ(DumpAll(), before);
}

TEST_P(AppendTest, WhoHasSomeGetsTheRest) {
  Login("alice");
  Login("bob");
  Do(Of({1, 2}, {"bob"}));
  EXPECT_EQ(Deliver(Of({1, 2, 3}, {"alice", "bob"})),
            (Lists{{{"alice", 1}}, {{"alice", 2}}, {{"alice", 3}, {"bob", 3}}}));
  EXPECT_EQ(InboxOf("alice"), "e1 e2 e3");
  EXPECT_EQ(InboxOf("bob"), "e1 e2 e3");
}

// Two brokers at the same tasks, one of which has lost its lease and does not know: in whatever
// order their steps happen, nobody gets anything twice, or out of order.
TEST_P(AppendTest, StepsOfTwoHoldersInterleaved) {
  Do(Of({1, 2, 3}, {"alice", "bob"}, kB1));
  Do(Of({1, 2}, {"alice", "bob", "carol"}, kB2));
  Do(Of({1, 2, 3}, {"carol", "dave"}, kB1));
  Do(Of({3, 4}, {"alice", "bob", "carol", "dave"}, kB2));
  Do(Of({1, 2, 3, 4}, {"dave", "carol", "bob", "alice"}, kB1));
  for (const auto& uid : names_.uids) EXPECT_EQ(InboxOf(uid), "e1 e2 e3 e4") << uid;
}

TEST_P(AppendTest, ChatsCountByThemselves) {
  Do(Of({2}, {"alice"}, kB1, kOther));
  Do(Of({1, 3}, {"alice"}));
  Do(Of({2, 4}, {"alice"}, kB1, kOther));
  EXPECT_EQ(InboxOf("alice"), "e2 e1 e3 e4");
}

TEST_P(AppendTest, NothingForNobody) {
  const std::string before = DumpAll();
  EXPECT_EQ(Deliver(Of({1, 2}, {})), (Lists{{}, {}}));
  EXPECT_EQ(Deliver(Of({}, {"alice"})), Lists{});
  EXPECT_EQ(DumpAll(), before);
}

TEST_P(AppendTest, EachMessageHasItsOwnAuthor) {
  Login("alice", "phone");
  Login("bob", "phone");
  Login("bob", "tablet", kB1, 2);
  hub::Append append{kGroup,
                     {{Id(1), "alice", "phone", "a1", "own a1"},
                      {Id(2), "bob", "phone", "b2", "own b2"},
                      {Id(3), "", "", "c3", ""}},
                     {"alice", "bob", "carol"},
                     kB1};
  EXPECT_EQ(Deliver(append),
            (Lists{{{"bob", 1}}, {{"alice", 1}, {"bob", 2}}, {{"alice", 2}, {"bob", 3}}}));
  EXPECT_EQ(InboxOf("alice"), "b2 c3") << "the only device is the one that sent a1";
  EXPECT_EQ(InboxOf("bob"), "a1 own b2 c3");
  EXPECT_EQ(InboxOf("carol"), "a1 b2 c3");
  append.messages.resize(1);
  EXPECT_EQ(Deliver(append), Lists{{}}) << "what was left out counts as had";
}

TEST_P(AppendTest, AsManyAsMayBe) {
  std::vector<uint32_t> all(kAppendMessages);
  for (uint32_t i = 0; i < all.size(); ++i) all[i] = i + 1;
  const auto people = Numbered("u", 64);
  Login(people[63]);
  const auto lists = Deliver(Of(all, people));
  ASSERT_EQ(lists.size(), kAppendMessages);
  for (uint64_t i = 0; i < lists.size(); ++i) {
    EXPECT_EQ(lists[i], (std::vector<Delivery>{{people[63], i + 1}}));
  }
  for (const auto& uid : people) EXPECT_EQ(Head(uid), kAppendMessages);
}

TEST_P(AppendTest, OtherBrokersAreToldOfWhatIsNew) {
  Listen({"b1", "b2"});
  Login("alice", "phone", kB1, 1);
  Login("bob", "phone", kB2, 1);
  Login("carol", "phone", kB2, 2);
  Do(Of({1}, {"bob"}));
  EXPECT_EQ(Told(), (Relays{{"b2", {Entry("e1", {{"bob", 1}})}}}));
  EXPECT_EQ(Deliver(Of({1, 2}, {"carol", "alice", "bob"})),
            (Lists{{{"alice", 1}}, {{"alice", 2}}}));
  EXPECT_EQ(
      Told(),
      (Relays{{"b2", {Entry("e1", {{"carol", 1}}), Entry("e2", {{"carol", 2}, {"bob", 2}})}}}));
  EXPECT_EQ(Deliver(Of({1, 2}, {"carol", "alice", "bob"}, kB2)), (Lists{{}, {}}));
  EXPECT_TRUE(Told().empty());
  EXPECT_EQ(Deliver(Of({3}, {"carol", "alice", "bob"}, kB2)), (Lists{{{"carol", 3}, {"bob", 3}}}));
  EXPECT_EQ(Told(), (Relays{{"b1", {Entry("e3", {{"alice", 3}})}}}));
}

}  // namespace nightjar::hub::contract
