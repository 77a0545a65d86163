// What one Put comes to: the records folded into rows, so that a row appears once however many
// records of the batch touch it. Every store writes these rows, each in its own way.
//
// Threads: Fold is pure but for KnownChats, which any thread may use.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/wire/msg_id.h"
#include "nightjar/v1/hub.pb.h"
#include "persister/storage.pb.h"

namespace nightjar::storage {

// Chats whose rows are known to be written, with the first id of direct ones: a further message
// then writes no row about the chat. Bounded; only spares work.
class KnownChats {
 public:
  bool NothingNew(const std::string& chat, bool direct, MsgId id) const;
  void Remember(const std::string& chat, MsgId first);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, MsgId> first_;
};

struct Folded {
  template <typename T>
  using Rows = std::unordered_map<std::string, T>;

  std::vector<const v1::Message*> messages;  // into the records
  Rows<ChatMeta> metas;                      // by chat id; without an id if only to say it exists
  Rows<MemberSpan> members;                  // this and the rest by row key (rocksdb_keys.h)
  Rows<Mark> marks;
  Rows<UserNames> names;
  Rows<v1::PushRegistered> push;
  Rows<v1::Muted> mutes;
  std::unordered_set<std::string> user_chats;
};

// REQUIRES: CheckRecord has passed all of them; they outlive the result.
Folded Fold(const std::vector<v1::JournalRecord>& records, const KnownChats& known);
// What a Put that has succeeded says about chats.
void Remember(const Folded& written, KnownChats& known);

}  // namespace nightjar::storage
