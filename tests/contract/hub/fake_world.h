// The fake as a hub under test.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/contract/hub/world.h"
#include "tests/fakes/fake_hub.h"
#include "tests/fakes/relay_queue.h"

namespace nightjar::hub::contract {

class FakeWorld final : public World {
 public:
  explicit FakeWorld(const Bounds& bounds, bool split = false) : bounds_(bounds), split_(split) {
    Reset();
  }

  Reply Do(const Call& call) override { return split_ ? DoSplit(call) : hub_->Execute(call); }
  std::vector<Reply> DoAll(const std::vector<Call>& calls) override {
    std::vector<Reply> replies;
    for (const Call& call : calls) replies.push_back(Do(call));
    return replies;
  }
  Hidden ReadHidden() override;
  void Listen(const std::string& broker_id, size_t connections) override;
  std::map<std::string, std::vector<Relayed>> TakeRelayed() override;
  void Reset() override;
  void RaiseEpoch() override { hub_->RaiseEpoch(); }
  void LoseEverything() override { hub_->LoseEverything(); }
  void PokeLast(const std::string& chat, MsgId id) override {
    hub_->mutable_state().chats[chat].last = id;
  }
  const fake::HubState& state() const { return hub_->state(); }

 private:
  Reply DoSplit(const Call& call);

  using Relays = std::vector<std::unique_ptr<RelayQueue>>;

  Bounds bounds_;
  const bool split_;
  std::unique_ptr<FakeHub> hub_;
  std::map<std::string, Relays> listening_;
};

}  // namespace nightjar::hub::contract
