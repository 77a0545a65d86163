// The hub in memory: the specification of every call, readable. tests/contract/hub holds the one on
// Redis to it.
//
// Threads: none; one owner. Time is asked from the clock handed in. Deterministic.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
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

  // The relay. A subscription to what is told to a broker id: `listener` is called in the middle of
  // a call and must not call back; RelayQueue (relay_queue.h) keeps what comes. Returns a number
  // for Unsubscribe. Several may listen to one id, and each is told.
  using Listener = std::function<void(const Relayed&)>;
  uint64_t Subscribe(const std::string& broker_id, Listener listener);
  void Unsubscribe(uint64_t subscription);
  size_t listeners(const std::string& broker_id) const;

  // Takes brokers in among the living, for tests of calls by brokers that do not beat themselves.
  void Admit(const std::vector<BrokerName>& brokers);

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
  Reply Do(const MoveMark& c);
  Reply Do(const TellMark& c);
  Reply Do(const Heads& c);
  Reply Do(const GetDevice& c);
  // fake_hub_presence.cc
  Reply Do(const SetPresence& c);
  Reply Do(const GetPresence& c);
  Reply Do(const Watch& c);
  // fake_hub_brokers.cc
  Reply Do(const Beat& c);
  Reply Do(const Fence& c);
  Reply Do(const Gone& c);
  // fake_hub_work.cc
  Reply Do(const PutPush& c);
  Reply Do(const PutMute& c);
  Reply Do(const Lease& c);
  Reply Do(const ReadLog& c);
  Reply Do(const TrimLog& c);
  Reply Do(const PutDeadLetter& c);
  Reply Do(const ListDeadLetters& c);
  Reply Do(const DropDeadLetter& c);
  Reply Do(const Retire& c);
  Reply Do(const Info& c);

  // fake_hub_restore.cc
  Reply Do(const RestoreChat& c);
  Reply Do(const RestoreUser& c);
  Reply Do(const Rebuild& c);
  bool Refused(const Call& call) const;

  // Who an entry is for and what each gets.
  struct Entry {
    std::string chat;
    MsgId id = 0;
    std::string author, author_device;  // empty for chat changes: everybody gets `shared`
    std::string shared, own;
    BrokerName broker;  // the calling one
  };
  // Who is to be told of an appended entry: the caller by the reply, others by relay.
  struct Told {
    std::vector<Delivery> here;
    std::map<std::string, std::vector<Delivery>> shared, own;  // broker id
  };
  // Appends to one user's inbox; the one procedure behind Send, Append and chat changes. False: the
  // copy is left out.
  bool AppendTo(const std::string& uid, const Entry& entry, Told& told);
  // The call has appended this many: at every 16th, old ones are dropped.
  void Grown(const std::string& uid, uint64_t count);
  void RelayEntry(const Entry& entry, const Told& told);
  // To all of `uids` at once, or by a task. Returns whether by a task.
  bool FanOut(fake::ChatState& chat, const Entry& entry, bool by_task,
              const std::vector<std::string>& uids, std::vector<Delivery>& deliveries);
  void PushTask(fake::ChatState& chat, const Entry& entry);
  bool TaskOpen(const std::string& id, const fake::ChatState& chat) const;
  bool JournalFull(const std::string& id) const;
  bool TasksFull(const std::string& id) const;
  void Journal(const std::string& id, std::string record);
  // Drops at most `most` entries from the front that are older than limits::kInboxMs.
  void DropOld(fake::UserState& user, size_t most);
  PresenceState PresenceOf(const std::string& uid);
  void RelayPresence(const SetPresence& c, const PresenceState& state);
  void ForgetOneDevice(fake::UserState& user);
  // What was passed over up to `passed` counts as acknowledged.
  void SettleOwed(const std::string& uid, fake::UserState& user, uint64_t passed = 0);
  void SetDue(const std::string& uid);

  fake::ChatState* FindChat(const std::string& chat);
  fake::UserState* FindUser(const std::string& uid);
  fake::PartitionState& Partition(const std::string& id);  // of a chat or user id
  const fake::PartitionState* FindPartition(const std::string& id) const;
  int64_t Clock() const { return options_.clock(); }

  // fake_hub_brokers.cc
  bool Fenced(const std::string& uid, const BrokerName& broker);
  bool Lives(const BrokerName& broker) const { return state_.living.count(broker) > 0; }
  std::vector<BrokerName> Claim(const Beat& c, bool taken_in, bool judges, bool& list_changed);
  // Returns how many listen.
  size_t Publish(const std::string& broker_id, const Relayed& what);

  struct Subscription {
    std::string broker_id;
    Listener listener;
  };

  FakeHubOptions options_;
  fake::HubState state_;
  std::map<uint64_t, Subscription> subscriptions_;
  uint64_t last_subscription_ = 0;
};

}  // namespace nightjar::hub
