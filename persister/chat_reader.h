// Answers open_chat, history and list_chats from the hub (who may, who is in it), the journal's
// tail and the store: a message that was accepted is seen, whether or not it is stored by now.
//
// In the store's place the memory of hot chats answers where it can. Nothing else is remembered
// between requests. Membership is the hub's word at the time of asking; a chat that does not exist
// and one that is not the asker's look the same.
//
// Threads: any but the hub's own; a call blocks for the hub (bounded) and the store.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/hub/hub.h"
#include "nightjar/v1/client.pb.h"
#include "persister/hot_chats.h"
#include "persister/hub_reader.h"
#include "persister/journal_tail.h"
#include "persister/store.h"

namespace nightjar::persist {

class ChatReader {
 public:
  struct Options {
    uint32_t partitions = 64;
    int64_t hub_timeout_ms = 2500;  // of one question; the plugin waits 3 s in all
    // Lists are cut before this, with `more`. With the rest of an answer (members, presence, marks
    // of 64) it has to fit the broker's packet limit of 64 KiB, which holds for sidecars too.
    size_t response_bytes = 40 * 1024;
  };

  // `hub`, `store` and `hot` (null: none) must outlive this.
  ChatReader(Options options, hub::Hub& hub, Store& store, HotChats* hot = nullptr);

  // A response with request_id, and either the result or an error fit for a client.
  v1::Response Answer(const std::string& uid, const v1::Request& request);

 private:
  // A chat that uid is a member of, as the hub has it.
  struct Seen {
    v1::Chat chat;
    bool exists = false;           // false: a direct chat without its first message
    std::vector<hub::Reply> tail;  // the first replies about its partition's
  };
  using Messages = std::map<MsgId, v1::Message>;

  Result<v1::ChatView> OpenChat(const std::string& uid, const v1::OpenChat& ask);
  Result<v1::History> History(const std::string& uid, const v1::GetHistory& ask);
  Result<v1::ChatList> ListChats(const std::string& uid, const v1::ListChats& ask);

  // Sets the titles of groups that the hub has let go of, from the store; the hub has them then.
  Status BringBack(std::vector<hub::ChatRecord>& records);
  Result<Seen> See(const std::string& uid, const std::string& chat_id);
  Result<v1::History> Page(const std::string& uid, const HistoryQuery& query,
                           std::vector<hub::Reply> first);
  // What is stored, after the tail was read; Stored asks the store where memory does not know.
  std::optional<HistoryPage> FromMemory(const HistoryQuery& query, const TailStarts& tail);
  Result<HistoryPage> Stored(const HistoryQuery& query, const TailStarts& tail);
  Status AddPeople(const std::string& uid, v1::ChatView& view);
  Result<std::map<std::string, v1::Message>> Newest(const std::vector<Store::NewestOf>& chats);

  const Options options_;
  HubReader hub_;
  Store& store_;
  HotChats* const hot_;
};

// What uid may see of a chat that the hub answered about; nothing if it is none of uid's.
std::optional<v1::Chat> ChatFor(const std::string& uid, const std::string& chat_id,
                                const hub::GetChatReply& reply);

// client_msg_id and device are for the author's own devices only.
void HideFromOthers(const std::string& uid, v1::Message& message);

}  // namespace nightjar::persist
