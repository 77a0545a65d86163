#include "persister/hot_chats.h"

#include <algorithm>
#include <utility>

#include "common/base/clock.h"

namespace nightjar::persist {
namespace {

// Beside the messages' bytes, roughly: nodes, strings and their heap headers.
constexpr size_t kEntryCost = 400;
constexpr size_t kMessageCost = 96;

// Messages of an entry that fit a query, at most one more than asked for, in the order they were
// looked for.
template <typename It>
void Take(It from, It to, size_t most, std::vector<std::string>& out) {
  for (; from != to && out.size() < most; ++from) out.push_back(from->second);
}

}  // namespace

HotChats::HotChats(Options options)
    : options_(std::move(options)), partitions_(options_.partitions) {}

bool HotChats::Held(const Partition& partition) const {
  const int64_t now = options_.mono_ms ? options_.mono_ms() : SystemNow().mono_ms;
  return partition.lease.token != 0 && now < partition.lease.until_ms;
}

void HotChats::Void(Partition& partition) {
  ++partition.life;
  partition.fed.reset();
}

// ---- the journal's side -----------------------------------------------------------------------

void HotChats::SetLeases(const std::vector<Lease>& leases) {
  std::lock_guard lock(mutex_);
  for (size_t p = 0; p < partitions_.size() && p < leases.size(); ++p) {
    if (leases[p].token != partitions_[p].lease.token) Void(partitions_[p]);
    partitions_[p].lease = leases[p];
  }
}

void HotChats::Clear() {
  std::lock_guard lock(mutex_);
  for (Partition& partition : partitions_) {
    Void(partition);
    partition.lease = {};
  }
}

void HotChats::Stored(const Round& round) {
  std::lock_guard lock(mutex_);
  if (round.partition >= partitions_.size()) return;
  Partition& partition = partitions_[round.partition];
  // Under another lease than readers know of, or with a gap before it: somebody else has trimmed.
  if (round.token == 0 || round.token != partition.lease.token) return Void(partition);
  if (partition.fed && round.first > *partition.fed) Void(partition);
  partition.fed = std::max(partition.fed.value_or(0), round.upto);
  for (const v1::Message& message : round.messages) {
    Entry* entry = Find(message.chat_id());
    if (entry == nullptr) continue;
    Insert(*entry, message.msg_id(), message.SerializeAsString());
    KeepToBounds(*entry);
  }
  MakeRoom();
}

// ---- entries ----------------------------------------------------------------------------------

HotChats::Entry* HotChats::Find(const std::string& chat) {
  const auto it = entries_.find(chat);
  if (it == entries_.end()) return nullptr;
  if (it->second.life == partitions_[it->second.partition].life) return &it->second;
  Erase(it);
  return nullptr;
}

void HotChats::Insert(Entry& entry, MsgId id, std::string bytes) {
  if (entry.floor != kNothingKnown && id <= entry.floor) {
    entry.let_go = std::max(entry.let_go, id);
    return;
  }
  const size_t cost = bytes.size() + kMessageCost;
  if (!entry.messages.emplace(id, std::move(bytes)).second) return;
  entry.bytes += cost;
  bytes_ += cost;
}

void HotChats::DropOldest(Entry& entry) {
  const auto oldest = entry.messages.begin();
  const size_t cost = oldest->second.size() + kMessageCost;
  entry.bytes -= cost;
  bytes_ -= cost;
  entry.messages.erase(oldest);
}

void HotChats::KeepToBounds(Entry& entry) {
  while (entry.messages.size() > options_.chat_messages || entry.bytes > options_.chat_bytes) {
    const MsgId id = entry.messages.begin()->first;
    entry.let_go = std::max(entry.let_go, id);
    if (entry.floor != kNothingKnown) entry.floor = std::max(entry.floor, id);
    DropOldest(entry);
  }
}

void HotChats::Erase(Entries::iterator it) {
  bytes_ -= it->second.bytes + kEntryCost + 2 * it->first.size();
  turns_.erase(it->second.turn);
  entries_.erase(it);
}

void HotChats::MakeRoom() {
  while (bytes_ > options_.bytes && !turns_.empty()) {
    Erase(entries_.find(turns_.back()));
    ++counters_.evicted;
  }
}

// ---- the readers' side ------------------------------------------------------------------------

std::optional<HistoryPage> HotChats::Read(uint32_t partition, const HistoryQuery& query,
                                          std::optional<uint64_t> tail_first) {
  std::vector<std::string> found;
  const bool oldest_first = query.after != 0 && query.before == 0;
  const size_t most = size_t{query.limit} + 1;
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    if (partition >= partitions_.size() || query.limit == 0) return std::nullopt;
    if (query.before != 0 && query.before <= query.after) return std::nullopt;
    Partition& held = partitions_[partition];
    if (!Held(held)) {
      ++counters_.elsewhere;
      return std::nullopt;
    }
    if (held.fed && tail_first && *tail_first > *held.fed) Void(held);
    Entry* entry = Find(query.chat_id);
    if (entry == nullptr || entry->floor == kNothingKnown) {
      ++counters_.misses;
      return std::nullopt;
    }
    turns_.splice(turns_.begin(), turns_, entry->turn);
    const auto& messages = entry->messages;
    // Everything that the query could mean lies above the floor.
    const bool covered = query.after >= entry->floor;
    if (oldest_first) {
      if (covered) Take(messages.upper_bound(query.after), messages.end(), most, found);
    } else {
      const auto end = query.before == 0 ? messages.end() : messages.lower_bound(query.before);
      const auto begin = covered ? messages.upper_bound(query.after) : messages.begin();
      Take(std::make_reverse_iterator(end), std::make_reverse_iterator(begin), most, found);
    }
    more = found.size() == most;
    // A full page without bounds below: the floor says that there is an older one.
    const bool full = !oldest_first && query.after == 0 && found.size() == query.limit;
    if (!covered && !more && !full) {
      ++counters_.misses;
      return std::nullopt;
    }
    if (!covered && full) more = true;
    ++counters_.hits;
  }
  if (found.size() == most) found.pop_back();
  if (!oldest_first) std::reverse(found.begin(), found.end());
  HistoryPage page;
  page.more = more;
  for (const std::string& bytes : found) {
    if (!page.messages.emplace_back().ParseFromString(bytes)) return std::nullopt;
  }
  return page;
}

