// What the hub really did, call by call, as it stands between the hub and everybody: judges each
// reply on its own, counts rare paths, and knows in the end what must be in store and journal.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/hub/hub.h"
#include "tests/fakes/fake_hub_state.h"
#include "tests/worlds/coverage.h"

namespace nightjar::worlds {

class Ledger {
 public:
  explicit Ledger(Coverage& coverage) : coverage_(coverage) {}

  // Before and after each call that takes effect. Empty, or what is wrong.
  void Before(const hub::Call& call, const hub::fake::HubState& state);
  std::string After(const hub::Call& call, const hub::Reply& reply, const std::string& who,
                    const hub::fake::HubState& state, int64_t newest_hub_ms);

  struct Accepted {
    std::string author, device;
    uint64_t client_msg_id = 0;
  };
  struct Books {
    std::map<std::string, std::map<MsgId, Accepted>> accepted;
    std::map<std::tuple<std::string, std::string, std::string, uint64_t>, MsgId> by_client_id;
    std::map<std::string, MsgId> newest;                              // of a chat, changes included
    std::map<uint32_t, std::map<uint64_t, std::string>> task_makers;  // partition, position
    size_t Count() const;                                             // of the accepted
  };
  const std::map<std::string, std::map<MsgId, Accepted>>& accepted() const {
    return books_.accepted;
  }
  // What the hub has forgotten never was, but for its ids.
  const Books& books() const { return books_; }
  void Restore(Books books) { books_ = std::move(books); }
  // From now on ids may be given that a hub of before gave to what it then lost.
  void ClockWentBack() { clock_went_back_ = true; }
  // Those whose task was made, and by which life it was made.
  void BrokerDied(const hub::fake::HubState& state);

 private:
  std::string OnSend(const hub::Send& call, const hub::SendReply& reply,
                     const hub::fake::HubState& state, int64_t newest_hub_ms);
  void OnUpdate(const hub::UpdateChat& call, const hub::ChangeReply& reply,
                const hub::fake::HubState& state);

  Coverage& coverage_;
  std::string GoesUp(const std::string& chat, MsgId id);

  Books books_;
  std::map<std::string, MsgId> given_;  // to what was forgotten, too
  bool clock_went_back_ = false;
  size_t due_before_ = 0, inboxes_before_ = 0;
};

}  // namespace nightjar::worlds
