// The persister's process: the real journal consumer and chat reader over the store in memory. It
// can die at any step; the store stays.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "persister/chat_reader.h"
#include "persister/hot_chats.h"
#include "persister/journal_consumer.h"
#include "tests/fakes/memory_store.h"
#include "tests/worlds/hub_link.h"

namespace nightjar::worlds {

class World;

class Keeper {
 public:
  explicit Keeper(World& world);

  void Start();
  void Die();
  bool alive() const { return consumer_ != nullptr; }
  // Puts fail while it is away.
  void StoreAway(bool away) { away_ = away; }

  // A StoreRequest over MQTT; the answer goes back to the broker that asked.
  void Take(int broker, uint64_t broker_life, const std::string& payload);

  HubLink& line() { return line_; }
  fakes::MemoryStore& store() { return store_; }
  // All messages of a chat as a member reads them, by pages; false: it cannot be read.
  bool ReadAll(const std::string& uid, const std::string& chat,
               const std::function<void(const v1::History&)>& page);

 private:
  // Both answer inside Submit: a reader waits for its answers.
  class PartHub : public hub::Hub {
   public:
    explicit PartHub(World& world) : world_(world) {}
    void Submit(hub::Call call, hub::Callback done) override;

   private:
    World& world_;
  };
  class NowHub : public hub::Hub {
   public:
    explicit NowHub(Keeper& keeper) : keeper_(keeper), parts_(keeper.world_) {}
    void Submit(hub::Call call, hub::Callback done) override;

   private:
    Keeper& keeper_;
    PartHub parts_;
  };

  void Do(persist::Actions actions);
  Status Put(const persist::Records& records);
  void Tick();
  void Arm();

  World& world_;
  HubLink line_;
  NowHub now_hub_;
  fakes::MemoryStore store_;
  persist::HotChats hot_;
  persist::ChatReader reader_;
  std::unique_ptr<persist::JournalConsumer> consumer_;
  uint64_t life_ = 0;
  bool away_ = false;
  int64_t armed_ = INT64_MAX;
};

}  // namespace nightjar::worlds
