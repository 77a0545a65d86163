#include "persister/idle_keeper.h"

#include <algorithm>
#include <utility>

#include "common/wire/names.h"

namespace nightjar::persist {
namespace {

constexpr uint32_t kPage = 256;
constexpr size_t kNamesInCall = 64;
constexpr int64_t kRetryMs = 5000;
constexpr int64_t kJournalPollMs = 1000;
constexpr int64_t kJournalWaitMs = 60'000;  // partitions that take longer are left to the next walk

}  // namespace

IdleKeeper::IdleKeeper(Options options, hub::Hub& hub, Store& store)
    : options_(options), hub_(hub, options.hub_timeout_ms), store_(store) {}

int64_t IdleKeeper::Step(const Now& now, const std::vector<uint32_t>& held) {
  if (phase_ == Phase::kResting) {
    if (now.mono_ms < walk_ms_) return walk_ms_ - now.mono_ms;
    if (held.empty()) return kJournalPollMs;
    walk_ms_ = now.mono_ms;
    phase_ = Phase::kJournals;
    waiting_.clear();
    stored_.assign(options_.partitions, false);
  }
  int64_t wait_ms = 0;
  if (phase_ == Phase::kJournals) {
    failed_ = LookAtJournals(now, held);
    const bool patient = now.mono_ms - walk_ms_ < kJournalWaitMs;
    if (failed_.ok() && (waiting_.empty() || !patient)) {
      NextPhase();
    } else {
      wait_ms = kJournalPollMs;
    }
  } else {
    uint32_t looked_at = kPage;  // entries are work, too
    failed_ = again_.empty() ? LookAtNames(held, looked_at) : LetGo(std::exchange(again_, {}));
    if (last_page_ && again_.empty()) NextPhase();
    wait_ms = 1 + int64_t{1000} * looked_at / options_.names_per_s;
  }
  if (failed_.ok()) return wait_ms;
  ++counters_.failures;
  return kRetryMs;
}

// What a journal has when the walk begins is stored once it is trimmed beyond it; what comes later
// is not of chats and users that are idle.
Status IdleKeeper::LookAtJournals(const Now& now, const std::vector<uint32_t>& held) {
  const bool first = waiting_.empty();
  hub::ReadLog read;
  read.log = hub::Log::kJournal;
  read.count = 1;
  if (first) {
    read.partitions = held;
  } else {
    for (const auto& [partition, end] : waiting_) read.partitions.push_back(partition);
  }
  auto reply = hub_.AskOne<hub::ReadLogReply>(read);
  if (!reply.ok()) return reply.status();
  if (first) {
    idle_since_ms_ = now.unix_ms - std::max(options_.idle_ms, options_.margin_ms);
  }
  std::map<uint32_t, uint64_t> waiting;
  for (const hub::LogSlice& slice : reply->slices) {
    const uint64_t end = first ? slice.end : waiting_[slice.partition];
    if (first || slice.first < end) waiting[slice.partition] = end;
  }
  for (const uint32_t partition : read.partitions) {
    if (partition < stored_.size()) stored_[partition] = !waiting.contains(partition);
  }
  waiting_ = std::move(waiting);
  return {};
}

Status IdleKeeper::LookAtNames(const std::vector<uint32_t>& held, uint32_t& looked_at) {
  const bool chats = phase_ == Phase::kChats;
  const uint32_t most = std::clamp<uint32_t>(options_.names_per_s, 1, kPage);
  const auto page = store_.Names(chats ? Store::Named::kChats : Store::Named::kUsers, from_, most);
  if (!page.ok()) return page.status();
  looked_at = static_cast<uint32_t>(page->names.size());

  std::vector<bool> mine(options_.partitions, false);
  for (const uint32_t partition : held) {
    if (partition < mine.size()) mine[partition] = stored_[partition];
  }
  std::vector<hub::Retire> calls;
  std::map<uint32_t, size_t> open;  // partition -> the call that has room for more
  for (const std::string& name : page->names) {
    const auto chat = ParseChatId(name);
    if (chats ? !chat || chat->direct : !ValidUid(name)) continue;  // a direct chat is all needed
    const uint32_t partition = PartitionOf(name, options_.partitions);
    if (!mine[partition]) continue;
    const auto [place, fresh] = open.try_emplace(partition, calls.size());
    if (fresh ||
        calls[place->second].chats.size() + calls[place->second].uids.size() >= kNamesInCall) {
      place->second = calls.size();
      calls.push_back({partition, {}, {}, idle_since_ms_});
    }
    hub::Retire& call = calls[place->second];
    (chats ? call.chats : call.uids).push_back(name);
  }
  if (Status s = LetGo(std::move(calls)); !s.ok()) return s;  // this page is looked at again
  counters_.names += looked_at;
  from_ = page->next;
  last_page_ = from_.empty();
  return {};
}

Status IdleKeeper::LetGo(std::vector<hub::Retire> calls) {
  if (calls.empty()) return {};
  const auto replies = hub_.Ask({calls.begin(), calls.end()});
  if (!replies.ok()) return replies.status();
  for (size_t i = 0; i < calls.size(); ++i) {
    const auto* reply = std::get_if<hub::RetireReply>(&(*replies)[i]);
    if (reply == nullptr) return {Code::kInternal, "odd answer of the hub"};
    counters_.chats += reply->chats;
    counters_.users += reply->users;
    counters_.entries += reply->entries;
    if (reply->entries >= hub::kRetireEntries) again_.push_back(std::move(calls[i]));
  }
  return {};
}

void IdleKeeper::NextPhase() {
  from_.clear();
  last_page_ = false;
  switch (phase_) {
    case Phase::kResting:
    case Phase::kJournals:
      phase_ = Phase::kChats;
      break;
    case Phase::kChats:
      phase_ = Phase::kUsers;
      break;
    case Phase::kUsers:
      phase_ = Phase::kResting;
      walk_ms_ += options_.walk_every_ms;
      ++counters_.walks;
      break;
  }
}

}  // namespace nightjar::persist
