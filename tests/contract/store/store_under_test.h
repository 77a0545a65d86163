// The stores that the suite runs on, and the records it feeds them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "persister/hbase_store.h"
#include "persister/store.h"

namespace nightjar {

// A store that can be closed and opened again on the same data.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  virtual Store& store() = 0;
  virtual void Reopen(const Retention& retention) = 0;
  void Reopen() { Reopen(Retention()); }
  // Takes what has expired off the disk, where the store can be made to.
  virtual void Compact() {}
};
std::unique_ptr<StoreUnderTest> MakeMemory();
std::unique_ptr<StoreUnderTest> MakeRocksDb();
// On the HBase whose Thrift servers the environment names (./nj test starts one), with tables of
// its own; the second over framed transport and compact protocol. Null: there is none.
inline constexpr char kHbaseVariable[] = "NIGHTJAR_HBASE";  // HOST:PORT
inline constexpr char kHbaseFramedCompactVariable[] = "NIGHTJAR_HBASE_FRAMED_COMPACT";
std::optional<HbaseStore::Options> HbaseForTests(const char* variable);
std::unique_ptr<StoreUnderTest> MakeHbase();
std::unique_ptr<StoreUnderTest> MakeHbaseFramedCompact();

// A directory of its own under $TMPDIR or /tmp, removed with everything in it at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline constexpr char kGroup[] = "g:abcdefghijklmnopqrstuvwxyz";

v1::JournalRecord MessageRecord(const std::string& chat, MsgId id, const std::string& author,
                                const std::string& text = "hello");
v1::JournalRecord ChangeRecord(const std::string& chat, MsgId id, v1::ChatChange::Kind kind,
                               const std::vector<std::string>& added,
                               const std::vector<std::string>& removed,
                               const std::string& title = "title");
v1::JournalRecord MarkRecord(const std::string& chat, const std::string& uid, MsgId id);

// Everything the store says about these chats and users, as text; equal stores say the same.
std::string Describe(Store& store, const std::vector<std::string>& chats,
                     const std::vector<std::string>& uids);

}  // namespace nightjar
