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
    size_t bytes = Of(c.uids);
    for (const Append::Message& m : c.messages) bytes += sizeof m + m.shared.size() + m.own.size();
    return bytes;
  }
  size_t operator()(const CreateChat& c) const { return Of(c.members) + Of(c.change); }
  size_t operator()(const UpdateChat& c) const { return Of(c.add) + Of(c.remove) + Of(c.change); }
  size_t operator()(const GetReceipts& c) const { return Of(c.chats); }
  size_t operator()(const Heads& c) const { return c.sessions.size() * sizeof(Heads::Of); }
  size_t operator()(const GetPresence& c) const { return Of(c.uids); }
  size_t operator()(const Watch& c) const { return Of(c.uids); }
  size_t operator()(const Beat& c) const { return Of(c.clearing); }
  size_t operator()(const PutPush& c) const { return c.registration.size() + c.journal.size(); }
  size_t operator()(const PutMute& c) const { return c.journal.size(); }
  size_t operator()(const Lease& c) const { return c.partitions.size() * sizeof(uint32_t); }
  size_t operator()(const ReadLog& c) const { return c.partitions.size() * sizeof(uint32_t); }
  size_t operator()(const TrimLog& c) const { return c.partitions.size() * sizeof(TrimLog::Upto); }
  size_t operator()(const PutDeadLetter& c) const { return c.record.size() + c.reason.size(); }
  size_t operator()(const DropDeadLetter& c) const {
    return c.letter.record.size() + c.letter.reason.size();
  }
  size_t operator()(const RestoreChat& c) const {
    size_t bytes = c.members.size() * sizeof(Member) + c.delivered.size() * sizeof(Mark) +
                   c.floors.size() * sizeof(RestoreChat::Floor);
    for (const auto& window : c.windows) bytes += sizeof window + window.sent.size() * 16;
    return bytes;
  }
  size_t operator()(const RestoreUser& c) const {
    size_t bytes = (c.chats.size() + c.mutes.size()) * 2 * sizeof(std::string);
    for (const auto& push : c.push) bytes += sizeof push + push.registration.size();
    return bytes;
  }
  size_t operator()(const Rebuild& c) const { return c.partitions.size() * sizeof(uint32_t); }
  size_t operator()(const Retire& c) const { return Of(c.chats) + Of(c.uids); }
  size_t operator()(const Ack& c) const {
    size_t bytes = c.marks.size() * 2 * sizeof(Ack::ChatMark);
    for (const Ack::ChatMark& mark : c.marks) bytes += Of(mark.authors);
    return bytes;
  }
  template <typename Small>
  size_t operator()(const Small&) const {
    return 0;
  }
};

}  // namespace

void Traffic::Answer(Pending& pending, Reply reply) {
  if (!pending.done) return;
  Callback done = std::move(pending.done);
  pending.done = nullptr;
  calls.fetch_sub(1, std::memory_order_relaxed);
  bytes.fetch_sub(pending.bytes, std::memory_order_relaxed);
  answered.fetch_add(1, std::memory_order_relaxed);
  done(std::move(reply));
}

size_t PayloadBytes(const Call& call) { return sizeof(Pending) + std::visit(Bytes{}, call); }

}  // namespace nightjar::hub
