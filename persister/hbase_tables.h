// HBase's tables as the store uses them: names, row keys, cell versions, and how they are made.
// docs/storage.md describes them.
//
// Pure functions but for MakeTables; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/wire/msg_id.h"
#include "persister/hbase_link.h"

namespace nightjar::hbase {

struct TableOptions {
  std::string name_space = "nightjar";  // "default": HBase's own
  std::string prefix = "";              // of table names
  uint32_t regions = 16;                // each new table is split into so many
  std::string compression = "auto";     // auto, none, gz, snappy, lz4 or zstd
  // After so long messages expire; 0: never. Nothing: as the table is (a new one: never).
  std::optional<uint32_t> message_ttl_s;
};

// kInvalidArgument for a name, number or compression that HBase could not take.
Status CheckTableOptions(const TableOptions& options);

struct TableNames {
  explicit TableNames(const TableOptions& options);
  std::string messages, chats, users;
};

// Makes the namespace and those tables that are missing; what is there is left as it is, but for
// the messages' time to live.
Status MakeTables(Link& link, const TableOptions& options);
// The messages' time to live in seconds; 0: for ever.
Result<uint32_t> MessageTtl(Link& link, const TableOptions& options);

// Two bytes of hash before every row key: neighbours in name land in different regions.
inline constexpr size_t kRowHashBytes = 2;
std::string Row(std::string_view name);                   // chats and users
std::string MessageRow(std::string_view chat, MsgId id);  // the newest comes first
std::string MessagesBegin(std::string_view chat);  // before, and after, all messages of the chat
std::string MessagesEnd(std::string_view chat);

// Cell versions: of several values of a cell HBase keeps the one with the highest. Not above 2^63 -
// 2: the highest number means "now" to HBase.
int64_t HighestWins(uint64_t id);
int64_t LowestWins(uint64_t id);

}  // namespace nightjar::hbase
