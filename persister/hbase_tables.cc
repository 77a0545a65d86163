#include "persister/hbase_tables.h"

#include <algorithm>
#include <array>

#include "THBaseService.h"
#include "persister/record_check.h"
#include "persister/rocksdb_keys.h"

namespace nightjar::hbase {
namespace {

using Algorithm = TCompressionAlgorithm;

constexpr int64_t kVersionMost = static_cast<int64_t>(kMaxStoredMsgId) - 1;
constexpr uint32_t kRegionsMost = 4096;

struct Named {
  const char* name;
  Algorithm::type algorithm;
};
// In the order in which "auto" tries them; what a region server lacks it refuses.
constexpr std::array<Named, 5> kAlgorithms = {{{"zstd", Algorithm::ZSTD},
                                               {"lz4", Algorithm::LZ4},
                                               {"snappy", Algorithm::SNAPPY},
                                               {"gz", Algorithm::GZ},
                                               {"none", Algorithm::NONE}}};

void AppendHash(std::string_view name, std::string& key) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  hash ^= hash >> 16;
  key.push_back(static_cast<char>(hash >> 8));
  key.push_back(static_cast<char>(hash));
}

std::vector<std::string> SplitKeys(uint32_t regions) {
  std::vector<std::string> keys;
  for (uint32_t i = 1; i < regions; ++i) {
    const uint32_t at = i * 65'536 / regions;
    keys.push_back({static_cast<char>(at >> 8), static_cast<char>(at)});
  }
  return keys;
}

bool ValidName(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  });
}

constexpr std::string_view kMessages = "messages";
constexpr char kMessageFamily[] = "m";
constexpr int32_t kForEver = INT32_MAX;  // to HBase

int32_t Ttl(uint32_t seconds) {
  return seconds == 0 ? kForEver : static_cast<int32_t>(std::min<uint32_t>(seconds, kForEver));
}

struct Table {
  std::string_view name;
  std::vector<const char*> families;
};

TTableName NameOf(const TableOptions& options, std::string_view table) {
  TTableName name;
  name.__set_ns(options.name_space);
  name.qualifier = options.prefix;
  name.qualifier += table;
  return name;
}

TTableDescriptor Describe(const TableOptions& options, const Table& table,
                          Algorithm::type compression) {
  TTableDescriptor descriptor;
  descriptor.tableName = NameOf(options, table.name);
  std::vector<TColumnFamilyDescriptor> families;
  for (const char* name : table.families) {
    TColumnFamilyDescriptor& family = families.emplace_back();
    family.name = name;
    family.__set_maxVersions(1);
    family.__set_compressionType(compression);
    if (table.name == kMessages) family.__set_timeToLive(Ttl(options.message_ttl_s.value_or(0)));
  }
  descriptor.__set_columns(families);
  return descriptor;
}

bool Exists(Link& link, const TTableName& name, Status& status) {
  bool there = false;
  status = link.Call("look for tables",
                     [&](THBaseServiceClient& client) { there = client.tableExists(name); });
  return there;
}

Status MakeTable(Link& link, const TableOptions& options, const Table& table) {
  Status status;
  const TTableName name = NameOf(options, table.name);
  if (Exists(link, name, status) || !status.ok()) return status;
  const auto splits = SplitKeys(options.regions);
  for (const Named& compression : kAlgorithms) {
    if (options.compression != "auto" && options.compression != compression.name) continue;
    const TTableDescriptor descriptor = Describe(options, table, compression.algorithm);
    status = link.Call("make a table", [&](THBaseServiceClient& client) {
      client.createTable(descriptor, splits);
    });
    if (status.ok()) return status;
    // Another persister, or this very call over a connection that broke, has made it.
    if (status.message().find("TableExistsException") != std::string::npos) return Status::Ok();
    // What a region server cannot do, compression above all, fails these checks.
    if (status.message().find("sanity checks") == std::string::npos &&
        status.message().find("ompression") == std::string::npos) {
      return status;
    }
  }
  return status;
}

Result<TColumnFamilyDescriptor> ReadMessageFamily(Link& link, const TableOptions& options) {
  TTableDescriptor table;
  const Status status = link.Call("look at a table", [&](THBaseServiceClient& client) {
    client.getTableDescriptor(table, NameOf(options, kMessages));
  });
  if (!status.ok()) return status;
  for (TColumnFamilyDescriptor& family : table.columns) {
    if (family.name == kMessageFamily && family.__isset.timeToLive) return std::move(family);
  }
  return Status(Code::kInternal, "store hbase: a table of messages that is none");
}

