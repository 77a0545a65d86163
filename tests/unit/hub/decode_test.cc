// Replies of every shape, right and wrong, built with hiredis's own parser.
#include "common/hub/redis/decode.h"

#include <gtest/gtest.h>

#include <memory>

#include "common/hub/redis/encode.h"

namespace nightjar::hub {
namespace {

Reply Parse(const Call& call, const std::string& resp) {
  redisReader* reader = redisReaderCreate();
  redisReaderFeed(reader, resp.data(), resp.size());
  void* raw = nullptr;
  redisReaderGetReply(reader, &raw);
  if (raw == nullptr) ADD_FAILURE() << "no whole reply in " << resp;
  Reply reply = raw == nullptr ? Reply{} : Decode(call, *static_cast<redisReply*>(raw));
  freeReplyObject(raw);
  redisReaderFree(reader);
  return reply;
}

// A literal with zeros in it.
template <size_t N>
std::string Bytes(const char (&text)[N]) {
  return {text, N - 1};
}

bool Internal(const Reply& reply) {
  const Failure* failure = std::get_if<Failure>(&reply);
  return failure != nullptr && failure->kind == Failure::Kind::kInternal;
}

Send DirectSend() {
  Send send;
  send.chat = "d:alice:bob";
  return send;
}

TEST(Decode, AnAcceptedSend) {
  const Reply reply =
      Parse(DirectSend(), Bytes("*5\r\n:0\r\n$8\r\n\1\0\0\0\0\0\0\0\r\n:1\r\n:2\r\n:9\r\n"));
  const SendReply& send = std::get<SendReply>(reply);
  EXPECT_EQ(send.msg_id, 1u);
  EXPECT_TRUE(send.task);
  EXPECT_EQ(send.deliveries, (std::vector<Delivery>{{"bob", 9}}));
}

TEST(Decode, NamesTheFunctionOfAWrongShape) {
  const Reply reply = Parse(DirectSend(), "+OK\r\n");
  ASSERT_TRUE(Internal(reply));
  EXPECT_NE(std::get<Failure>(reply).message.find("nj_send"), std::string::npos);
}

TEST(Decode, RefusesWhatCannotBe) {
  for (const char* wrong :
       {"*0\r\n",                         // no outcome
        "*1\r\n:17\r\n",                  // an outcome that is none
        "*1\r\n:0\r\n",                   // accepted without an id
        "*2\r\n:1\r\n$3\r\nabc\r\n",      // an id of three bytes
        "*3\r\n:2\r\n$1\r\nx\r\n:1\r\n",  // a version that is no number
        ":5\r\n", "$-1\r\n", "*-1\r\n", "*1\r\n:-1\r\n", "*1\r\n*1\r\n:0\r\n"}) {
    EXPECT_TRUE(Internal(Parse(DirectSend(), wrong))) << wrong;
  }
}

TEST(Decode, ADeliveryToNobodyIsWrong) {
  EXPECT_TRUE(Internal(
      Parse(DirectSend(), Bytes("*5\r\n:0\r\n$8\r\n\1\0\0\0\0\0\0\0\r\n:0\r\n:3\r\n:9\r\n"))));
  Append append;
  append.uids = {"a"};
  append.messages.resize(1);
  EXPECT_EQ(std::get<AppendReply>(Parse(append, "*1\r\n*2\r\n:1\r\n:9\r\n")).deliveries,
            (std::vector<std::vector<Delivery>>{{{"a", 9}}}));
  EXPECT_TRUE(Internal(Parse(append, "*1\r\n*2\r\n:2\r\n:1\r\n")));
  EXPECT_TRUE(Internal(Parse(append, "*1\r\n*1\r\n:1\r\n")));
  EXPECT_TRUE(Internal(Parse(append, "*0\r\n")));
}

TEST(Decode, EveryCallTakesAnyShapeWithoutACrash) {
  const std::vector<Call> calls = {Send{},
                                   Append{},
                                   CreateChat{},
                                   UpdateChat{},
                                   GetChat{},
                                   GetReceipts{},
                                   UserChats{},
                                   Login{},
                                   Logout{},
                                   Tail{},
                                   ListSessions{},
                                   ReadInbox{},
                                   Ack{},
                                   MoveMark{},
                                   TellMark{},
                                   Heads{},
                                   GetDevice{},
                                   SetPresence{},
                                   GetPresence{},
                                   Watch{},
                                   Beat{},
                                   Fence{},
                                   Gone{},
                                   PutPush{},
                                   PutMute{},
                                   Lease{},
                                   ReadLog{},
                                   TrimLog{},
                                   PutDeadLetter{},
                                   ListDeadLetters{},
                                   DropDeadLetter{},
                                   RestoreChat{},
                                   RestoreUser{},
                                   Rebuild{},
                                   Retire{},
                                   Info{}};
  ASSERT_EQ(calls.size(), std::variant_size_v<Call>);
  for (const Call& call : calls) {
    for (const char* shape :
         {"+OK\r\n", ":7\r\n", "$-1\r\n", "$0\r\n\r\n", "*-1\r\n", "*1\r\n$-1\r\n", "*1\r\n*0\r\n",
          "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", "*1\r\n*2\r\n:1\r\n:1\r\n"}) {
      Parse(call, shape);
    }
    EXPECT_TRUE(Internal(Parse(call, "-ERR user_script:1: broken\r\n"))) << FunctionOf(call);
  }
}

TEST(Decode, OutOfMemoryIsFull) {
  const std::string oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
  EXPECT_EQ(std::get<SendReply>(Parse(Send{}, oom)).outcome, SendReply::Outcome::kFull);
  EXPECT_EQ(std::get<ChangeReply>(Parse(CreateChat{}, oom)).outcome, ChangeReply::Outcome::kFull);
  EXPECT_EQ(std::get<Failure>(Parse(Login{}, oom)).kind, Failure::Kind::kFull);
}

TEST(Decode, AnEmptyAnswerToALoginIsACleared) {
  const LoginReply reply = std::get<LoginReply>(Parse(Login{}, "*0\r\n"));
  EXPECT_TRUE(reply.cleared);
  EXPECT_EQ(reply.epoch, 0u);
}

TEST(Decode, ABeatsBrokersComeSorted) {
  const BeatReply reply = std::get<BeatReply>(Parse(
      Beat{}, "*7\r\n:0\r\n$1\r\n9\r\n$1\r\n3\r\n:1\r\n$3\r\nx#1\r\n$3\r\nb#1\r\n$3\r\na#1\r\n"));
  EXPECT_EQ(reply.epoch, 9u);
  EXPECT_EQ(reply.version, 3u);
  EXPECT_EQ(reply.clear, std::vector<BrokerName>{"x#1"});
  EXPECT_EQ(reply.brokers, (std::vector<BrokerName>{"a#1", "b#1"}));
  // More to clear than there are names.
  EXPECT_TRUE(Internal(Parse(Beat{}, "*5\r\n:0\r\n:9\r\n:3\r\n:2\r\n$3\r\nx#1\r\n")));
  EXPECT_TRUE(Internal(Parse(Beat{}, "*2\r\n:3\r\n:9\r\n")));
}

TEST(Decode, APageOfSessionsKnowsItsNext) {
  ListSessions list;
  list.limit = 1;
  const ListSessionsReply page =
      std::get<ListSessionsReply>(Parse(list, "*2\r\n$9\r\nal:p:7:b1\r\n$9\r\nbo:p:8:b1\r\n"));
  ASSERT_EQ(page.sessions.size(), 1u);
  EXPECT_EQ(page.sessions[0], (SessionRecord{"al", "p", 7, "b1"}));
  EXPECT_EQ(page.next, SessionElement(page.sessions[0]));
}

TEST(Encode, MalformedCallsNeverReachRedis) {
  Encoder encoder(std::vector<uint64_t>(64, 1), 10, 10);
  std::string out;
  Login login;
  login.uid = "a}b";
  login.device = "phone";
  login.broker = "b1";
  EXPECT_TRUE(Internal(*encoder.Encode(login, out)));
  login.uid = "ab";
  login.broker = "b1\n";
  EXPECT_TRUE(Internal(*encoder.Encode(login, out)));
  Send send;
  send.chat = "nonsense";
  EXPECT_EQ(std::get<SendReply>(*encoder.Encode(send, out)).outcome, SendReply::Outcome::kDenied);
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace nightjar::hub
