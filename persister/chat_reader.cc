#include "persister/chat_reader.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/wire/limits.h"
#include "common/wire/names.h"
#include "persister/record_check.h"

namespace nightjar::persist {
namespace {

constexpr uint32_t kRetryAfterMs = 1000;
// The same words whether the chat is missing or somebody else's.
const Status kDenied(Code::kPermissionDenied, "not a member of this chat");

uint32_t Limit(uint32_t asked, uint32_t otherwise, uint32_t most) {
  return asked == 0 ? otherwise : std::min(asked, most);
}

void AddMember(const std::string& uid, v1::Chat& chat) {
  if (static_cast<size_t>(chat.members_size()) < limits::kFirstMembers) chat.add_members(uid);
}

void SetError(const Status& status, v1::Response& response) {
  v1::Error& error = *response.mutable_error();
  error.set_code(static_cast<v1::Code>(status.code()));
  switch (status.code()) {
    case Code::kUnavailable:
      error.set_message("history is not available right now");
      error.set_retry_after_ms(kRetryAfterMs);
      break;
    case Code::kInternal:  // what it is, is for the log
      error.set_message("the server could not read this");
      break;
    default:
      error.set_message(status.message());
  }
}

// The same question without what has expired, which memory may still hold.
HistoryQuery Kept(HistoryQuery query, MsgId oldest_kept) {
  if (oldest_kept == 0 || query.after >= oldest_kept - 1) return query;
  // With `after` alone it would ask for the oldest.
  if (query.after == 0 && query.before == 0) query.before = kMaxStoredMsgId;
  query.after = oldest_kept - 1;
  return query;
}

// Keeps the newest (or oldest) messages that fit; true if some had to go.
bool CutToFit(size_t bytes, bool keep_newest,
              google::protobuf::RepeatedPtrField<v1::Message>& list) {
  size_t sum = 0;
  int keep = 0;
  for (int i = 0; i < list.size(); ++i) {
    sum += list.Get(keep_newest ? list.size() - 1 - i : i).ByteSizeLong() + 8;
    if (sum > bytes && keep > 0) break;
    ++keep;
  }
  if (keep == list.size()) return false;
  const int drop = list.size() - keep;
  list.DeleteSubrange(keep_newest ? 0 : keep, drop);
  return true;
}

}  // namespace

void HideFromOthers(const std::string& uid, v1::Message& message) {
  if (message.author() == uid) return;
  message.clear_client_msg_id();
  message.clear_device();
}

std::optional<v1::Chat> ChatFor(const std::string& uid, const std::string& chat_id,
                                const hub::GetChatReply& reply) {
  const auto name = ParseChatId(chat_id);
  if (!name) return std::nullopt;
  v1::Chat chat;
  chat.set_chat_id(chat_id);
  if (name->direct) {
    // Its members are its name; before the first message it is empty, not missing.
    if (uid != name->low && uid != name->high) return std::nullopt;
    chat.set_kind(v1::Chat::DIRECT);
    chat.add_members(name->low);
    if (name->high != name->low) chat.add_members(name->high);
    chat.set_member_count(static_cast<uint32_t>(chat.members_size()));
  } else {
    if (!reply.found) return std::nullopt;
    bool member = false;
    uint32_t count = 0;
    for (const hub::Member& m : reply.members) {  // in uid order
      if (m.left != 0) continue;
      member = member || m.uid == uid;
      ++count;
      AddMember(m.uid, chat);
    }
    if (!member) return std::nullopt;
    chat.set_kind(v1::Chat::GROUP);
    chat.set_member_count(count);
  }
  if (reply.found) {
    chat.set_title(reply.record.title);
    chat.set_created_ms(reply.record.created_ms);
    chat.set_created_by(reply.record.created_by);
    chat.set_last_msg_id(reply.record.last_msg_id);
  }
  return chat;
}

ChatReader::ChatReader(Options options, hub::Hub& hub, Store& store, HotChats* hot)
    : options_(options), hub_(hub, options.hub_timeout_ms), store_(store), hot_(hot) {}

v1::Response ChatReader::Answer(const std::string& uid, const v1::Request& request) {
  v1::Response response;
  response.set_request_id(request.request_id());
  const auto fill = [&](auto result, auto set) {
    if (result.ok()) {
      set(std::move(result).value());
    } else {
      SetError(result.status(), response);
    }
  };
  switch (request.body_case()) {
    case v1::Request::kOpenChat:
      fill(OpenChat(uid, request.open_chat()),
           [&](v1::ChatView&& view) { *response.mutable_chat_view() = std::move(view); });
      break;
    case v1::Request::kHistory:
      fill(History(uid, request.history()),
           [&](v1::History&& page) { *response.mutable_history() = std::move(page); });
      break;
    case v1::Request::kListChats:
      fill(ListChats(uid, request.list_chats()),
           [&](v1::ChatList&& list) { *response.mutable_chats() = std::move(list); });
      break;
    default:
      SetError({Code::kInvalidArgument, "not a request to read"}, response);
  }
  return response;
}

Status ChatReader::BringBack(std::vector<hub::ChatRecord>& records) {
  std::vector<hub::Call> calls;
  for (hub::ChatRecord& record : records) {
    auto stored = store_.ReadChat(record.chat);
    if (!stored.ok()) return stored.status();
    // A store that has nothing of it has been lost: the chat goes on without a title.
    if (stored->has_value()) record.title = std::move((*stored)->title);
    hub::RestoreChat back;
    back.record = record;
    calls.emplace_back(std::move(back));
  }
  // Where the hub does not take it (it is full), the next one to ask brings it back.
  if (!calls.empty()) (void)hub_.Ask(std::move(calls));
  return Status::Ok();
}

Result<ChatReader::Seen> ChatReader::See(const std::string& uid, const std::string& chat_id) {
  if (!ParseChatId(chat_id)) return Status(Code::kInvalidArgument, "malformed chat_id");
  hub::GetChat get;
  get.chat = chat_id;
  get.members = true;
  // The tail along with it: whoever may not see it has made the hub read it in vain, but the others
  // wait for the hub once.
  std::vector<hub::Call> calls = TailCalls({PartitionOf(chat_id, options_.partitions)});
  calls.emplace_back(std::move(get));
  auto replies = hub_.Ask(std::move(calls));
  if (!replies.ok()) return replies.status();
  const auto* reply = std::get_if<hub::GetChatReply>(&replies->back());
  if (reply == nullptr) return Status(Code::kInternal, "odd answer of the hub");
  auto chat = ChatFor(uid, chat_id, *reply);
  if (!chat) return kDenied;
  if (reply->record.retired) {
    std::vector<hub::ChatRecord> retired{reply->record};
    if (Status s = BringBack(retired); !s.ok()) return s;
    chat->set_title(retired.front().title);
  }
  const bool exists = reply->found;
  replies->pop_back();
  return Seen{std::move(*chat), exists, std::move(*replies)};
}

std::optional<HistoryPage> ChatReader::FromMemory(const HistoryQuery& query,
                                                  const TailStarts& tail) {
  if (hot_ == nullptr) return std::nullopt;
  const uint32_t partition = PartitionOf(query.chat_id, options_.partitions);
  const auto start = tail.find(partition);
  return hot_->Read(partition, Kept(query, store_.OldestKept()),
                    start == tail.end() ? std::nullopt : std::optional(start->second));
}

Result<HistoryPage> ChatReader::Stored(const HistoryQuery& query, const TailStarts& tail) {
  if (auto page = FromMemory(query, tail)) return std::move(*page);
  std::optional<HotChats::Ticket> ticket;
  if (hot_ != nullptr && query.before == 0 && query.after == 0) {
    ticket = hot_->Begin(PartitionOf(query.chat_id, options_.partitions), query.chat_id);
  }
  auto page = store_.History(query);
  if (page.ok() && ticket) hot_->Fill(*ticket, *page);
  return page;
}

// Store and tail as one page.
Result<v1::History> ChatReader::Page(const std::string& uid, const HistoryQuery& query,
                                     std::vector<hub::Reply> first) {
  Messages messages;
  const MsgId oldest_kept = store_.OldestKept();
  const auto tail = ReadTails(hub_, std::move(first), [&](v1::Message message) {
    const MsgId id = message.msg_id();
    if (message.chat_id() != query.chat_id || id <= query.after || id < oldest_kept) return;
    if (query.before != 0 && id >= query.before) return;
    messages[id] = std::move(message);
  });
  if (!tail.ok()) return tail.status();
  auto stored = Stored(query, *tail);
  if (!stored.ok()) return stored.status();
  for (v1::Message& message : stored->messages) messages[message.msg_id()] = std::move(message);

  const bool oldest_first = query.after != 0 && query.before == 0;
  bool more = stored->more;
  while (messages.size() > query.limit) {
    messages.erase(oldest_first ? std::prev(messages.end()) : messages.begin());
    more = true;
  }
  v1::History page;
  for (auto& [id, message] : messages) {
    HideFromOthers(uid, message);
    *page.add_messages() = std::move(message);
  }
  if (CutToFit(options_.response_bytes, !oldest_first, *page.mutable_messages())) more = true;
  page.set_more(more);
  return page;
}

Result<v1::History> ChatReader::History(const std::string& uid, const v1::GetHistory& ask) {
  auto seen = See(uid, ask.chat_id());
  if (!seen.ok()) return seen.status();
  if (!seen->exists) return v1::History();
  // Beyond what ids can be: everything, or nothing.
  constexpr MsgId kMost = (MsgId{1} << 63) - 1;
  return Page(
      uid,
      {ask.chat_id(), std::min(ask.before_msg_id(), kMost), std::min(ask.after_msg_id(), kMost),
       Limit(ask.limit(), limits::kHistoryDefault, limits::kHistoryMost)},
      std::move(seen->tail));
}

Result<v1::ChatView> ChatReader::OpenChat(const std::string& uid, const v1::OpenChat& ask) {
  if (ask.has_to() && !ValidUid(ask.to())) {
    return Status(Code::kInvalidArgument, "malformed uid in to");
  }
  const std::string chat_id = ask.has_to() ? DirectChatId(uid, ask.to()) : ask.chat_id();
  auto seen = See(uid, chat_id);
  if (!seen.ok()) return seen.status();
  v1::ChatView view;
  *view.mutable_chat() = std::move(seen->chat);
  if (seen->exists) {
    auto page = Page(
        uid, {chat_id, 0, 0, Limit(ask.limit(), limits::kOpenChatDefault, limits::kOpenChatMost)},
        std::move(seen->tail));
    if (!page.ok()) return page.status();
    view.mutable_messages()->Swap(page->mutable_messages());
    view.set_more(page->more());
    // A message may have come since the hub was asked for the chat.
    if (!view.messages().empty()) {
      view.mutable_chat()->set_last_msg_id(
          std::max(view.chat().last_msg_id(), view.messages().rbegin()->msg_id()));
    }
  }
  if (Status s = AddPeople(uid, view); !s.ok()) return s;
  return view;
}

Status ChatReader::AddPeople(const std::string& uid, v1::ChatView& view) {
  hub::GetPresence presence;
  presence.uids.assign(view.chat().members().begin(), view.chat().members().end());
  hub::GetReceipts receipts;
  receipts.uid = uid;
  receipts.chats = {view.chat().chat_id()};
  auto replies = hub_.Ask({presence, receipts});
  if (!replies.ok()) return replies.status();
  const auto* states = std::get_if<hub::GetPresenceReply>(&(*replies)[0]);
  const auto* marks = std::get_if<hub::GetReceiptsReply>(&(*replies)[1]);
  if (states == nullptr || marks == nullptr) return {Code::kInternal, "odd answer of the hub"};
  for (const hub::PresenceState& state : states->states) {
    v1::Presence& out = *view.add_presence();
    out.set_uid(state.uid);
    out.set_online(state.online);
    out.set_last_active_ms(state.last_active_ms);
  }
  const std::set<std::string> first(presence.uids.begin(), presence.uids.end());
  for (const auto& chat : marks->chats) {
    for (const hub::Mark& mark : chat.marks) {
      if (!first.contains(mark.uid)) continue;
      v1::DeliveredMark& out = *view.add_delivered();
      out.set_uid(mark.uid);
      out.set_msg_id(mark.msg_id);
    }
  }
  return Status::Ok();
}

// The newest message of each chat, by chat id.
Result<std::map<std::string, v1::Message>> ChatReader::Newest(
    const std::vector<Store::NewestOf>& chats) {
  std::set<uint32_t> partitions;
  std::set<std::string> wanted;
  for (const auto& chat : chats) {
    partitions.insert(PartitionOf(chat.chat_id, options_.partitions));
    wanted.insert(chat.chat_id);
  }
  std::map<std::string, v1::Message> newest;
  const MsgId oldest_kept = store_.OldestKept();
  auto first = hub_.Ask(TailCalls({partitions.begin(), partitions.end()}));
  if (!first.ok()) return first.status();
  const auto tail = ReadTails(hub_, std::move(*first), [&](v1::Message message) {
    if (!wanted.contains(message.chat_id()) || message.msg_id() < oldest_kept) return;
    v1::Message& known = newest[message.chat_id()];
    if (message.msg_id() > known.msg_id()) known = std::move(message);
  });
  if (!tail.ok()) return tail.status();
  // What was stored before is older than what the tail has of a chat.
  std::vector<Store::NewestOf> rest;
  for (const auto& chat : chats) {
    if (newest.contains(chat.chat_id)) continue;
    if (auto page = FromMemory({chat.chat_id, 0, 0, 1}, *tail)) {
      if (!page->messages.empty()) newest[chat.chat_id] = std::move(page->messages[0]);
    } else {
      rest.push_back(chat);
    }
  }
  if (rest.empty()) return newest;
  auto stored = store_.Newest(rest);
  if (!stored.ok()) return stored.status();
  for (size_t i = 0; i < rest.size(); ++i) {
    if ((*stored)[i]) newest[rest[i].chat_id] = std::move(*(*stored)[i]);
  }
  return newest;
}

Result<v1::ChatList> ChatReader::ListChats(const std::string& uid, const v1::ListChats& ask) {
  auto all = hub_.AskOne<hub::UserChatsReply>(hub::UserChats{uid});
  if (!all.ok()) return all.status();
  auto& order = all->chats;
  std::erase_if(order, [&](const auto& chat) {
    return ask.before_msg_id() != 0 && chat.second >= ask.before_msg_id();
  });
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });

  // Chats that uid is still in, one more than asked for. Who left many chats makes this go on.
  const size_t limit = Limit(ask.limit(), limits::kListChatsDefault, limits::kListChatsMost);
  std::vector<std::pair<v1::Chat, MsgId>> page;
  std::map<std::string, hub::ChatRecord> retired;
  for (size_t next = 0; next < order.size() && page.size() <= limit;) {
    const size_t end = std::min(order.size(), next + limit + 1 - page.size());
    std::vector<hub::Call> calls;
    for (size_t i = next; i < end; ++i) {
      hub::GetChat get;
      get.chat = order[i].first;
      get.members = true;
      calls.emplace_back(std::move(get));
    }
    auto replies = hub_.Ask(std::move(calls));
    if (!replies.ok()) return replies.status();
    for (size_t i = next; i < end; ++i) {
      const auto* reply = std::get_if<hub::GetChatReply>(&(*replies)[i - next]);
      if (reply == nullptr) return Status(Code::kInternal, "odd answer of the hub");
      auto chat = ChatFor(uid, order[i].first, *reply);
      if (!chat) continue;
      if (reply->record.retired) retired.emplace(order[i].first, reply->record);
      page.emplace_back(std::move(*chat), order[i].second);
    }
    next = end;
  }
  const bool more = page.size() > limit;
  if (more) {
    // The next page begins below an id: chats with the same id must not be torn apart.
    const MsgId cut = page.back().second;
    page.pop_back();
    size_t keep = page.size();
    while (keep > 0 && page[keep - 1].second == cut) --keep;
    if (keep > 0) page.resize(keep);
  }

  std::vector<hub::ChatRecord> back;
  std::vector<v1::Chat*> untitled;  // theirs
  for (auto& [chat, id] : page) {
    const auto record = retired.find(chat.chat_id());
    if (record == retired.end()) continue;
    back.push_back(record->second);
    untitled.push_back(&chat);
  }
  if (Status s = BringBack(back); !s.ok()) return s;
  for (size_t i = 0; i < back.size(); ++i) untitled[i]->set_title(back[i].title);
  std::vector<Store::NewestOf> ids;
  for (const auto& [chat, id] : page) ids.push_back({chat.chat_id(), chat.last_msg_id()});
  auto newest = Newest(ids);
  if (!newest.ok()) return newest.status();
  v1::ChatList list;
  list.set_more(more);
  size_t bytes = 0;
  for (auto& [chat, id] : page) {
    v1::ChatSummary summary;
    // What pages are cut by; a fan-out still under way may leave it behind the chat's own newest
    // id.
    chat.set_last_msg_id(id);
    *summary.mutable_chat() = std::move(chat);
    if (const auto message = newest->find(summary.chat().chat_id()); message != newest->end()) {
      HideFromOthers(uid, message->second);
      *summary.mutable_last_message() = std::move(message->second);
    }
    bytes += summary.ByteSizeLong() + 8;
    if (bytes > options_.response_bytes && list.chats_size() > 0) {
      list.set_more(true);
      break;
    }
    *list.add_chats() = std::move(summary);
  }
  return list;
}

}  // namespace nightjar::persist
