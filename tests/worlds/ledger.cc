#include "tests/worlds/ledger.h"

#include <fmt/format.h>

#include "common/hub/keys.h"
#include "common/wire/msg_id.h"

namespace nightjar::worlds {
namespace {

size_t Due(const hub::fake::HubState& state) {
  size_t due = 0;
  for (const auto& [p, partition] : state.partitions) due += partition.due.size();
  return due;
}

}  // namespace

void Ledger::Before(const hub::Call&, const hub::fake::HubState& state) {
  due_before_ = Due(state);
}

size_t Ledger::Books::Count() const {
  size_t count = 0;
  for (const auto& [chat, messages] : accepted) count += messages.size();
  return count;
}

std::string Ledger::GoesUp(const std::string& chat, MsgId id) {
  MsgId& newest = books_.newest[chat];
  if (id <= newest) return fmt::format("id {} of {} is not above {}", id, chat, newest);
  newest = id;
  MsgId& given = given_[chat];
  if (id <= given && !clock_went_back_) {
    return fmt::format("id {} of {} is not above {}, which a failover lost", id, chat, given);
  }
  given = std::max(given, id);
  return {};
}

std::string Ledger::OnSend(const hub::Send& call, const hub::SendReply& reply,
                           const hub::fake::HubState&, int64_t newest_hub_ms) {
  using Outcome = hub::SendReply::Outcome;
  const auto key = std::make_tuple(call.chat, call.author, call.device, call.client_msg_id);
  const auto known = books_.by_client_id.find(key);
  switch (reply.outcome) {
    case Outcome::kAccepted:
      break;
    case Outcome::kRepeat:
      coverage_.Hit(Point::kRepeatAnswered);
      if (known == books_.by_client_id.end() || known->second != reply.msg_id) {
        return fmt::format("a repeat of {}/{} was answered with {}, which is not the first's id",
                           call.chat, call.client_msg_id, reply.msg_id);
      }
      return {};
    case Outcome::kBelowWindow:
      coverage_.Hit(Point::kBelowWindow);
      return {};
    case Outcome::kStale:
      coverage_.Hit(Point::kStaleMembers);
      return {};
    case Outcome::kFull:
      return {};
    default:
      return {};
  }
  if (reply.task) coverage_.Hit(Point::kTaskMade);
  if (std::string wrong = GoesUp(call.chat, reply.msg_id); !wrong.empty()) return wrong;
  if (MsgIdMs(reply.msg_id) > newest_hub_ms + 1) return "an id ahead of the hub's clock";
  books_.accepted[call.chat][reply.msg_id] = {call.author, call.device, call.client_msg_id};
  if (call.client_msg_id == 0) return {};
  if (known != books_.by_client_id.end()) {
    return fmt::format("{}:{} sent {} into {} once and it is stored twice, as {} and {}",
                       call.author, call.device, call.client_msg_id, call.chat, known->second,
                       reply.msg_id);
  }
  books_.by_client_id[key] = reply.msg_id;
  return {};
}

void Ledger::OnUpdate(const hub::UpdateChat& call, const hub::ChangeReply& reply,
                      const hub::fake::HubState& state) {
  using Outcome = hub::ChangeReply::Outcome;
  if (reply.outcome == Outcome::kStale) coverage_.Hit(Point::kStaleChange);
  if (reply.outcome != Outcome::kDone) return;
  if (!call.remove.empty()) {
    coverage_.Hit(Point::kMemberRemoved);
    if (reply.task) coverage_.Hit(Point::kMemberRemovedInTask);
  }
  const auto chat = state.chats.find(call.chat);
  for (const std::string& uid : call.add) {
    if (chat == state.chats.end()) break;
    if (chat->second.before.contains(uid)) coverage_.Hit(Point::kMemberBackInTask);
  }
}

std::string Ledger::After(const hub::Call& call, const hub::Reply& reply, const std::string& who,
                          const hub::fake::HubState& state, int64_t newest_hub_ms) {
  if (Due(state) > due_before_) coverage_.Hit(Point::kDue);
  if (const auto* send = std::get_if<hub::Send>(&call)) {
    const auto* done = std::get_if<hub::SendReply>(&reply);
    if (done == nullptr) return {};
    if (done->task) {
      for (const auto& [p, partition] : state.partitions) {
        if (partition.tasks.end() > 0)
          books_.task_makers[p].emplace(partition.tasks.end() - 1, who);
      }
    }
    if (done->outcome == hub::SendReply::Outcome::kFull) {
      coverage_.Hit(Point::kJournalFull);
    }
    return OnSend(*send, *done, state, newest_hub_ms);
  }
  if (const auto* update = std::get_if<hub::UpdateChat>(&call)) {
    if (const auto* done = std::get_if<hub::ChangeReply>(&reply)) OnUpdate(*update, *done, state);
  }
  if (const auto* done = std::get_if<hub::ChangeReply>(&reply)) {
    if (done->outcome == hub::ChangeReply::Outcome::kDone) {
      return GoesUp(done->record.chat, done->msg_id);
    }
  }
  if (const auto* trim = std::get_if<hub::TrimLog>(&call)) {
    const auto* done = std::get_if<hub::TrimLogReply>(&reply);
    for (size_t i = 0; done != nullptr && i < done->held.size(); ++i) {
      if (!done->held[i]) {
        coverage_.Hit(trim->log == hub::Log::kJournal ? Point::kTrimFenced : Point::kLeaseLost);
      } else if (trim->log == hub::Log::kTasks) {
        auto& makers = books_.task_makers[trim->partitions[i].partition];
        while (!makers.empty() && makers.begin()->first < trim->partitions[i].upto) {
          const std::string& maker = makers.begin()->second;
          if (maker != who) coverage_.Hit(Point::kTaskResumed);
          if (hub::keys::BrokerId(maker) != hub::keys::BrokerId(who)) {
            coverage_.Hit(Point::kTaskElsewhere);
          }
          makers.erase(makers.begin());
        }
      }
    }
  }
  if (const auto* ack = std::get_if<hub::AckReply>(&reply)) {
    if (ack->outcome == hub::AckReply::Outcome::kOtherEpoch) coverage_.Hit(Point::kOtherEpoch);
    if (!ack->moved.empty()) coverage_.Hit(Point::kDelivered);
  }
  if (const auto* mark = std::get_if<hub::MoveMarkReply>(&reply); mark != nullptr && mark->moved) {
    coverage_.Hit(Point::kDelivered);
  }
  return {};
}

void Ledger::BrokerDied(const hub::fake::HubState& state) {
  for (const auto& [p, partition] : state.partitions) {
    if (!partition.tasks.records.empty()) coverage_.Hit(Point::kTaskInterrupted);
  }
}

}  // namespace nightjar::worlds
