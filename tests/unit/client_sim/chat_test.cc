// One person's terminal against the fake server, on virtual time; and what typed lines mean.
#include "client-sim/people/chat.h"

#include <gtest/gtest.h>

#include <sstream>

#include "client-sim/people/text.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"
#include "tests/unit/client_sim/fake_server.h"

namespace nightjar::client {
namespace {

using Verb = Typed::Verb;

class ChatTest : public ::testing::Test {
 protected:
  struct Person {
    Person(FakeServer& server, const std::string& uid)
        : chat({uid, "phone", 1}, server.MakeLink(uid, "phone"), &terminal) {}
    std::ostringstream out;
    Terminal terminal{out, /*colours=*/false};
    Chat chat;
    // True if some line has this; from here on only newer ones are looked at.
    bool Shows(const std::string& what) {
      const bool found = out.str().find(what, seen) != std::string::npos;
      seen = found ? out.str().find(what, seen) + what.size() : seen;
      return found;
    }
    size_t seen = 0;
  };

  void Run(int64_t ms) {
    for (const int64_t until = now_.mono_ms + ms; now_.mono_ms <= until; now_.mono_ms += 10) {
      alice_.chat.Step(now_);
      bob_.chat.Step(now_);
      now_.unix_ms += 10;
    }
  }

  FakeServer server_;
  Now now_{.mono_ms = 1000, .unix_ms = 1'700'000'000'000};
  Person alice_{server_, "alice"}, bob_{server_, "bob"};
};

TEST_F(ChatTest, AMessageIsAcceptedShownAndDelivered) {
  alice_.chat.Line("/to bob");
  alice_.chat.Line("hello, bob");
  bob_.chat.Line("/to alice");
  Run(1000);
  EXPECT_TRUE(alice_.Shows("connected as alice (phone)"));
  EXPECT_TRUE(alice_.Shows("✓ hello, bob"));
  EXPECT_TRUE(alice_.Shows("✓✓ bob has: hello, bob")) << alice_.out.str();
  EXPECT_TRUE(bob_.Shows("alice: hello, bob")) << bob_.out.str();
}

TEST_F(ChatTest, MessagesOfOtherChatsCarryTheirName) {
  alice_.chat.Line("/new \"Friday dinner\" bob");
  alice_.chat.Line("who brings cake?");
  Run(1000);
  EXPECT_TRUE(alice_.Shows("a new group \"Friday dinner\" of 2")) << alice_.out.str();
  EXPECT_TRUE(alice_.Shows("✓ who brings cake?")) << "it waited for the group";
  alice_.chat.Line("/to bob");
  alice_.chat.Line("and between us: who?");
  Run(1000);
  EXPECT_TRUE(bob_.Shows("[alice] alice: and between us: who?")) << bob_.out.str();
}

TEST_F(ChatTest, WhatIsTypedWithoutAConnectionWaitsAndIsSent) {
  alice_.chat.Line("/to bob");
  Run(500);
  server_.CutAll();
  alice_.chat.Line("are you there?");
  alice_.chat.Step(now_);
  EXPECT_TRUE(alice_.Shows("not connected: cut; trying again")) << alice_.out.str();
  EXPECT_TRUE(alice_.Shows("1 to be sent"));
  Run(1000);
  EXPECT_TRUE(alice_.Shows("connected as alice")) << alice_.out.str();
  EXPECT_TRUE(alice_.Shows("✓ are you there?"));
  EXPECT_TRUE(bob_.Shows("are you there?"));
}

TEST_F(ChatTest, TheEndWaitsForAnswersAndIsGood) {
  alice_.chat.Line("/to bob");
  alice_.chat.Line("last words");
  alice_.chat.EndOfInput(now_);
  EXPECT_FALSE(alice_.chat.wants_lines());
  Run(1000);
  EXPECT_TRUE(alice_.chat.done());
  EXPECT_TRUE(alice_.chat.good());
  EXPECT_TRUE(bob_.Shows("last words"));
}

TEST_F(ChatTest, TheEndSaysWhatWasNotSent) {
  server_.reject_for_now = 1000;
  alice_.chat.Line("/to bob");
  alice_.chat.Line("into the void");
  Run(300);
  alice_.chat.EndOfInput(now_);
  Run(4000);
  EXPECT_FALSE(alice_.chat.done());
  Run(2000);
  EXPECT_TRUE(alice_.chat.done());
  EXPECT_FALSE(alice_.chat.good());
  EXPECT_TRUE(alice_.Shows("not known to be sent: into the void")) << alice_.out.str();
}

// Every try to connect fails.
class DeadLink final : public Link {
 public:
  void Open() override { tried_ = true; }
  void Close() override { tried_ = false; }
  void Subscribe(const std::string&) override {}
  void Publish(const std::string&, const std::string&) override {}
  void Poll(std::vector<LinkEvent>& out) override {
    out.clear();
    if (tried_) out.push_back({LinkEvent::Kind::kDown, "", "refused"});
    tried_ = false;
  }

