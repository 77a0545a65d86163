#include "persister/history_service.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "tests/unit/persister/reader_world.h"

namespace nightjar::persist {
namespace {

// Collects answers; waits for them without guessing how long they take.
class Answers {
 public:
  HistoryService::ReplyFn Fn() {
    return [this](const std::string& topic, const std::string& payload) {
      std::lock_guard lock(mutex_);
      v1::StoreReply reply;
      EXPECT_TRUE(reply.ParseFromString(payload));
      EXPECT_EQ(topic, "svc/reply/b1");
      replies_.push_back(std::move(reply));
      came_.notify_all();
    };
  }
  std::vector<v1::StoreReply> Wait(size_t n) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return replies_.size() >= n; });
    return replies_;
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return replies_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<v1::StoreReply> replies_;
};

v1::StoreRequest RequestOf(const std::string& uid, uint64_t session) {
  v1::StoreRequest request;
  request.set_uid(uid);
  request.set_session(session);
  request.set_attempt(session + 100);
  request.set_reply_topic("svc/reply/b1");
  request.mutable_request()->set_request_id("r" + std::to_string(session));
  request.mutable_request()->mutable_history()->set_chat_id("d:alice:bob");
  return request;
}

TEST(HistoryService, AnswersWithSessionAttemptAndRequestId) {
  ReaderWorld world;
  const MsgId id = world.Say("alice", "d:alice:bob");
  HistoryService service({}, world.reader);
  Answers answers;
  service.Take(RequestOf("bob", 7).SerializeAsString(), false, answers.Fn());
  const auto replies = answers.Wait(1);
  EXPECT_EQ(replies[0].session(), 7u);
  EXPECT_EQ(replies[0].attempt(), 107u);
  EXPECT_EQ(replies[0].response().request_id(), "r7");
  ASSERT_EQ(replies[0].response().history().messages_size(), 1);
  EXPECT_EQ(replies[0].response().history().messages(0).msg_id(), id);
}

TEST(HistoryService, NonsenseIsCountedAndNotAnswered) {
  ReaderWorld world;
  HistoryService service({}, world.reader);
  Answers answers;
  v1::StoreRequest elsewhere = RequestOf("bob", 1);
  elsewhere.set_reply_topic("inbox/bob");
  v1::StoreRequest wild = RequestOf("bob", 1);
  wild.set_reply_topic("svc/reply/#");
  v1::StoreRequest nobody = RequestOf("b b", 1);
  for (const std::string& payload :
       {std::string("\xff\xff"), std::string(), elsewhere.SerializeAsString(),
        wild.SerializeAsString(), nobody.SerializeAsString()}) {
    service.Take(payload, false, answers.Fn());
  }
  service.Stop();
  EXPECT_EQ(service.counters().bad, 5u);
  EXPECT_EQ(answers.size(), 0u);
}

TEST(HistoryService, BeyondItsQueueItRefusesAtOnce) {
  ReaderWorld world;
  world.Say("alice", "d:alice:bob");
  std::mutex gate;
  std::condition_variable opened;
  bool open = false;
  world.store.before_history = [&] {
    std::unique_lock lock(gate);
    opened.wait(lock, [&] { return open; });
  };
  HistoryService service({.threads = 1, .queue = 3, .too_old_ms = 1'000'000}, world.reader);
  Answers answers;
  for (uint64_t i = 1; i <= 20; ++i)
    service.Take(RequestOf("bob", i).SerializeAsString(), false, answers.Fn());
  // One is being worked on at most, three wait; the rest has been told by now.
  const auto refused = answers.Wait(16);
  for (const auto& reply : refused) {
    EXPECT_EQ(reply.response().error().code(), v1::RESOURCE_EXHAUSTED);
    EXPECT_GT(reply.response().error().retry_after_ms(), 0u);
  }
  {
    std::lock_guard lock(gate);
    open = true;
  }
  opened.notify_all();
  EXPECT_EQ(answers.Wait(20).size(), 20u) << "everybody gets exactly one answer";
  service.Stop();
  EXPECT_EQ(answers.size(), 20u);
  EXPECT_EQ(service.counters().refused + service.counters().answered, 20u);
}

TEST(HistoryService, ARepeatOfWhatIsToBeAnsweredHereIsNotAnsweredTwice) {
  ReaderWorld world;
  world.Say("alice", "d:alice:bob");
  std::mutex gate;
  std::condition_variable opened;
  bool open = false;
  world.store.before_history = [&] {
    std::unique_lock lock(gate);
    opened.wait(lock, [&] { return open; });
  };
  HistoryService service({.threads = 1}, world.reader);
  Answers answers;
  service.Take(RequestOf("bob", 1).SerializeAsString(), false, answers.Fn());
  service.Take(RequestOf("bob", 1).SerializeAsString(), true, answers.Fn());
  service.Take(RequestOf("bob", 2).SerializeAsString(), true, answers.Fn());
  {
    std::lock_guard lock(gate);
    open = true;
  }
  opened.notify_all();
  answers.Wait(2);
  // Once answered, a repeat says that the answer was lost.
  service.Take(RequestOf("bob", 1).SerializeAsString(), true, answers.Fn());
  const auto replies = answers.Wait(3);
  service.Stop();
  EXPECT_EQ(answers.size(), 3u);
  EXPECT_EQ(replies[0].session(), 1u);
  EXPECT_EQ(replies[1].session(), 2u);
  EXPECT_EQ(replies[2].session(), 1u);
  EXPECT_EQ(service.counters().repeated, 3u);
}

TEST(HistoryService, ARepeatThatCannotBeAnsweredIsLeftToOthers) {
  ReaderWorld world;
  world.hub.away = true;
  HistoryService service({.threads = 1}, world.reader);
  Answers answers;
  service.Take(RequestOf("bob", 1).SerializeAsString(), true, answers.Fn());
  service.Take(RequestOf("bob", 2).SerializeAsString(), false, answers.Fn());
  const auto replies = answers.Wait(1);
  service.Stop();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(replies[0].session(), 2u);
  EXPECT_EQ(replies[0].response().error().code(), v1::UNAVAILABLE);
  EXPECT_EQ(service.counters().failed, 2u);
}

}  // namespace
}  // namespace nightjar::persist
