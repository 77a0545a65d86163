#include "common/wire/topics.h"

#include <gtest/gtest.h>

namespace nightjar {
namespace {

TEST(Topics, ShortAndLongFormsAreTheSame) {
  for (const char* topic : {"chat/send", "s"}) EXPECT_EQ(ParseTopic(topic).kind, TopicKind::kSend);
  for (const char* topic : {"chat/ack", "a"}) EXPECT_EQ(ParseTopic(topic).kind, TopicKind::kAck);
  for (const char* topic : {"chat/req", "r"}) EXPECT_EQ(ParseTopic(topic).kind, TopicKind::kRequest);
  const Topic inbox = ParseTopic("i");
  EXPECT_EQ(inbox.kind, TopicKind::kInbox);
  EXPECT_EQ(inbox.encoding, Encoding::kProtobuf);
  EXPECT_EQ(inbox.uid, "");
}

TEST(Topics, OfAUserInBothEncodings) {
  const struct {
    const char* topic;
    TopicKind kind;
    Encoding encoding;
  } cases[] = {
      {"inbox/alice", TopicKind::kInbox, Encoding::kProtobuf},
      {"json/inbox/alice", TopicKind::kInbox, Encoding::kJson},
      {"tail/alice", TopicKind::kTail, Encoding::kProtobuf},
      {"json/tail/alice", TopicKind::kTail, Encoding::kJson},
      {"presence/alice", TopicKind::kPresence, Encoding::kProtobuf},
      {"json/presence/alice", TopicKind::kPresence, Encoding::kJson},
  };
  for (const auto& c : cases) {
    const Topic topic = ParseTopic(c.topic);
    EXPECT_EQ(topic.kind, c.kind) << c.topic;
    EXPECT_EQ(topic.encoding, c.encoding) << c.topic;
    EXPECT_EQ(topic.uid, "alice") << c.topic;
    EXPECT_EQ(topic.device, "") << c.topic;
  }
}

TEST(Topics, TheWillNamesUserAndDevice) {
  const Topic topic = ParseTopic("presence/alice.b/phone-1");
  EXPECT_EQ(topic.kind, TopicKind::kPresenceWill);
  EXPECT_EQ(topic.uid, "alice.b");
  EXPECT_EQ(topic.device, "phone-1");
  EXPECT_EQ(ParseTopic("json/presence/alice/phone").kind, TopicKind::kNone);
}

TEST(Topics, WhatIsNotExactlyOneOfOursIsNone) {
  for (const char* topic :
       {"", "/", "#", "+", "chat", "chat/", "chat/send/", "/chat/send", "chat/send ", "Chat/send",
        "chat/sendx", "S", "ss", "json/s", "json/i", "json/chat/send", "json", "json/",
        "json/json/inbox/alice", "inbox", "inbox/", "inbox/+", "inbox/#", "inbox/alice/",
        "inbox/alice/x", "inbox//alice", "inbox/al ice", "tail/", "tail/+", "tail/a/b", "presence",
        "presence/", "presence/+", "presence/#", "presence/+/phone", "presence/alice/+",
        "presence/alice/", "presence/alice/a.b", "presence/alice/phone/x", "presence//phone",
        "$share/g/inbox/alice", "$share/g/chat/send", "$SYS/broker/uptime", "svc", "svc/",
        "json/svc/store/1", "json/tail/#", "json/presence/+"}) {
    EXPECT_EQ(ParseTopic(topic).kind, TopicKind::kNone) << topic;
  }
  EXPECT_EQ(ParseTopic(std::string_view("chat/send\0", 10)).kind, TopicKind::kNone);
  EXPECT_EQ(ParseTopic(std::string_view("inbox/a\0b", 9)).kind, TopicKind::kNone);
  EXPECT_EQ(ParseTopic("inbox/" + std::string(65, 'a')).kind, TopicKind::kNone);
  EXPECT_EQ(ParseTopic("presence/a/" + std::string(33, 'a')).kind, TopicKind::kNone);
}

TEST(Topics, TheServicesKeepTheirWildcards) {
  for (const char* topic : {"svc/#", "svc/store/+", "svc/store/3", "svc/reply/b1"}) {
    EXPECT_EQ(ParseTopic(topic).kind, TopicKind::kService) << topic;
  }
}

}  // namespace
}  // namespace nightjar
