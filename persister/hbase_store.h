// The store on HBase, over Thrift2. docs/storage.md describes its tables.
//
// Put writes without reading: every cell carries its version (message id, or how early it is), and
// of two values HBase keeps the one with the higher version, in whatever order they come. Only what
// is versioned by a clock (names, push registrations, mutes) is read, merged by persister/merge.h
// and written if it is still what was read. A Put that fails may have written a part: it is
// repeated whole. Messages go first and what refers to them later, so that a reader finds what it
// is led to.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "persister/hbase_link.h"
#include "persister/hbase_tables.h"
#include "persister/retention.h"
#include "persister/store.h"

namespace nightjar {

namespace storage {
class KnownChats;
struct Folded;
}  // namespace storage

class HbaseStore : public Store {
 public:
  struct Options {
    hbase::LinkOptions link;
    hbase::TableOptions tables;  // whose message_ttl_s follows from `retention`
    Retention retention;
    bool read_only = false;  // makes no tables, changes none
  };

  // Makes what tables are missing. kUnavailable: HBase is away; kInvalidArgument: options that can
  // never do.
  static Result<std::unique_ptr<HbaseStore>> Open(const Options& options);
  ~HbaseStore() override;

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
  explicit HbaseStore(const Options& options);
  Status PutMessages(const storage::Folded& rows);
  Status PutChats(const storage::Folded& rows);
  Status PutUsers(const storage::Folded& rows);

  hbase::Link link_;
  const hbase::TableNames tables_;
  const std::function<int64_t()> unix_ms_;
  int64_t keep_ms_ = 0;  // as the table says since Open
  const std::unique_ptr<storage::KnownChats> known_;
};

}  // namespace nightjar
