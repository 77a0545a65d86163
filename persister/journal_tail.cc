#include "persister/journal_tail.h"

#include <utility>

namespace nightjar::persist {
namespace {

constexpr uint32_t kCount = 4096;
constexpr uint32_t kBytes = 1 << 20;

hub::Call ReadFrom(uint32_t partition, uint64_t from) {
  hub::ReadLog read;
  read.log = hub::Log::kJournal;
  read.partitions = {partition};
  read.from = from;
  read.count = kCount;
  read.bytes = kBytes;
  return read;
}

}  // namespace

std::vector<hub::Call> TailCalls(const std::vector<uint32_t>& partitions) {
  std::vector<hub::Call> calls;
  for (const uint32_t partition : partitions) calls.push_back(ReadFrom(partition, 0));
  return calls;
}

Result<TailStarts> ReadTails(HubReader& hub, std::vector<hub::Reply> first,
                             const std::function<void(v1::Message)>& take) {
  std::vector<hub::Call> calls;
  Result<std::vector<hub::Reply>> replies = std::move(first);
  TailStarts starts;
  size_t seen = 0;
  while (true) {
    for (const hub::Reply& reply : *replies) {
      const auto* log = std::get_if<hub::ReadLogReply>(&reply);
      if (log == nullptr) return Status(Code::kInternal, "the hub gave an answer of another kind");
      for (const hub::LogSlice& slice : log->slices) {
        seen += slice.records.size();
        starts.emplace(slice.partition, slice.first);  // later pieces change nothing
        for (const std::string& bytes : slice.records) {
          v1::JournalRecord record;
          if (!record.ParseFromString(bytes) || !record.has_message()) continue;
          take(std::move(*record.mutable_message()));
        }
        const uint64_t next = slice.first + slice.records.size();
        if (next < slice.end && !slice.records.empty())
          calls.push_back(ReadFrom(slice.partition, next));
      }
    }
    if (seen > kTailMost) {
      return Status(Code::kUnavailable, "the store is too far behind to be read");
    }
    if (calls.empty()) return starts;
    replies = hub.Ask(std::exchange(calls, {}));
    if (!replies.ok()) return replies.status();
  }
}

}  // namespace nightjar::persist
