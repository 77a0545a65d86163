#include "persister/hbase_store.h"

#include <algorithm>
#include <unordered_map>

#include "THBaseService.h"
#include "common/wire/names.h"
#include "persister/fold.h"
#include "persister/merge.h"
#include "persister/record_check.h"
#include "persister/rocksdb_keys.h"

namespace nightjar {

using hbase::HighestWins;
using hbase::TColumnValue;
using hbase::TGet;
using hbase::THBaseServiceClient;
using hbase::TPut;
using hbase::TResult;

namespace {

// Of one call: a framed server takes 2 MiB unless told otherwise.
constexpr size_t kCallBytes = 1 << 20;
constexpr size_t kCallRows = 1'000;
constexpr size_t kCellOverhead = 64;
constexpr size_t kReadRows = 200;
constexpr int kSwapTries = 10;
constexpr char kKeysOnly[] = "FirstKeyOnlyFilter() AND KeyOnlyFilter()";

// Families and qualifiers. `chats` has c: first, title, last; p: j + uid, l + uid; d: uid.
// `users` has u: names; c: chat; p: device; m: chat + 0x00 + device.
constexpr char kFirst[] = "first";
constexpr char kTitle[] = "title";
constexpr char kLast[] = "last";
constexpr char kNames[] = "names";
constexpr int64_t kOnlyVersion = 1;  // of cells that never change

Status Damaged(const char* table) {
  return {Code::kInternal, std::string("store hbase: a value in ") + table + " cannot be read"};
}

TColumnValue Cell(const char* family, std::string qualifier, std::string value, int64_t version) {
  TColumnValue cell;
  cell.family = family;
  cell.qualifier = std::move(qualifier);
  cell.value = std::move(value);
  cell.__set_timestamp(version);
  return cell;
}

TPut PutOf(std::string row, TColumnValue cell) {
  TPut put;
  put.row = std::move(row);
  put.columnValues.push_back(std::move(cell));
  return put;
}

// Sends puts in calls of bounded size.
class Writer {
 public:
  Writer(hbase::Link& link, const std::string& table, const char* doing)
      : link_(link), table_(table), doing_(doing) {}

  Status Add(TPut put) {
    bytes_ += put.row.size();
    for (const TColumnValue& cell : put.columnValues) {
      bytes_ += kCellOverhead + cell.qualifier.size() + cell.value.size();
    }
    puts_.push_back(std::move(put));
    return bytes_ >= kCallBytes || puts_.size() >= kCallRows ? Flush() : Status::Ok();
  }

  Status Flush() {
    if (puts_.empty()) return Status::Ok();
    const Status status =
        link_.Call(doing_, [&](THBaseServiceClient& client) { client.putMultiple(table_, puts_); });
    puts_.clear();
    bytes_ = 0;
    return status;
  }

 private:
  hbase::Link& link_;
  const std::string& table_;
  const char* doing_;
  std::vector<TPut> puts_;
  size_t bytes_ = 0;
};

// The rows of a chat or a user, put together cell by cell.
using Cells = std::unordered_map<std::string, std::vector<TColumnValue>>;

Status WriteAll(Cells cells, Writer& writer) {
  for (auto& [name, values] : cells) {
    TPut put;
    put.row = hbase::Row(name);
    put.columnValues = std::move(values);
    if (Status s = writer.Add(std::move(put)); !s.ok()) return s;
  }
  return writer.Flush();
}

Result<std::vector<TResult>> ReadRows(hbase::Link& link, const std::string& table,
                                      const std::vector<TGet>& gets) {
  std::vector<TResult> results;
  const Status status = link.Call("read", [&](THBaseServiceClient& client) {
    results.clear();
    client.getMultiple(results, table, gets);
  });
  if (!status.ok()) return status;
  if (results.size() != gets.size()) return Status(Code::kInternal, "store hbase: rows missing");
  return results;
}

TGet GetOf(const std::string& name, std::vector<hbase::TColumn> columns) {
  TGet get;
  get.row = hbase::Row(name);
  if (!columns.empty()) get.__set_columns(std::move(columns));
  return get;
}

hbase::TColumn Column(const char* family) {
  hbase::TColumn column;
  column.family = family;
  return column;
}

hbase::TColumn Column(const char* family, std::string qualifier) {
  hbase::TColumn column;
  column.family = family;
  column.__set_qualifier(std::move(qualifier));
  return column;
}

template <typename T>
bool MergeCell(const TColumnValue& cell, T& into) {
  T value;
  if (!value.ParseFromString(cell.value)) return false;
  storage::Merge(into, value);
  return true;
}

// Values that a clock has versioned: equal times are told apart by their bytes, which cell versions
// cannot do. So each is read, merged, and swapped in if nobody was faster.
class Swapper {
 public:
  Swapper(hbase::Link& link, const std::string& table) : link_(link), table_(table) {}

