// The store as a map in memory: keeps every record there ever was and works out what it says when
// asked, so that it shares no merging with the real ones and can judge them.
//
// Threads: any; a mutex guards everything. Grows without bound: for tests.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "persister/retention.h"
#include "persister/store.h"

namespace nightjar::fakes {

class MemoryStore : public Store {
 public:
  explicit MemoryStore(Retention retention = {}) { Keep(std::move(retention)); }
  // As a real store that is opened with it.
  void Keep(Retention retention);

  Status Put(const std::vector<v1::JournalRecord>& records) override;
  Result<HistoryPage> History(const HistoryQuery& query) override;
  Result<std::vector<std::optional<v1::Message>>> Newest(
      const std::vector<NewestOf>& chats) override;
  MsgId OldestKept() const override;
  Result<std::optional<StoredChat>> ReadChat(const std::string& chat_id) override;
  Result<std::vector<std::pair<std::string, MsgId>>> ChatsOf(const std::string& uid) override;
  Result<UserRecord> ReadUser(const std::string& uid) override;
  Result<NamesPage> Names(Named what, const std::string& from, uint32_t limit) override;

 private:
  struct Chat {
    std::map<MsgId, v1::Message> messages;
    std::map<MsgId, v1::ChatChange> changes;
    std::map<std::string, std::set<MsgId>> marks;  // by uid
  };
  struct User {
    std::set<std::pair<int64_t, std::string>> names, emails;
    // By device, and by (chat, device); (time, bytes) -> record.
    template <typename T>
    using Versions = std::map<std::pair<int64_t, std::string>, T>;
    std::map<std::string, Versions<v1::PushRegistered>> push;
    std::map<std::pair<std::string, std::string>, Versions<v1::Muted>> mutes;
  };

  std::optional<StoredChat> Fold(const std::string& chat_id) const;

  mutable std::mutex mutex_;
  int64_t keep_ms_ = 0;
  std::function<int64_t()> unix_ms_;
  std::map<std::string, Chat> chats_;
  std::map<std::string, User> users_;
};

}  // namespace nightjar::fakes
