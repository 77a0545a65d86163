#include "persister/rebuild.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/wire/names.h"
#include "persister/hub_reader.h"
#include "persister/sent_windows.h"

namespace nightjar::persist {
namespace {

constexpr uint32_t kNames = 500;
constexpr size_t kMembersInPart = 500;
constexpr size_t kChatsInPart = 500;
constexpr uint32_t kJournalRecords = 1000;
constexpr uint32_t kJournalBytes = 4 << 20;
constexpr int64_t kHubWaitMs = 15'000;  // longer than a call may take
constexpr uint32_t kChatsLookedAt = 20;

Status Bad(const hub::Reply& reply) {
  const auto* failure = std::get_if<hub::Failure>(&reply);
  if (failure == nullptr) return {Code::kInternal, "the hub gave an answer of another kind"};
  switch (failure->kind) {
    case hub::Failure::Kind::kUnavailable:
      return {Code::kUnavailable, "hub: " + failure->message};
    case hub::Failure::Kind::kFull:
      return {Code::kUnavailable, "hub: full: " + failure->message};
    case hub::Failure::Kind::kInternal:
      break;
  }
  return {Code::kInternal, "hub: " + failure->message};
}

// Takes `items` to parts of at most `most`.
template <typename T, typename Each>
Status InParts(const std::vector<T>& items, size_t most, Each each) {
  for (size_t begin = 0; begin < items.size(); begin += most) {
    const size_t end = std::min(items.size(), begin + most);
    const auto at = [&](size_t i) { return items.begin() + static_cast<std::ptrdiff_t>(i); };
    if (Status s = each(std::vector<T>(at(begin), at(end))); !s.ok()) return s;
  }
  return {};
}

}  // namespace

Rebuilder::Rebuilder(Options options, hub::Hub& hub, Store& store, Progress progress)
    : options_(std::move(options)),
      hub_(hub),
      store_(store),
      progress_(std::move(progress)),
      under_way_(std::make_shared<UnderWay>()) {}

Status Rebuilder::Run() {
  if (Status s = SetClosed(true); !s.ok()) return s;
  if (Status s = StoreJournals(); !s.ok()) return s;
  Status status = Walk(Store::Named::kChats, [this](const std::string& id) { return Chat(id); });
  if (!status.ok()) return status;
  status = Walk(Store::Named::kUsers, [this](const std::string& uid) { return User(uid); });
  if (!status.ok()) return status;
  if (Status s = WaitForAll(); !s.ok()) return s;
  return SetClosed(false);
}

// ---- the hub ----------------------------------------------------------------------------------

Status Rebuilder::Submit(hub::Call call) {
  {
    std::unique_lock lock(under_way_->mutex);
    under_way_->changed.wait(lock, [this] { return under_way_->calls < options_.calls; });
    if (!under_way_->failed.ok()) return under_way_->failed;
    ++under_way_->calls;
  }
  hub_.Submit(std::move(call), [under_way = under_way_](hub::Reply reply) {
    std::lock_guard lock(under_way->mutex);
    --under_way->calls;
    if (!std::holds_alternative<hub::Done>(reply) && under_way->failed.ok()) {
      under_way->failed = Bad(reply);
    }
    under_way->changed.notify_all();
  });
  return {};
}

Status Rebuilder::WaitForAll() {
  std::unique_lock lock(under_way_->mutex);
  under_way_->changed.wait(lock, [this] { return under_way_->calls == 0; });
  return under_way_->failed;
}

Status Rebuilder::SetClosed(bool closed) {
  hub::Rebuild rebuild;
  rebuild.closed = closed;
  rebuild.partitions.resize(options_.partitions);
  std::iota(rebuild.partitions.begin(), rebuild.partitions.end(), 0U);
  if (Status s = Submit(std::move(rebuild)); !s.ok()) return s;
  return WaitForAll();
}

Status Rebuilder::Tell() {
  if (progress_) progress_(counts_);
  if (options_.stop && options_.stop()) return {Code::kUnavailable, "told to stop"};
  return {};
}

// ---- what is not stored yet -------------------------------------------------------------------

Status Rebuilder::StoreJournals() {
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    if (Status s = StoreJournal(p); !s.ok()) return s;
  }
  return {};
}

// The persister stores and trims it again later, to no further effect.
Status Rebuilder::StoreJournal(uint32_t partition) {
  HubReader reader(hub_, kHubWaitMs);
  for (uint64_t from = 0;;) {
    const auto log = reader.AskOne<hub::ReadLogReply>(
        hub::ReadLog{hub::Log::kJournal, {partition}, from, kJournalRecords, kJournalBytes});
    if (!log.ok()) return log.status();
    if (log->slices.empty() || log->slices[0].records.empty()) return {};
    const hub::LogSlice& slice = log->slices[0];
    std::vector<v1::JournalRecord> records;
    for (const std::string& bytes : slice.records) {
      if (!records.emplace_back().ParseFromString(bytes)) {
        records.pop_back();
        ++counts_.bad;
      }
    }
    if (Status s = StoreAll(std::move(records)); !s.ok()) return s;
    from = slice.first + slice.records.size();
    if (Status s = Tell(); !s.ok()) return s;
  }
}