  template <typename T>
  Status All(const char* family, const char* qualifier, const storage::Folded::Rows<T>& rows) {
    std::vector<TGet> gets;
    std::vector<const T*> values;
    std::vector<std::pair<std::string, std::string>> at;  // user, qualifier
    for (auto row = rows.begin(); row != rows.end();) {
      const storage::Row key = storage::ParseRow(row->first);
      at.emplace_back(key.name, qualifier != nullptr ? qualifier : key.rest);
      gets.push_back(GetOf(at.back().first, {Column(family, at.back().second)}));
      values.push_back(&row->second);
      if (++row != rows.end() && gets.size() < kReadRows) continue;
      const auto found = ReadRows(link_, table_, gets);
      if (!found.ok()) return found.status();
      for (size_t i = 0; i < gets.size(); ++i) {
        if (Status s = One(family, at[i].second, gets[i], *values[i], (*found)[i]); !s.ok()) {
          return s;
        }
      }
      gets.clear();
      values.clear();
      at.clear();
    }
    return Status::Ok();
  }

 private:
  template <typename T>
  Status One(const char* family, const std::string& qualifier, const TGet& get, const T& value,
             TResult found) {
    for (int i = 0; i < kSwapTries; ++i) {
      std::string old;
      T merged;
      if (!found.columnValues.empty()) {
        old = found.columnValues[0].value;
        if (!merged.ParseFromString(old)) return Damaged("users");
      }
      storage::Merge(merged, value);
      std::string bytes = merged.SerializeAsString();
      if (bytes == old) return Status::Ok();
      // The server's clock must not decide which of two swaps is the newer: count upwards.
      const int64_t version = found.columnValues.empty() ? 1 : found.columnValues[0].timestamp + 1;
      const TPut put = PutOf(get.row, Cell(family, qualifier, std::move(bytes), version));
      bool swapped = false;
      Status status = link_.Call("write", [&](THBaseServiceClient& client) {
        swapped = client.checkAndPut(table_, get.row, family, qualifier, old, put);
      });
      if (!status.ok() || swapped) return status;
      const auto again = ReadRows(link_, table_, {get});
      if (!again.ok()) return again.status();
      found = (*again)[0];
    }
    return {Code::kUnavailable, "store hbase: others write the same value all the time"};
  }

