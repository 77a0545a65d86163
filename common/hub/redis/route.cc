#include "common/hub/redis/route.h"

#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

struct Partition {
  uint32_t partitions;

  uint32_t Of(std::string_view id) const { return nightjar::PartitionOf(id, partitions); }
  template <typename List>
  uint32_t OfFirst(const List& ids) const {
    return ids.empty() ? 0 : Of(ids.front());
  }
  static uint32_t First(const std::vector<uint32_t>& numbers) {
    return numbers.empty() ? 0 : numbers.front();
  }

  uint32_t operator()(const Append& c) const { return OfFirst(c.uids); }
  uint32_t operator()(const GetReceipts& c) const { return OfFirst(c.chats); }
  uint32_t operator()(const Heads& c) const {
    return c.sessions.empty() ? 0 : Of(c.sessions.front().uid);
  }
  uint32_t operator()(const MoveMark& c) const { return Of(c.chat); }
  uint32_t operator()(const TellMark& c) const { return Of(c.author); }
  uint32_t operator()(const GetPresence& c) const { return OfFirst(c.uids); }
  uint32_t operator()(const Watch& c) const { return OfFirst(c.uids); }

  uint32_t operator()(const ListSessions& c) const { return c.partition; }
  uint32_t operator()(const PutDeadLetter& c) const { return c.partition; }
  uint32_t operator()(const Fence& c) const { return First(c.partitions); }
  uint32_t operator()(const Lease& c) const { return First(c.partitions); }
  uint32_t operator()(const ReadLog& c) const { return First(c.partitions); }
  uint32_t operator()(const TrimLog& c) const {
    return c.partitions.empty() ? 0 : c.partitions.front().partition;
  }

  uint32_t operator()(const Beat&) const { return 0; }
  uint32_t operator()(const Gone&) const { return 0; }
  uint32_t operator()(const Info&) const { return 0; }

  // PutMute names a chat too, but its settings are the user's.
  template <typename OfOne>
  uint32_t operator()(const OfOne& c) const {
    if constexpr (requires { c.uid; }) {
      return Of(c.uid);
    } else {
      return Of(c.chat);
    }
  }
};

}  // namespace

uint32_t PartitionOf(const Call& call, uint32_t partitions) {
  return std::visit(Partition{partitions}, call);
}

}  // namespace nightjar::hub