 private:
  bool tried_ = false;
};

TEST(LonelyChatTest, TheEndWithoutAnyConnectionIsNotGood) {
  std::ostringstream out;
  Terminal terminal(out, /*colours=*/false);
  Chat chat({"carol", "phone", 1}, std::make_unique<DeadLink>(), &terminal);
  Now now{.mono_ms = 1000, .unix_ms = 1'700'000'000'000};
  chat.EndOfInput(now);
  for (int i = 0; i < 3 && !chat.done(); ++i) chat.Step(now);
  EXPECT_TRUE(chat.done());
  EXPECT_FALSE(chat.good());
  EXPECT_NE(out.str().find("there never was a connection"), std::string::npos) << out.str();
}

TEST_F(ChatTest, QuitEndsAndDropsWhatFollows) {
  alice_.chat.Line("/quit");
  alice_.chat.Line("never");
  Run(100);
  EXPECT_TRUE(alice_.chat.done());
  EXPECT_TRUE(alice_.chat.good());
}

TEST_F(ChatTest, MistakesGetOneClearLineAndNothingIsSent) {
  for (const char* line : {"nobody listens", "/to not/a/uid", "/fly", "/history 0", "/members",
                           "/leave", "bad \xff bytes", "/new \"open end"}) {
    alice_.chat.Line(line);
    Run(20);
    EXPECT_TRUE(alice_.Shows("✗ ")) << line << alice_.out.str();
  }
  Run(500);
  EXPECT_EQ(server_.sends_seen(), 0U);
}

TEST_F(ChatTest, WhatOthersWriteCannotTouchTheTerminal) {
  alice_.chat.Line("/to bob");
  alice_.chat.Line("\x1b[2J red \x07 \xc2\x9b");
  Run(1000);
  EXPECT_TRUE(bob_.Shows("[2J red"));
  EXPECT_EQ(bob_.out.str().find('\x1b'), std::string::npos);
  EXPECT_EQ(bob_.out.str().find('\x07'), std::string::npos);
  EXPECT_EQ(bob_.out.str().find("\xc2\x9b"), std::string::npos);
}

TEST_F(ChatTest, TypingAheadIsBounded) {
  server_.reject_for_now = 1'000'000;
  alice_.chat.Line("/to bob");
  Run(500);
  int taken = 0;
  for (int i = 0; i < 1000; ++i) {
    if (alice_.chat.wants_lines()) {
      alice_.chat.Line("word");
      ++taken;
    }
    alice_.chat.Step(now_);
  }
  EXPECT_EQ(taken, 200 + 16);
}

TEST(ChatCommands, AreReadWithTheirWords) {
  const Typed made = ParseTyped("/new \"Friday dinner\" bob carol");
  EXPECT_EQ(made.verb, Verb::kNew);
  EXPECT_EQ(made.text, "Friday dinner");
  EXPECT_EQ(made.words, (std::vector<std::string>{"bob", "carol"}));
  EXPECT_EQ(ParseTyped("/open Friday dinner ").text, "Friday dinner");
  EXPECT_EQ(ParseTyped("/history").number, 20);
  EXPECT_EQ(ParseTyped("/history 7").number, 7);
  EXPECT_EQ(ParseTyped("/mute").number, -1);
  EXPECT_EQ(ParseTyped("/mute off").number, 0);
  EXPECT_EQ(ParseTyped("/mute 30").number, 30);
  EXPECT_EQ(ParseTyped("//to is a command").text, "/to is a command");
  EXPECT_EQ(ParseTyped("  ").verb, Verb::kNothing);
  EXPECT_EQ(ParseTyped("").verb, Verb::kNothing);
  for (const auto& bad : {"/history 201", "/history x", "/mute 0", "/new", "/who a/b", "/quit now",
                          "/to", "/to a b", "/open", "/add", "/"}) {
    EXPECT_EQ(ParseTyped(bad).verb, Verb::kBad) << bad;
  }
  EXPECT_EQ(ParseTyped(std::string(limits::kText, 'x')).verb, Verb::kSay);
  EXPECT_EQ(ParseTyped(std::string(limits::kText + 1, 'x')).verb, Verb::kBad);
}

TEST(Text, Utf8IsCheckedToTheLastByte) {
  for (const char* good : {"", "a", "ü", "€", "😀", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(ValidUtf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc0\x80", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xff", "\xc3(", "\xf0\x8f\x80\x80", "\xe0\x9f\xbf"}) {
    EXPECT_FALSE(ValidUtf8(bad)) << bad;
  }
}

TEST(Text, LinesComeInAnyPieces) {
  LineSplitter lines(5);
  lines.Put("ab");
  EXPECT_FALSE(lines.Next());
  lines.Put("c\r\n\nlonger than five");
  EXPECT_EQ(lines.Next()->text, "abc");
  EXPECT_EQ(lines.Next()->text, "");
  EXPECT_TRUE(lines.Next()->too_long);
  EXPECT_FALSE(lines.Next());
  for (int i = 0; i < 100; ++i) lines.Put(std::string(1000, 'x'));
  EXPECT_FALSE(lines.Next());
  lines.Put("x\nlast");
  EXPECT_FALSE(lines.Next());
  EXPECT_EQ(lines.Rest()->text, "last");
  EXPECT_FALSE(lines.Rest());
}

}  // namespace
}  // namespace nightjar::client
