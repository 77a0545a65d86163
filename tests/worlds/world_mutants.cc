// Planted faults (mutant.h). Each spoils what passes between the hub and everybody, now and then.
#include <utility>

#include "tests/worlds/world.h"

namespace nightjar::worlds {

bool World::Rarely() {
  if (!dice_.Chance(50)) return false;
  ++mutations_;
  Say("!!!! a planted fault strikes");
  return true;
}

int World::CopiesOfRelayed() {
  if (untold_ && mutant_ != Mutant::kRelaysAhead) return 0;
  return mutant_ == Mutant::kRelayDrops && dice_.Chance(300) ? 0 : 1;
}

void World::SpoilReply(hub::Reply& reply) {
  auto* beat = std::get_if<hub::BeatReply>(&reply);
  if (beat == nullptr) return;
  if (mutant_ == Mutant::kNeverClears) beat->clear.clear();
  if (mutant_ == Mutant::kIgnoresCleared && beat->outcome == hub::BeatReply::Outcome::kCleared) {
    beat->outcome = hub::BeatReply::Outcome::kAlive;
  }
}

bool World::IgnoresKick() { return mutant_ == Mutant::kIgnoresKick && dice_.Chance(300); }

hub::Reply World::ExecuteMutated(const hub::Call& call) {
  auto& hub_state = hub_.mutable_state();
  const auto* send = std::get_if<hub::Send>(&call);
  const auto* ack = std::get_if<hub::Ack>(&call);
  const auto* mark = std::get_if<hub::MoveMark>(&call);
  switch (mutant_) {
    case Mutant::kForgetsWindow:
      if (send != nullptr && Rarely()) hub_state.chats[send->chat].windows.erase(send->author);
      break;
    case Mutant::kAcceptsUnstored:
      if (send != nullptr && Rarely()) {
        hub::SendReply reply;
        reply.msg_id = NextMsgId(hub_state.chats[send->chat].last, HubClock(), HubClock());
        return reply;
      }
      break;
    case Mutant::kAcksTooMuch:
      if (ack != nullptr && Rarely()) {
        hub::Ack more = *ack;
        more.seq = hub_state.users[ack->uid].head();
        return hub_.Execute(more);
      }
      break;
    case Mutant::kLosesDelivered:
      if (ack != nullptr && !ack->marks.empty() && Rarely()) {
        hub::Ack less = *ack;
        less.marks.clear();
        return hub_.Execute(less);
      }
      if (mark != nullptr && Rarely()) return hub::MoveMarkReply{};
      break;
    case Mutant::kMarksAhead:
      if (ack != nullptr && !ack->marks.empty() && Rarely()) {
        hub::Ack more = *ack;
        for (auto& one : more.marks) one.msg_id = hub_state.chats[one.chat].last;
        return hub_.Execute(more);
      }
      if (mark != nullptr && Rarely()) {
        hub::MoveMark more = *mark;
        more.msg_id = hub_state.chats[mark->chat].last;
        return hub_.Execute(more);
      }
      break;
    case Mutant::kTrimsUnstored:
      if (const auto* read = std::get_if<hub::ReadLog>(&call);
          read != nullptr && read->log == hub::Log::kJournal && Rarely()) {
        auto& journal = hub_state.partitions[read->partitions.at(0)].journal;
        if (!journal.records.empty()) {
          journal.records.pop_front();
          ++journal.base;
        }
      }
      break;
    case Mutant::kTaskDropped:
      if (const auto* read = std::get_if<hub::ReadLog>(&call);
          read != nullptr && read->log == hub::Log::kTasks && Rarely()) {
        auto& tasks = hub_state.partitions[read->partitions.at(0)].tasks;
        if (!tasks.records.empty()) {
          tasks.records.pop_front();
          ++tasks.base;
        }
      }
      break;
    case Mutant::kLeavesRoute:
      if (const auto* logout = std::get_if<hub::Logout>(&call); logout != nullptr && Rarely()) {
        hub::Logout other = *logout;
        other.session += 1000;
        return hub_.Execute(other);
      }
      break;
    case Mutant::kStaysOnline:
      if (const auto* set = std::get_if<hub::SetPresence>(&call);
          set != nullptr && !set->online && Rarely()) {
        hub::SetPresenceReply reply;
        reply.state.uid = set->uid;
        return reply;
      }
      break;
    case Mutant::kSkipsPage:
      if (const auto* list = std::get_if<hub::ListSessions>(&call); list != nullptr) {
        hub::ListSessions next = *list;
        const auto page = std::get<hub::ListSessionsReply>(hub_.Execute(call));
        next.after = page.next;
        if (!page.next.empty()) return hub_.Execute(next);
      }
      break;
    case Mutant::kKeepsLeases:
      if (const auto* lease = std::get_if<hub::Lease>(&call);
          lease != nullptr && lease->role == hub::Role::kFanOut) {
        hub::Lease forever = *lease;
        forever.ttl_ms = int64_t{24} * 3600 * 1000;
        return lease->ttl_ms > 0 ? hub_.Execute(forever)
                                 : hub::LeaseReply{std::vector<uint64_t>(lease->partitions.size())};
      }
      break;
    default:
      break;
  }
  hub::Reply reply = hub_.Execute(call);
  const auto* accepted = std::get_if<hub::SendReply>(&reply);
  const bool stored =
      accepted != nullptr && accepted->outcome == hub::SendReply::Outcome::kAccepted;
  if (!stored) return reply;
  auto users = hub_state.chats[send->chat].PresentMembers();
  switch (mutant_) {
    case Mutant::kLosesJournal:
      for (auto& [p, partition] : hub_state.partitions) {
        if (!partition.journal.records.empty() && Rarely()) partition.journal.records.pop_back();
      }
      break;
    case Mutant::kLosesEntry:
      for (const auto& uid : users) {
        auto& user = hub_state.users[uid];
        if (!accepted->task && !user.inbox.empty() && Rarely()) user.inbox.pop_back();
      }
      break;
    case Mutant::kSwapsEntries:
      for (const auto& uid : users) {
        auto& inbox = hub_state.users[uid].inbox;
        if (inbox.size() >= 2 && Rarely()) std::swap(inbox.back(), inbox[inbox.size() - 2]);
      }
      break;
    default:
      break;
  }
  return reply;
}

}  // namespace nightjar::worlds
