// Random small worlds: people write, acknowledge, come and go; the hub is slow, fails, loses
// replies after their effect; packets get lost; the broker dies. In the end everybody has
// everything once, in one order. A seed that fails fails again.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/core/sim_client.h"

namespace nightjar::core {
namespace {

constexpr int kPeople = 11;
constexpr int kActive = 5;  // of them, with devices that come and go
constexpr int kSteps = 250;

class SmallWorld {
 public:
  explicit SmallWorld(uint64_t seed) : random_(seed) {
    world_.HubUp();
    world_.RunHub();
    for (int i = 0; i < kPeople; ++i) {
      const std::string uid = "u" + std::to_string(i);
      clients_.emplace_back(std::make_unique<SimClient>(world_, uid, "d0"));
      if (i % 2 == 0) clients_.emplace_back(std::make_unique<SimClient>(world_, uid, "d1"));
    }
    for (auto& client : clients_) client->Connect();
    world_.RunHub();
    for (auto& client : clients_) client->Receive([] { return false; });
    MakeGroup("small", 3);
    MakeGroup("inline", 7);
    MakeGroup("large", kPeople);  // fanned out by tasks
    chats_.push_back("d:u0:u1");
    chats_.push_back("d:u1:u2");
    chats_.push_back("d:u3:u3");
    members_["d:u0:u1"] = {"u0", "u1"};
    members_["d:u1:u2"] = {"u1", "u2"};
    members_["d:u3:u3"] = {"u3"};
  }