std::optional<HotChats::Ticket> HotChats::Begin(uint32_t partition, const std::string& chat) {
  std::lock_guard lock(mutex_);
  if (partition >= partitions_.size() || !Held(partitions_[partition])) return std::nullopt;
  if (const Entry* known = Find(chat)) return Ticket{chat, known->number};
  Entry& entry = entries_[chat];
  entry.number = ++last_number_;
  entry.partition = partition;
  entry.life = partitions_[partition].life;
  turns_.push_front(chat);
  entry.turn = turns_.begin();
  bytes_ += kEntryCost + 2 * chat.size();
  const Ticket ticket{chat, entry.number};
  MakeRoom();
  return ticket;
}

void HotChats::Fill(const Ticket& ticket, const HistoryPage& page) {
  std::lock_guard lock(mutex_);
  Entry* entry = Find(ticket.chat);
  if (entry == nullptr || entry->number != ticket.entry) return;
  MsgId floor = 0;
  if (page.more) {
    if (page.messages.empty()) return;
    floor = page.messages.front().msg_id() - 1;
  }
  floor = std::max(floor, entry->let_go);
  if (floor >= entry->floor) return;
  entry->floor = floor;
  while (!entry->messages.empty() && entry->messages.begin()->first <= floor) DropOldest(*entry);
  for (const v1::Message& message : page.messages) {
    Insert(*entry, message.msg_id(), message.SerializeAsString());
  }
  KeepToBounds(*entry);
  MakeRoom();
}

HotChats::Counters HotChats::counters() const {
  std::lock_guard lock(mutex_);
  Counters now = counters_;
  now.chats = entries_.size();
  now.bytes = bytes_;
  return now;
}

}  // namespace nightjar::persist
