#include "persister/dead_letters.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "nightjar/v1/hub.pb.h"

namespace nightjar::persist {
namespace {

constexpr int64_t kHubWaitMs = 15'000;  // longer than a call may take
constexpr int64_t kLeaseMs = 30'000;    // of one letter's Put
constexpr uint32_t kPage = 100;
constexpr uint32_t kPageBytes = 1 << 20;
constexpr size_t kDigits = 16;

// FNV-1a over 64 bits; each part goes in behind its length, so that no two letters run together.
class Digest {
 public:
  void Add(uint64_t number) {
    for (int i = 0; i < 8; ++i) Byte(static_cast<uint8_t>(number >> (8 * i)));
  }
  void Add(const std::string& bytes) {
    Add(bytes.size());
    for (const char c : bytes) Byte(static_cast<uint8_t>(c));
  }
  uint64_t value() const { return value_; }

 private:
  void Byte(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }
  uint64_t value_ = 0xcbf29ce484222325;
};

bool Chosen(const DeadLetterDesk::Choice& choice, const std::string& id) {
  return choice.ids.empty() || choice.ids.contains(id);
}

}  // namespace

std::string DeadLetterId(uint32_t partition, const hub::DeadLetter& letter) {
  Digest digest;
  digest.Add(static_cast<uint64_t>(letter.at_ms));
  digest.Add(letter.reason);
  digest.Add(letter.record);
  return fmt::format("{}-{:016x}", partition, digest.value());
}

std::optional<uint32_t> PartitionOfDeadLetter(const std::string& id) {
  uint32_t partition = 0;
  const char* end = id.data() + id.size();
  const auto [rest, error] = std::from_chars(id.data(), end, partition);
  if (error != std::errc() || end - rest != kDigits + 1 || *rest != '-') return std::nullopt;
  if (id.find_first_not_of("0123456789abcdef", static_cast<size_t>(rest - id.data()) + 1) !=
      std::string::npos) {
    return std::nullopt;
  }
  return partition;
}

DeadLetterDesk::DeadLetterDesk(Options options, hub::Hub& hub)
    : options_(std::move(options)), hub_(hub, kHubWaitMs) {}

Result<uint64_t> DeadLetterDesk::Walk(const Choice& choice, const Visit& visit) {
  std::set<uint32_t> partitions;
  for (const std::string& id : choice.ids) {
    if (const auto partition = PartitionOfDeadLetter(id)) partitions.insert(*partition);
  }
  if (choice.ids.empty()) {
    const uint32_t first = choice.partition.value_or(0);
    const uint32_t end = choice.partition ? first + 1 : options_.partitions;
    for (uint32_t p = first; p < end; ++p) partitions.insert(p);
  }
  uint64_t total = 0;
  bool enough = false;
  for (const uint32_t partition : partitions) {
    if (enough || partition >= options_.partitions) break;
    const auto there = WalkPartition(partition, visit, enough);
    if (!there.ok()) return there.status();
    total += *there;
  }
  return total;
}

Result<uint64_t> DeadLetterDesk::WalkPartition(uint32_t partition, const Visit& visit,
                                               bool& enough) {
  std::optional<uint64_t> total;
  uint64_t visited = 0;
  for (uint64_t from = 0; !enough;) {
    const auto page = hub_.AskOne<hub::ListDeadLettersReply>(
        hub::ListDeadLetters{partition, from, kPage, kPageBytes});
    if (!page.ok()) return page.status();
    if (!total) total = page->total;
    if (page->letters.empty()) break;
    for (const hub::DeadLetter& letter : page->letters) {
      if (visited++ == *total) return *total;  // the rest came later
      if (options_.stop && options_.stop()) return Status(Code::kUnavailable, "told to stop");
      const auto next = visit({partition, DeadLetterId(partition, letter), letter});
      if (!next.ok()) return next.status();
      if (*next == Next::kKept) ++from;
      enough = *next == Next::kEnough;
      if (enough) break;
    }
  }
  return total.value_or(0);
}

Result<uint64_t> DeadLetterDesk::List(const Choice& choice, uint64_t limit,
                                      const std::function<void(const Letter&)>& each) {
  uint64_t shown = 0;
  return Walk(choice, [&](const Letter& letter) -> Result<Next> {
    if (!Chosen(choice, letter.id)) return Next::kKept;
    if (shown == limit) return Next::kEnough;
    ++shown;
    each(letter);
    return Next::kKept;
  });
}

Status DeadLetterDesk::Remove(const Letter& letter) {
  return hub_.AskOne<hub::Done>(hub::DropDeadLetter{letter.partition, letter.letter}).status();
}

Result<DeadLetterDesk::Counts> DeadLetterDesk::Drop(const Choice& choice) {
  Counts counts;
  counts.missing = choice.ids;
  const auto walked = Walk(choice, [&](const Letter& letter) -> Result<Next> {
    if (!Chosen(choice, letter.id)) return Next::kKept;
    if (Status s = Remove(letter); !s.ok()) return s;
    counts.missing.erase(letter.id);
    ++counts.done;
    return Next::kRemoved;
  });
  if (!walked.ok()) return walked.status();
  return counts;
}

Result<uint64_t> DeadLetterDesk::TakeLease(uint32_t partition, int64_t ttl_ms) {
  const auto reply = hub_.AskOne<hub::LeaseReply>(
      hub::Lease{hub::Role::kPersist, options_.owner, {partition}, ttl_ms});
  if (!reply.ok()) return reply.status();
  return reply->tokens.empty() ? 0 : reply->tokens[0];
}

Status DeadLetterDesk::ReplayOne(const Letter& letter, Store& store) {
  std::vector<v1::JournalRecord> records(1);
  if (!records[0].ParseFromString(letter.letter.record)) {
    return {Code::kInvalidArgument, "cannot be decoded"};
  }
  const auto token = TakeLease(letter.partition, kLeaseMs);
  if (!token.ok()) return token.status();
  if (*token == 0) {
    return {Code::kUnavailable,
            fmt::format("a persister holds partition {}; stop it first", letter.partition)};
  }
  if (Status s = store.Put(records); !s.ok()) return s;
  // Had the lease run out meanwhile, another writer could have crossed this one: it is put again.
  const auto still = TakeLease(letter.partition, kLeaseMs);
  if (!still.ok()) return still.status();
  if (*still != *token) {
    return {Code::kUnavailable, "storing a letter outlasted the lease; it stays, try again"};
  }
  return Remove(letter);
}

Result<DeadLetterDesk::Counts> DeadLetterDesk::Replay(
    const Choice& choice, Store& store,
    const std::function<void(const Letter&, const std::string& why)>& told) {
  Counts counts;
  counts.missing = choice.ids;
  std::set<uint32_t> leased;
  const auto walked = Walk(choice, [&](const Letter& letter) -> Result<Next> {
    if (!Chosen(choice, letter.id)) return Next::kKept;
    counts.missing.erase(letter.id);
    leased.insert(letter.partition);
    const Status status = ReplayOne(letter, store);
    if (status.code() == Code::kInvalidArgument) {
      ++counts.refused;
      told(letter, status.message());
      return Next::kKept;
    }
    if (!status.ok()) return status;
    ++counts.done;
    return Next::kRemoved;
  });
  // Given back; if that fails they run out by themselves.
  for (const uint32_t partition : leased) (void)TakeLease(partition, 0);
  if (!walked.ok()) return walked.status();
  return counts;
}

}  // namespace nightjar::persist