Status SetMessageTtl(Link& link, const TableOptions& options) {
  if (!options.message_ttl_s) return Status::Ok();
  auto family = ReadMessageFamily(link, options);
  if (!family.ok()) return family.status();
  const int32_t ttl = Ttl(*options.message_ttl_s);
  if (family->timeToLive == ttl) return Status::Ok();
  family->__set_timeToLive(ttl);
  const Status status = link.Call("set how long messages are kept", [&](auto& client) {
    client.modifyColumnFamily(NameOf(options, kMessages), *family);
  });
  if (status.ok()) return status;
  return {status.code(), status.message() + " (by hand, in HBase's shell: alter '" +
                             TableNames(options).messages + "', {NAME => '" + kMessageFamily +
                             "', TTL => " + std::to_string(ttl) + "})"};
}

}  // namespace

Status CheckTableOptions(const TableOptions& options) {
  const auto invalid = [](std::string what) { return Status(Code::kInvalidArgument, what); };
  if (options.name_space.empty() || !ValidName(options.name_space)) {
    return invalid("namespace: letters, digits and _ only: " + options.name_space);
  }
  if (!ValidName(options.prefix)) {
    return invalid("table prefix: letters, digits and _ only: " + options.prefix);
  }
  if (options.regions < 1 || options.regions > kRegionsMost) {
    return invalid("regions: 1 to " + std::to_string(kRegionsMost));
  }
  const bool known = options.compression == "auto" ||
                     std::any_of(kAlgorithms.begin(), kAlgorithms.end(), [&](const Named& named) {
                       return options.compression == named.name;
                     });
  return known ? Status::Ok() : invalid("compression: auto, none, gz, snappy, lz4 or zstd");
}

TableNames::TableNames(const TableOptions& options) {
  const std::string start = options.name_space + ":" + options.prefix;
  messages = start + "messages";
  chats = start + "chats";
  users = start + "users";
}

Status MakeTables(Link& link, const TableOptions& options) {
  Status status;
  if (options.name_space != "default") {
    std::vector<std::string> there;
    status = link.Call("look for namespaces",
                       [&](THBaseServiceClient& client) { client.listNamespaces(there); });
    if (!status.ok()) return status;
    if (std::find(there.begin(), there.end(), options.name_space) == there.end()) {
      TNamespaceDescriptor descriptor;
      descriptor.name = options.name_space;
      status = link.Call("make a namespace",
                         [&](THBaseServiceClient& client) { client.createNamespace(descriptor); });
      const bool raced = status.message().find("NamespaceExistException") != std::string::npos;
      if (!status.ok() && !raced) return status;
    }
  }
  const std::vector<Table> tables = {
      {"messages", {"m"}}, {"chats", {"c", "p", "d"}}, {"users", {"u", "c", "p", "m"}}};
  for (const Table& table : tables) {
    if (status = MakeTable(link, options, table); !status.ok()) return status;
  }
  return SetMessageTtl(link, options);
}

Result<uint32_t> MessageTtl(Link& link, const TableOptions& options) {
  const auto family = ReadMessageFamily(link, options);
  if (!family.ok()) return family.status();
  return family->timeToLive == kForEver ? 0 : static_cast<uint32_t>(family->timeToLive);
}

std::string Row(std::string_view name) {
  std::string key;
  key.reserve(2 + name.size());
  AppendHash(name, key);
  return key.append(name);
}

std::string MessageRow(std::string_view chat, MsgId id) {
  std::string key;
  AppendHash(chat, key);
  return key.append(storage::MessageKey(chat, id));
}

std::string MessagesBegin(std::string_view chat) {
  std::string key = Row(chat);
  key.push_back('\0');
  return key;
}

std::string MessagesEnd(std::string_view chat) { return storage::After(MessagesBegin(chat)); }

int64_t HighestWins(uint64_t id) {
  return std::min(static_cast<int64_t>(std::min(id, kMaxStoredMsgId)), kVersionMost);
}

int64_t LowestWins(uint64_t id) { return kVersionMost - HighestWins(id); }

}  // namespace nightjar::hbase