Status Rebuilder::StoreAll(std::vector<v1::JournalRecord> records) {
  const Status whole = store_.Put(records);
  if (whole.ok()) counts_.records += records.size();
  if (whole.code() != Code::kInvalidArgument) return whole;
  for (v1::JournalRecord& record : records) {
    const Status one = store_.Put({std::move(record)});
    if (!one.ok() && one.code() != Code::kInvalidArgument) return one;
    ++(one.ok() ? counts_.records : counts_.bad);
  }
  return {};
}

// ---- what is stored ---------------------------------------------------------------------------

Status Rebuilder::Walk(Store::Named what, const std::function<Status(const std::string&)>& each) {
  std::string from;
  do {
    const auto page = store_.Names(what, from, kNames);
    if (!page.ok()) return page.status();
    for (const std::string& name : page->names) {
      if (Status s = each(name); !s.ok()) return s;
      if (Status s = Tell(); !s.ok()) return s;
    }
    from = page->next;
  } while (!from.empty());
  return {};
}

Status Rebuilder::Chat(const std::string& chat_id) {
  const auto found = store_.ReadChat(chat_id);
  if (!found.ok()) return found.status();
  if (!found.value() || !ParseChatId(chat_id)) return {};
  const StoredChat& chat = *found.value();

  SentWindows windows;
  hub::RestoreChat whole;
  whole.record.last_msg_id = chat.last_msg_id;
  HistoryQuery query{chat_id, 0, 0, options_.page};
  for (bool more = true; more;) {
    const auto page = store_.History(query);
    if (!page.ok()) return page.status();
    const auto& messages = page->messages;
    for (auto message = messages.rbegin(); message != messages.rend(); ++message) {
      windows.Add(*message);
      whole.record.last_msg_id = std::max<MsgId>(whole.record.last_msg_id, message->msg_id());
    }
    counts_.messages += messages.size();
    more = page->more && !messages.empty();
    if (more) query.before = messages.front().msg_id();
    if (Status s = Tell(); !s.ok()) return s;
  }
  for (hub::RestoreChat& part : windows.Parts(chat_id)) {
    if (Status s = Submit(std::move(part)); !s.ok()) return s;
  }

  // Who left long ago is forgotten in the hub, marks too.
  std::vector<hub::Member> members;
  std::vector<hub::Mark> marks;
  auto mark = chat.delivered.begin();
  for (const StoredMember& member : chat.members) {
    const bool gone = member.left != 0 && MsgIdMs(member.left) < options_.now_ms - hub::kLeftKeptMs;
    if (gone) continue;
    if (!chat.direct) members.push_back({member.uid, member.joined, member.left});
    mark = std::find_if(mark, chat.delivered.end(),
                        [&](const auto& other) { return other.first >= member.uid; });
    if (mark != chat.delivered.end() && mark->first == member.uid) {
      marks.push_back({mark->first, mark->second});
    }
  }
  Status status = InParts(members, kMembersInPart, [&](std::vector<hub::Member> some) {
    hub::RestoreChat part;
    part.record.chat = chat_id;
    part.members = std::move(some);
    return Submit(std::move(part));
  });
  if (!status.ok()) return status;
  status = InParts(marks, kMembersInPart, [&](std::vector<hub::Mark> some) {
    hub::RestoreChat part;
    part.record.chat = chat_id;
    part.delivered = std::move(some);
    return Submit(std::move(part));
  });
  if (!status.ok()) return status;

  whole.record.chat = chat_id;
  whole.record.direct = chat.direct;
  whole.record.title = chat.title;
  whole.record.created_ms = chat.created_ms;
  whole.record.created_by = chat.created_by;
  if (chat.direct && !chat.members.empty()) whole.first_id = chat.members.front().joined;
  ++counts_.chats;
  return Submit(std::move(whole));
}

Status Rebuilder::User(const std::string& uid) {
  const auto user = store_.ReadUser(uid);
  if (!user.ok()) return user.status();
  const auto chats = store_.ChatsOf(uid);
  if (!chats.ok()) return chats.status();

  hub::RestoreUser whole;
  whole.uid = uid;
  whole.name = user->name;
  whole.email = user->email;
  for (const v1::PushRegistered& push : user->push) {
    whole.push.push_back({push.device(), push.registration().SerializeAsString()});
  }
  for (const v1::Muted& mute : user->mutes) {
    if (mute.until_ms() > 0 && mute.until_ms() <= options_.now_ms) continue;
    whole.mutes.push_back({mute.chat_id(), mute.device(), mute.until_ms()});
  }
  const Status status = InParts(*chats, kChatsInPart, [&](auto some) {
    hub::RestoreUser part;
    part.uid = uid;
    part.chats = std::move(some);
    return Submit(std::move(part));
  });
  if (!status.ok()) return status;
  ++counts_.users;
  return Submit(std::move(whole));
}

// ---- is it needed? ----------------------------------------------------------------------------

Result<std::string> LostByHub(hub::Hub& hub, Store& store) {
  const auto names = store.Names(Store::Named::kChats, "", kChatsLookedAt);
  if (!names.ok()) return names.status();
  HubReader reader(hub, kHubWaitMs);
  for (const std::string& chat : names->names) {
    const auto stored = store.ReadChat(chat);
    if (!stored.ok()) return stored.status();
    if (!stored.value()) continue;
    const auto known = reader.AskOne<hub::GetChatReply>(hub::GetChat{chat, 0, false});
    if (!known.ok()) return known.status();
    if (!known->found) return chat;
  }
  return std::string();
}

}  // namespace nightjar::persist