  void Run() {
    for (int step = 0; step < kSteps; ++step) {
      Step();
      JudgeTold();
    }
    Settle();
    JudgeTold();
    Judge();
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool Chance(int percent) { return Pick(100) < percent; }

  void MakeGroup(const std::string& title, int people) {
    v1::Request request;
    request.set_request_id(title);
    request.mutable_create_chat()->set_title(title);
    for (int i = 0; i < people; ++i) {
      request.mutable_create_chat()->add_members("u" + std::to_string(i));
    }
    // Not Ask(): the creator's own frames must stay in line.
    world_.Request(clients_[0]->session(), request);
    world_.RunHub();
    std::string chat;
    for (const auto& [id, state] : world_.hub().state().chats) {
      if (state.title == title) chat = id;
    }
    ASSERT_FALSE(chat.empty());
    chats_.push_back(chat);
    for (int i = 0; i < people; ++i) members_[chat].insert("u" + std::to_string(i));
  }

  SimClient& Anybody() {
    // Mostly those who come and go.
    if (Chance(20)) return *clients_[static_cast<size_t>(Pick(static_cast<int>(clients_.size())))];
    return *clients_[static_cast<size_t>(Pick(kActive))];
  }

  void Step() {
    SimClient& client = Anybody();
    switch (Pick(12)) {
      case 0:
      case 1:
      case 2:
        Write(client);
        break;
      case 3:
        if (client.connected()) client.SendUnanswered();
        break;
      case 4:
      case 5:
        Receive(client, 3);
        break;
      case 6:
        if (client.connected()) client.Acknowledge();
        break;
      case 7:
        if (client.connected() && Chance(40)) {
          client.Disconnect();
        } else {
          client.Connect();  // or a takeover
        }
        break;
      case 8:
        for (int i = Pick(20); i > 0; --i) world_.queue().RunOne();
        break;
      case 9:
        Fault();
        break;
      case 10:
        world_.AdvanceAlone(Pick(1500));
        break;
      case 11:
        world_.RunHub();
        if (Chance(5)) world_.Advance(15'000);
        break;
    }
    DropKicked();
  }

  void Write(SimClient& client) {
    const std::string& chat = chats_[static_cast<size_t>(Pick(static_cast<int>(chats_.size())))];
    if (!members_[chat].contains(client.uid()) || client.unanswered() >= 12) return;
    client.Write(chat);
    if (client.connected() && Chance(70)) client.SendUnanswered();
  }

  void Receive(SimClient& client, int lose_percent) {
    if (client.connected()) client.Receive([&] { return Chance(lose_percent); });
  }

  void Fault() {
    switch (Pick(6)) {
      case 0:
        world_.queue().FailNext();
        break;
      case 1:
      case 2:
        world_.queue().LoseNext();
        break;
      case 3:
        world_.queue().TakeEffect();
        break;
      case 4:  // the connection to the hub breaks
        world_.Handle(HubDown{"test"});
        for (size_t n = world_.queue().size(); n > 0; --n) {
          Chance(50) ? world_.queue().LoseNext() : world_.queue().FailNext();
        }
        world_.AdvanceAlone(Pick(300));
        world_.HubUp();
        break;
      case 5:
        if (Chance(25)) Kill();
        break;
    }
  }

  void Kill() {
    for (int n = Pick(3); n > 0; --n) world_.queue().TakeEffect();
    world_.Restart();
    for (auto& client : clients_) {
      if (client->connected()) client->Forget();
    }
    world_.AdvanceAlone(Pick(3000));
    world_.HubUp();
  }

  void DropKicked() {
    for (auto& client : clients_) {
      if (client->connected() && world_.Kicked(client->session())) client->Disconnect();
    }
  }

  // No more faults; until nobody has anything to say.
  void Settle() {
    for (int round = 0; round < 200; ++round) {
      DropKicked();
      for (auto& client : clients_) {
        if (!client->connected()) client->Connect();
      }
      world_.RunHub();
      bool idle = true;
      for (auto& client : clients_) {
        Receive(*client, 0);
        if (!client->synced()) client->Connect();  // its sync was lost: nobody waits for ever
        client->Acknowledge();
        if (!client->idle()) idle = false;
        client->SendUnanswered();
      }
      world_.RunHub();
      world_.Advance(1000);
      if (idle && round > 20) return;
    }
    ADD_FAILURE() << "does not settle";
  }

  // Nobody is told Delivered before one of the reader's devices has acknowledged.
  void JudgeTold() {
    for (auto& author : clients_) {
      for (const SimClient::Told& told : author->TakeTold()) {
        EXPECT_NE(told.uid, author->uid()) << "told about oneself";
        MsgId most = 0;
        for (const auto& reader : clients_) {
          if (reader->uid() != told.uid) continue;
          const auto it = reader->acknowledged().find(told.chat);
          if (it != reader->acknowledged().end()) most = std::max(most, it->second);
        }
        EXPECT_LE(told.id, most) << "Delivered before an acknowledgement: " << told.uid;
      }
    }
  }

  void Judge() {
    // What was accepted: chat -> msg_id -> text.
    std::map<std::string, std::map<MsgId, std::string>> accepted;
    std::set<std::string> texts;
    for (const auto& client : clients_) {
      for (const std::string& what : client->broken) ADD_FAILURE() << what;
      EXPECT_EQ(client->accepted().size(), client->written().size()) << "answered, all of them";
      for (const auto& [id, msg_id] : client->accepted()) {
        const auto& written = client->written().at(id);
        EXPECT_TRUE(accepted[written.chat].emplace(msg_id, written.text).second) << "one id, twice";
        EXPECT_TRUE(texts.insert(written.text).second);
      }
    }
    for (const auto& client : clients_) JudgeDevice(*client, accepted);
    JudgeMarks(accepted);
  }

  void JudgeDevice(const SimClient& client,
                   const std::map<std::string, std::map<MsgId, std::string>>& accepted) {
    const std::string who = client.uid() + ":" + client.device();
    for (const auto& [chat, messages] : accepted) {
      if (!members_[chat].contains(client.uid())) continue;
      std::map<MsgId, std::string> has;
      MsgId last = 0;
      if (const auto seen = client.seen().find(chat); seen != client.seen().end()) {
        for (const SimClient::Seen& message : seen->second) {
          // Its own, skipped where it was told Accepted, may come after a reconnect.
          if (!message.text.starts_with(who + ":")) {
            EXPECT_GT(message.id, last) << who << ": out of order in " << chat;
            last = message.id;
          }
          EXPECT_TRUE(has.emplace(message.id, message.text).second) << who << ": twice";
        }
      }
      for (const auto& [id, msg_id] : client.accepted()) {
        if (client.written().at(id).chat == chat) has.emplace(msg_id, client.written().at(id).text);
      }
      EXPECT_EQ(has, messages) << who << " in " << chat;
    }
    const auto device = world_.hub().Execute(hub::GetDevice{client.uid(), client.device()});
    const auto& at = std::get<hub::GetDeviceReply>(device);
    EXPECT_EQ(at.acked, at.head) << who << " has acknowledged everything";
    EXPECT_EQ(client.held(), at.head) << who << " can prove that it has everything";
  }

  void JudgeMarks(const std::map<std::string, std::map<MsgId, std::string>>& accepted) {
    for (const auto& [chat, messages] : accepted) {
      for (const std::string& uid : members_[chat]) {
        MsgId newest = 0;
        for (const auto& [id, text] : messages) {
          if (!text.starts_with(uid + ":")) newest = id;
        }
        const auto reply = world_.hub().Execute(hub::GetReceipts{uid, {chat}});
        const auto& receipts = std::get<hub::GetReceiptsReply>(reply);
        MsgId mark = 0;
        for (const hub::Mark& it : receipts.chats.at(0).marks) {
          if (it.uid == uid) mark = it.msg_id;
        }
        EXPECT_EQ(mark, newest) << "the delivered mark of " << uid << " in " << chat;
      }
    }
  }

  World world_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::vector<std::string> chats_;
  std::map<std::string, std::set<std::string>> members_;
};

class SmallWorlds : public testing::TestWithParam<int> {};

TEST_P(SmallWorlds, EverythingAcceptedReachesEverybodyOnceInOneOrder) {
  constexpr int kSeeds = 30;
  for (int i = 0; i < kSeeds; ++i) {
    const auto seed = static_cast<uint64_t>(GetParam() * kSeeds + i);
    SCOPED_TRACE("seed " + std::to_string(seed));
    SmallWorld(seed).Run();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SmallWorlds, testing::Range(0, 10));

}  // namespace
}  // namespace nightjar::core
