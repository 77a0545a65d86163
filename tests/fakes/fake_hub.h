// The hub in memory: the specification of every call, readable. tests/contract/hub holds the one on
// Redis to it.
//
// Threads: none; one owner. Time is asked from the clock handed in. Deterministic.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/hub/hub.h"
#include "common/wire/limits.h"
#include "tests/fakes/call_queue.h"
#include "tests/fakes/fake_hub_state.h"

namespace nightjar::hub {

struct FakeHubOptions {
  std::function<int64_t()> clock;  // the hub's clock, Unix ms
  uint32_t partitions = 64;
  size_t inbox_entries = limits::kInboxEntries;
  size_t journal_max = 1'000'000;  // elements per partition
  size_t tasks_max = 1'000'000;
  size_t dead_max = 10'000;
};

// As a port (Submit) its calls wait until the test runs them, see CallQueue. For several engines
// give each a CallQueue of its own over Execute().
class FakeHub : public CallQueue {
 public:
  explicit FakeHub(FakeHubOptions options);

  // One call, at once.
  Reply Execute(const Call& call);

  // Everything remembered, for assertions and for printing; calls are the way to change it.
  const fake::HubState& state() const { return state_; }
  // For tests of what calls reach only after very long. Keep it whole.
  fake::HubState& mutable_state() { return state_; }
  const FakeHubOptions& options() const { return options_; }

  // A new epoch, as after a rebuild: what is remembered stays as it is.
  void RaiseEpoch() { ++state_.epoch; }
  // Everything is lost and the hub is set up anew, with an epoch that was not there before.
  void LoseEverything();

 private:
  // fake_hub_messages.cc
  Reply Do(const Send& c);
  Reply Do(const Append& c);
  // fake_hub_chats.cc
  Reply Do(const CreateChat& c);
  Reply Do(const UpdateChat& c);
  Reply Do(const GetChat& c);
  Reply Do(const GetReceipts& c);
  Reply Do(const UserChats& c);
  // fake_hub_sessions.cc
  Reply Do(const Login& c);
  Reply Do(const Logout& c);
  Reply Do(const Tail& c);
  Reply Do(const ListSessions& c);
  Reply Do(const ReadInbox& c);
  Reply Do(const Ack& c);
  Reply Do(const Heads& c);
  Reply Do(const GetDevice& c);
  Reply Do(const SetPresence& c);
  Reply Do(const GetPresence& c);
  // fake_hub_work.cc
  Reply Do(const PutPush& c);
  Reply Do(const PutMute& c);
  Reply Do(const Lease& c);
  Reply Do(const ReadLog& c);
  Reply Do(const TrimLog& c);
  Reply Do(const PutDeadLetter& c);
  Reply Do(const Info& c);

  // Who an entry is for and what each gets.
  struct Entry {
    std::string chat;
    MsgId id = 0;
    std::string author, author_device;  // empty for chat changes: everybody gets `shared`
    std::string shared, own;
    BrokerName broker;  // the calling one
  };
  // Appends to one user's inbox; the one procedure behind Send, Append and chat changes.
  void AppendTo(const std::string& uid, const Entry& entry, std::vector<Delivery>& deliveries);
  // To all of `uids` at once, or by a task. Returns whether by a task.
  bool FanOut(fake::ChatState& chat, const Entry& entry, bool by_task,
              const std::vector<std::string>& uids, std::vector<Delivery>& deliveries);
  bool TaskOpen(const std::string& id, const fake::ChatState& chat) const;
  bool JournalFull(const std::string& id) const;
  bool TasksFull(const std::string& id) const;
  void Journal(const std::string& id, std::string record);
  // Drops at most `most` entries from the front that are older than limits::kInboxMs.
  void DropOld(fake::UserState& user, size_t most);
  bool MoveMark(const std::string& uid, const Ack::ChatMark& mark, bool& tell);
  void ForgetOneDevice(fake::UserState& user);
  void SettleOwed(const std::string& uid, fake::UserState& user);
  void SetDue(const std::string& uid);

  fake::ChatState* FindChat(const std::string& chat);
  fake::UserState* FindUser(const std::string& uid);
  fake::PartitionState& Partition(const std::string& id);  // of a chat or user id
  const fake::PartitionState* FindPartition(const std::string& id) const;
  int64_t Clock() const { return options_.clock(); }

  FakeHubOptions options_;
  fake::HubState state_;
};

}  // namespace nightjar::hub
