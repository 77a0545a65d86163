// Where everything is kept. Implemented on RocksDB and HBase; tests/contract/ holds every
// implementation to one suite, a map in memory included.
//
// Messages may expire (persister/retention.h). What else there is of a chat does not: members,
// marks, the newest id.
//
// Threads: all methods may be called from any thread; Put is called by one writer per partition.
// Errors: kUnavailable (try again with backoff), kInvalidArgument (this can never be stored: a dead
// letter), kInternal (the store is damaged).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/wire/msg_id.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar {

struct StoredMember {
  std::string uid;
  MsgId joined = 0;
  MsgId left = 0;  // 0: still a member; else the removal's own id
  friend bool operator==(const StoredMember&, const StoredMember&) = default;
};

struct StoredChat {
  std::string chat_id;
  bool direct = false;
  std::string title;
  int64_t created_ms = 0;
  std::string created_by;
  MsgId last_msg_id = 0;                                 // newest entry of any kind, if expired too
  std::vector<StoredMember> members;                     // uid order; direct chats too
  std::vector<std::pair<std::string, MsgId>> delivered;  // uid order
};

struct HistoryQuery {
  std::string chat_id;
  MsgId before = 0;  // 0: no bound; else ids < before
  MsgId after = 0;   // 0: no bound; else ids > after
  uint32_t limit = 50;
};
struct HistoryPage {
  // Ascending. With only `after` set: the oldest that follow it; else the newest below `before`.
  std::vector<v1::Message> messages;  // with client_msg_id and device: the caller hides them
  bool more = false;                  // further ones exist in the direction asked
};

class Store {
 public:
  virtual ~Store() = default;

  // Stores all records and returns after they are safe on disk. Idempotent: the same or an older
  // record again changes nothing, in whatever order batches come (marks: highest wins; membership,
  // titles, push and mutes: the newest by id or time wins).
  virtual Status Put(const std::vector<v1::JournalRecord>& records) = 0;

  // What has expired is not there: `more` does not count it either.
  virtual Result<HistoryPage> History(const HistoryQuery& query) = 0;
  // The lowest id that has not expired by now; 0: none expires.
  virtual MsgId OldestKept() const = 0;

  // The newest message of each chat, in the order asked, read together; nothing: none is kept. A
  // message with the id `guess` is taken for the newest where there is one: whoever has heard that
  // id saves the store the search.
  struct NewestOf {
    std::string chat_id;
    MsgId guess = 0;  // 0: none
  };
  virtual Result<std::vector<std::optional<v1::Message>>> Newest(
      const std::vector<NewestOf>& chats) = 0;

  virtual Result<std::optional<StoredChat>> ReadChat(const std::string& chat_id) = 0;
  // Chats that uid is or was a member of, with their newest id. In chat id order.
  virtual Result<std::vector<std::pair<std::string, MsgId>>> ChatsOf(const std::string& uid) = 0;

  struct UserRecord {
    std::string name, email;
    std::vector<v1::PushRegistered> push;  // device order; unregistered ones left out
    std::vector<v1::Muted> mutes;          // chat, then device order; unmuted ones left out
  };
  virtual Result<UserRecord> ReadUser(const std::string& uid) = 0;

  // Everything there is, page by page. Every name that was there all the while comes exactly once;
  // some may come of which there is no record (a mark without its chat). The order is the store's.
  enum class Named { kChats, kUsers };
  struct NamesPage {
    std::vector<std::string> names;  // at most `limit`
    std::string next;                // what to ask from next; empty: this was all
  };
  // `from`: empty, or a `next` of this store and kind, however old.
  virtual Result<NamesPage> Names(Named what, const std::string& from, uint32_t limit) = 0;
};

}  // namespace nightjar