  hbase::Link& link_;
  const std::string& table_;
};

}  // namespace

// ---- writing ----------------------------------------------------------------------------------

Status HbaseStore::Put(const std::vector<v1::JournalRecord>& records) {
  for (const v1::JournalRecord& record : records) {
    if (Status s = CheckRecord(record); !s.ok()) return s;
  }
  if (records.empty()) return Status::Ok();
  const storage::Folded rows = storage::Fold(records, *known_);
  if (Status s = PutMessages(rows); !s.ok()) return s;
  if (Status s = PutChats(rows); !s.ok()) return s;
  if (Status s = PutUsers(rows); !s.ok()) return s;
  storage::Remember(rows, *known_);
  return Status::Ok();
}

Status HbaseStore::PutMessages(const storage::Folded& rows) {
  Writer writer(link_, tables_.messages, "write messages");
  for (const v1::Message* message : rows.messages) {
    // The version is the message's time: that is what time to live counts from.
    Status status =
        writer.Add(PutOf(hbase::MessageRow(message->chat_id(), message->msg_id()),
                         Cell("m", "m", message->SerializeAsString(), MsgIdMs(message->msg_id()))));
    if (!status.ok()) return status;
  }
  return writer.Flush();
}

Status HbaseStore::PutChats(const storage::Folded& rows) {
  Cells cells;
  std::unordered_map<std::string_view, MsgId> last;
  for (const v1::Message* message : rows.messages) {
    MsgId& id = last[message->chat_id()];
    id = std::max(id, message->msg_id());
  }
  for (const auto& [chat, meta] : rows.metas) {
    if (meta.last_change_id() != 0) {
      MsgId& id = last[chat];
      id = std::max(id, meta.last_change_id());
    }
    if (meta.first_id() != 0) {
      storage::ChatMeta first;
      first.set_first_id(meta.first_id());
      first.set_created_ms(meta.created_ms());
      first.set_created_by(meta.created_by());
      cells[chat].push_back(
          Cell("c", kFirst, first.SerializeAsString(), hbase::LowestWins(meta.first_id())));
    }
    if (meta.title_id() != 0) {
      storage::ChatMeta title;
      title.set_title_id(meta.title_id());
      title.set_title(meta.title());
      cells[chat].push_back(
          Cell("c", kTitle, title.SerializeAsString(), HighestWins(meta.title_id())));
    }
  }
  for (const auto& [chat, id] : last) {
    storage::ChatMeta meta;
    meta.set_last_change_id(id);
    cells[std::string(chat)].push_back(Cell("c", kLast, meta.SerializeAsString(), HighestWins(id)));
  }
  for (const auto& [key, span] : rows.members) {
    const storage::Row row = storage::ParseRow(key);
    const auto add = [&](char kind, MsgId id, auto set) {
      if (id == 0) return;
      storage::MemberSpan half;
      (half.*set)(id);
      cells[std::string(row.name)].push_back(
          Cell("p", kind + std::string(row.rest), half.SerializeAsString(), HighestWins(id)));
    };
    add('j', span.joined_id(), &storage::MemberSpan::set_joined_id);
    add('l', span.left_id(), &storage::MemberSpan::set_left_id);
  }
  for (const auto& [key, mark] : rows.marks) {
    const storage::Row row = storage::ParseRow(key);
    cells[std::string(row.name)].push_back(
        Cell("d", std::string(row.rest), mark.SerializeAsString(), HighestWins(mark.msg_id())));
  }
  Writer writer(link_, tables_.chats, "write chats");
  return WriteAll(std::move(cells), writer);
}

Status HbaseStore::PutUsers(const storage::Folded& rows) {
  Cells cells;
  for (const std::string& key : rows.user_chats) {
    const storage::Row row = storage::ParseRow(key);
    cells[std::string(row.name)].push_back(Cell("c", std::string(row.rest), "", kOnlyVersion));
  }
  Writer writer(link_, tables_.users, "write users");
  if (Status s = WriteAll(std::move(cells), writer); !s.ok()) return s;
  Swapper swapper(link_, tables_.users);
  if (Status s = swapper.All("u", kNames, rows.names); !s.ok()) return s;
  if (Status s = swapper.All("p", nullptr, rows.push); !s.ok()) return s;
  return swapper.All("m", nullptr, rows.mutes);
}

// ---- reading ----------------------------------------------------------------------------------

Result<HistoryPage> HbaseStore::History(const HistoryQuery& query) {
  const auto range = RangeOf(query, OldestKept());
  if (!range.ok()) return range.status();
  HistoryPage page;
  if (range->empty()) return page;
  // Rows run from the newest to the oldest; the oldest first is the same backwards. What a scan
  // begins with is within it, what it ends with is not.
  const bool oldest_first = range->oldest_first;
  hbase::TScan scan;
  scan.__set_reversed(oldest_first);
  scan.__set_startRow(
      hbase::MessageRow(query.chat_id, oldest_first ? range->above + 1 : range->below - 1));
  scan.__set_stopRow(oldest_first ? hbase::MessagesBegin(query.chat_id)
                                  : hbase::MessageRow(query.chat_id, range->above));
  while (!page.more) {
    const size_t want = std::min<size_t>(kReadRows, query.limit + 1 - page.messages.size());
    scan.__set_limit(static_cast<int32_t>(want));
    scan.__set_caching(static_cast<int32_t>(want));
    std::vector<TResult> rows;
    const Status status = link_.Call("read messages", [&](THBaseServiceClient& client) {
      rows.clear();
      client.getScannerResults(rows, tables_.messages, scan, static_cast<int32_t>(want));
    });
    if (!status.ok()) return status;
    for (const TResult& row : rows) {
      if (page.messages.size() == query.limit) {
        page.more = true;
        break;
      }
      if (row.columnValues.empty() ||
          !page.messages.emplace_back().ParseFromString(row.columnValues[0].value)) {
        return Damaged("messages");
      }
    }
    if (rows.size() < want) break;
    const MsgId last = storage::MessageIdOf(rows.back().row);
    if (oldest_first ? last == kMaxStoredMsgId : last == 0) break;
    scan.__set_startRow(hbase::MessageRow(query.chat_id, oldest_first ? last + 1 : last - 1));
    if (!oldest_first && scan.startRow >= scan.stopRow) break;
  }
  if (!oldest_first) std::reverse(page.messages.begin(), page.messages.end());
  return page;
}

MsgId HbaseStore::OldestKept() const { return nightjar::OldestKept(keep_ms_, unix_ms_()); }

Result<std::vector<std::optional<v1::Message>>> HbaseStore::Newest(
    const std::vector<NewestOf>& chats) {
  // One call for all that have a guess; a scan for each that it was wrong for.
  std::vector<std::optional<v1::Message>> out(chats.size());
  std::vector<TGet> gets;
  std::vector<size_t> asked;
  const MsgId oldest_kept = OldestKept();
  for (size_t i = 0; i < chats.size(); ++i) {
    const MsgId guess = chats[i].guess;
    if (guess == 0 || guess < oldest_kept || guess > kMaxStoredMsgId) continue;
    asked.push_back(i);
    gets.emplace_back().row = hbase::MessageRow(chats[i].chat_id, guess);
  }
  if (!gets.empty()) {
    const auto rows = ReadRows(link_, tables_.messages, gets);
    if (!rows.ok()) return rows.status();
    for (size_t i = 0; i < asked.size(); ++i) {
      const auto& cells = (*rows)[i].columnValues;
      if (!cells.empty() && !out[asked[i]].emplace().ParseFromString(cells[0].value)) {
        return Damaged("messages");
      }
    }
  }
  for (size_t i = 0; i < chats.size(); ++i) {
    if (out[i]) continue;
    auto page = History({chats[i].chat_id, 0, 0, 1});
    if (!page.ok()) return page.status();
    if (!page->messages.empty()) out[i] = std::move(page->messages[0]);
  }
  return out;
}

Result<std::optional<StoredChat>> HbaseStore::ReadChat(const std::string& chat_id) {
  const auto rows = ReadRows(link_, tables_.chats, {GetOf(chat_id, {})});
  if (!rows.ok()) return rows.status();
  StoredChat chat;
  storage::ChatMeta meta;
  bool found = false;
  std::vector<std::pair<std::string, storage::MemberSpan>> left;  // by uid, as HBase sorts them
  for (const TColumnValue& cell : (*rows)[0].columnValues) {
    if (cell.family == "c") {
      found = true;
      if (!MergeCell(cell, meta)) return Damaged("chats");
    } else if (cell.family == "p" && !cell.qualifier.empty()) {
      storage::MemberSpan span;
      if (!MergeCell(cell, span)) return Damaged("chats");
      if (cell.qualifier[0] == 'j') {
        chat.members.push_back({cell.qualifier.substr(1), span.joined_id(), 0});
      } else {
        left.emplace_back(cell.qualifier.substr(1), span);
      }
    } else if (cell.family == "d") {
      storage::Mark mark;
      if (!MergeCell(cell, mark)) return Damaged("chats");
      chat.delivered.emplace_back(cell.qualifier, mark.msg_id());
    }
  }
  if (!found) return std::optional<StoredChat>();
  for (const auto& [uid, span] : left) {
    const auto at = std::lower_bound(
        chat.members.begin(), chat.members.end(), uid,
        [](const StoredMember& member, const std::string& name) { return member.uid < name; });
    if (at == chat.members.end() || at->uid != uid) {
      chat.members.insert(at, {uid, 0, span.left_id()});
    } else if (span.left_id() > at->joined) {
      at->left = span.left_id();
    }
  }
  chat.chat_id = chat_id;
  chat.title = meta.title();
  chat.created_ms = meta.created_ms();
  chat.created_by = meta.created_by();
  chat.last_msg_id = meta.last_change_id();
  if (const auto name = ParseChatId(chat_id); name && name->direct) {
    chat.direct = true;
    chat.members.push_back({name->low, meta.first_id(), 0});
    if (name->high != name->low) chat.members.push_back({name->high, meta.first_id(), 0});
  }
  return std::optional<StoredChat>(std::move(chat));
}

Result<std::vector<std::pair<std::string, MsgId>>> HbaseStore::ChatsOf(const std::string& uid) {
  const auto user = ReadRows(link_, tables_.users, {GetOf(uid, {Column("c")})});
  if (!user.ok()) return user.status();
  const std::vector<TColumnValue>& ids = (*user)[0].columnValues;
  std::vector<std::pair<std::string, MsgId>> chats;
  for (size_t begin = 0; begin < ids.size(); begin += kReadRows) {
    const size_t end = std::min(ids.size(), begin + kReadRows);
    std::vector<TGet> gets;
    for (size_t i = begin; i < end; ++i) {
      gets.push_back(GetOf(ids[i].qualifier,
                           {Column("c", kLast), Column("p", 'j' + uid), Column("p", 'l' + uid)}));
    }
    const auto rows = ReadRows(link_, tables_.chats, gets);
    if (!rows.ok()) return rows.status();
    for (size_t i = begin; i < end; ++i) {
      storage::ChatMeta meta;
      storage::MemberSpan span;
      for (const TColumnValue& cell : (*rows)[i - begin].columnValues) {
        if (!(cell.family == "c" ? MergeCell(cell, meta) : MergeCell(cell, span))) {
          return Damaged("chats");
        }
      }
      chats.emplace_back(ids[i].qualifier, span.left_id() > span.joined_id()
                                               ? span.left_id()
                                               : meta.last_change_id());
    }
  }
  return chats;
}

Result<Store::UserRecord> HbaseStore::ReadUser(const std::string& uid) {
  const auto rows =
      ReadRows(link_, tables_.users, {GetOf(uid, {Column("u"), Column("p"), Column("m")})});
  if (!rows.ok()) return rows.status();
  UserRecord user;
  for (const TColumnValue& cell : (*rows)[0].columnValues) {
    if (cell.family == "u") {
      storage::UserNames names;
      if (!names.ParseFromString(cell.value)) return Damaged("users");
      user.name = names.name();
      user.email = names.email();
    } else if (cell.family == "p") {
      v1::PushRegistered push;
      if (!push.ParseFromString(cell.value)) return Damaged("users");
      if (push.registration().gateway_case() != v1::RegisterPush::GATEWAY_NOT_SET) {
        user.push.push_back(std::move(push));
      }
    } else if (cell.family == "m") {
      v1::Muted mute;
      if (!mute.ParseFromString(cell.value)) return Damaged("users");
      if (mute.until_ms() != 0) user.mutes.push_back(std::move(mute));
    }
  }
  return user;
}

Result<Store::NamesPage> HbaseStore::Names(Named what, const std::string& from, uint32_t limit) {
  NamesPage page;
  if (limit == 0) return Status(Code::kInvalidArgument, "no names asked for");
  const std::string& table = what == Named::kChats ? tables_.chats : tables_.users;
  hbase::TScan scan;
  scan.__set_filterString(kKeysOnly);
  scan.__set_cacheBlocks(false);
  page.next = from;
  while (page.names.size() < limit) {
    const auto want = static_cast<int32_t>(std::min<size_t>(kReadRows, limit - page.names.size()));
    scan.__set_startRow(page.next);
    scan.__set_limit(want);
    scan.__set_caching(want);
    std::vector<TResult> rows;
    const Status status = link_.Call("read names", [&](THBaseServiceClient& client) {
      rows.clear();
      client.getScannerResults(rows, table, scan, want);
    });
    if (!status.ok()) return status;
    for (const TResult& row : rows) {
      if (row.row.size() <= hbase::kRowHashBytes) return Damaged("keys");
      page.names.push_back(row.row.substr(hbase::kRowHashBytes));
    }
    if (rows.size() < static_cast<size_t>(want)) {
      page.next.clear();
      return page;
    }
    page.next = rows.back().row + '\0';
  }
  return page;
}

// ---- opening ----------------------------------------------------------------------------------

HbaseStore::HbaseStore(const Options& options)
    : link_(options.link),
      tables_(options.tables),
      unix_ms_(options.retention.unix_ms),
      known_(std::make_unique<storage::KnownChats>()) {}

HbaseStore::~HbaseStore() = default;

Result<std::unique_ptr<HbaseStore>> HbaseStore::Open(const Options& options) {
  if (options.link.servers.empty()) {
    return Status(Code::kInvalidArgument, "store hbase: no server named");
  }
  if (Status s = hbase::CheckTableOptions(options.tables); !s.ok()) return s;
  std::unique_ptr<HbaseStore> store(new HbaseStore(options));
  hbase::TableOptions tables = options.tables;
  if (const auto& keep_ms = options.retention.keep_ms) {
    tables.message_ttl_s = static_cast<uint32_t>((*keep_ms + 999) / 1000);
  }
  if (!options.read_only) {
    if (Status s = hbase::MakeTables(store->link_, tables); !s.ok()) return s;
  }
  const auto ttl_s = hbase::MessageTtl(store->link_, tables);
  if (!ttl_s.ok()) return ttl_s.status();
  store->keep_ms_ = int64_t{*ttl_s} * 1000;
  return store;
}

}  // namespace nightjar
