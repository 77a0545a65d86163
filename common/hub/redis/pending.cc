#include "common/hub/redis/pending.h"

namespace nightjar::hub {
namespace {

size_t Of(const std::vector<std::string>& strings) {
  size_t bytes = 0;
  for (const std::string& s : strings) bytes += s.size() + sizeof(std::string);
  return bytes;
}

struct Bytes {
  size_t operator()(const Send& c) const { return Of(c.members) + Of(c.shared) + Of(c.own); }
  size_t operator()(const Append& c) const {
    return Of(c.uids) + c.shared.size() + c.own.size();
  }
  size_t operator()(const CreateChat& c) const { return Of(c.members) + Of(c.change); }
  size_t operator()(const UpdateChat& c) const { return Of(c.add) + Of(c.remove) + Of(c.change); }
  size_t operator()(const GetReceipts& c) const { return Of(c.chats); }
  size_t operator()(const Heads& c) const { return Of(c.uids); }
  size_t operator()(const GetPresence& c) const { return Of(c.uids); }
  size_t operator()(const PutPush& c) const { return c.registration.size() + c.journal.size(); }
  size_t operator()(const PutMute& c) const { return c.journal.size(); }
  size_t operator()(const Lease& c) const { return c.partitions.size() * sizeof(uint32_t); }
  size_t operator()(const ReadLog& c) const { return c.partitions.size() * sizeof(uint32_t); }
  size_t operator()(const TrimLog& c) const {
    return c.partitions.size() * sizeof(TrimLog::Upto);
  }
  size_t operator()(const PutDeadLetter& c) const { return c.record.size() + c.reason.size(); }
  size_t operator()(const Ack& c) const { return c.marks.size() * 2 * sizeof(Ack::ChatMark); }
  template <typename Small>
  size_t operator()(const Small&) const {
    return 0;
  }
};

}  // namespace

size_t PayloadBytes(const Call& call) { return sizeof(Pending) + std::visit(Bytes{}, call); }

}  // namespace nightjar::hub
