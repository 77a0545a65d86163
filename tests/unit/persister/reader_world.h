// A hub that answers at once, a store, and a journal that is brought into the store when the test
// says.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/hub/hub.h"
#include "persister/chat_reader.h"
#include "tests/fakes/fake_hub.h"
#include "tests/fakes/memory_store.h"

namespace nightjar::persist {

inline constexpr uint32_t kReaderPartitions = 4;

// Answers inside Submit. Any thread.
class InstantHub : public hub::Hub {
 public:
  InstantHub()
      : fake_({.clock = [this] { return now_ms.load(); }, .partitions = kReaderPartitions}) {}
  void Submit(hub::Call call, hub::Callback done) override {
    if (away) return done(hub::Failure{hub::Failure::Kind::kUnavailable, "away"});
    hub::Reply reply = Do(call);
    if (after_call) after_call(call);
    done(std::move(reply));
  }
  hub::Reply Do(const hub::Call& call) {
    std::lock_guard lock(mutex_);
    return fake_.Execute(call);
  }

  bool away = false;
  std::function<void(const hub::Call&)> after_call;
  std::atomic<int64_t> now_ms = 1'700'000'000'000;
  hub::FakeHub& fake() { return fake_; }

 private:
  std::mutex mutex_;
  hub::FakeHub fake_;
};

// The memory store, which can be taken away.
class FickleStore : public fakes::MemoryStore {
 public:
  Result<HistoryPage> History(const HistoryQuery& query) override {
    if (away) return Status(Code::kUnavailable, "/a/path: away");
    if (before_history) before_history();
    return fakes::MemoryStore::History(query);
  }
  Result<std::vector<std::optional<v1::Message>>> Newest(
      const std::vector<NewestOf>& chats) override {
    if (away) return Status(Code::kUnavailable, "/a/path: away");
    ++newest_asked;
    return fakes::MemoryStore::Newest(chats);
  }
  bool away = false;
  int newest_asked = 0;
  std::function<void()> before_history;
};

class ReaderWorld {
 public:
  explicit ReaderWorld(size_t response_bytes = 256 * 1024)
      : reader({.partitions = kReaderPartitions, .response_bytes = response_bytes}, hub, store) {}

  // Returns the id, or 0 if it was not accepted. Time moves on by `ms` first.
  MsgId Say(const std::string& from, const std::string& chat, const std::string& text = "hello",
            int64_t ms = 1);
  void Create(const std::string& chat, const std::vector<std::string>& members);
  void Remove(const std::string& chat, const std::string& by, const std::string& uid);
  // Stores the oldest `most` records of each partition, and trims them if told.
  void Persist(size_t most = 1'000'000, bool trim = true);

  v1::Response Ask(const std::string& uid, const std::string& text_format);

  InstantHub hub;
  FickleStore store;
  ChatReader reader;

 private:
  uint64_t client_msg_id_ = 0;
};

std::vector<MsgId> Ids(const google::protobuf::RepeatedPtrField<v1::Message>& messages);

}  // namespace nightjar::persist
