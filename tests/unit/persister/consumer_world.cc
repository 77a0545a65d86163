#include "tests/unit/persister/consumer_world.h"

#include <utility>

#include "common/wire/codec.h"
#include "common/wire/names.h"

namespace nightjar::persist {

ConsumerWorld::ConsumerWorld(size_t dead_max)
    : hub_({.clock = [this] { return now_ms; }, .partitions = kPartitions, .dead_max = dead_max}) {}

ConsumerWorld::Life& ConsumerWorld::Start(JournalConsumer::Options options) {
  options.owner = "owner" + std::to_string(++owners_);
  options.partitions = kPartitions;
  auto life = std::make_unique<Life>();
  life->consumer = std::make_unique<JournalConsumer>(options);
  life->hub = std::make_unique<hub::CallQueue>(
      [this](const hub::Call& call) { return hub_.Execute(call); });
  life->hot = std::make_shared<HotChats>(HotChats::Options{.partitions = kPartitions,
                                                           .chat_messages = hot_messages,
                                                           .mono_ms = [this] { return now_ms; }});
  lives_.push_back(std::move(life));
  return *lives_.back();
}

void ConsumerWorld::Tick(Life& life) {
  Actions out;
  life.consumer->Tick(now_ms, out);
  for (Action& action : out) life.todo.push_back(std::move(action));
}

Status ConsumerWorld::Put(const Records& records) {
  ++puts;
  switch (mood) {
    case StoreMood::kGood:
      if (fault == Fault::kStoresLate) {
        late_puts_.push_back(records);
        if (late_puts_.size() <= 2) return Status::Ok();
        const Records late = std::move(late_puts_.front());
        late_puts_.pop_front();
        return store_.Put(late);
      }
      return store_.Put(records);
    case StoreMood::kAway:
      return {Code::kUnavailable, "away"};
    case StoreMood::kStoresButFails:
      (void)store_.Put(records);
      return {Code::kUnavailable, "stored, but nobody was told"};
  }
  return Status::Ok();
}

bool ConsumerWorld::Step(Life& life) {
  if (std::exchange(life.trimmed, false)) RememberRounds(life);
  if (life.todo.empty()) return false;
  Action action = std::move(life.todo.front());
  life.todo.pop_front();
  Actions out;
  if (auto* ask = std::get_if<AskHub>(&action)) {
    // A life that was killed has left its queue behind: no callback outlives its Life.
    life.hub->Submit(std::move(ask->call), [this, &life, tag = ask->tag](hub::Reply reply) {
      Actions more;
      life.trimmed = std::holds_alternative<hub::TrimLogReply>(reply);
      life.consumer->OnHubReply(tag, std::move(reply), now_ms, more);
      for (Action& a : more) life.todo.push_back(std::move(a));
    });
  } else if (auto* put = std::get_if<PutRecords>(&action)) {
    life.consumer->OnStored(Put(*put->records), now_ms, out);
  } else if (auto* remember = std::get_if<Remember>(&action)) {
    Do(life, std::move(*remember));
  } else {
    said.push_back(std::get<Say>(action).text);
  }
  for (Action& a : out) life.todo.push_back(std::move(a));
  return true;
}

void ConsumerWorld::Do(Life& life, Remember remember) {
  if (fault == Fault::kTrustsLeases || fault == Fault::kOneLeaseForAll) {
    for (HotChats::Lease& lease : remember.leases) {
      if (fault == Fault::kTrustsLeases) {
        lease = {1, INT64_MAX};
      } else {
        lease.token = 1;  // what is not held has run out
      }
    }
    for (HotChats::Round& round : remember.rounds) round.token = 1;
  }
  if (!remember.leases.empty()) life.hot->SetLeases(remember.leases);
  for (HotChats::Round& round : remember.rounds) life.late.push_back(std::move(round));
  if (fault == Fault::kForgetsRounds && puts % 8 == 0) life.late.clear();
  if (fault != Fault::kRemembersLate) RememberRounds(life);
}

void ConsumerWorld::RememberRounds(Life& life) {
  for (const HotChats::Round& round : life.late) life.hot->Stored(round);
  life.late.clear();
}

void ConsumerWorld::Settle(Life& life) {
  for (int i = 0; i < 10'000; ++i) {
    if (Step(life) || life.hub->RunOne()) continue;
    Tick(life);
    if (life.todo.empty()) return;
  }
}

bool ConsumerWorld::Drain(int64_t most_ms) {
  for (const int64_t until = now_ms + most_ms; now_ms < until; now_ms += 50) {
    for (auto& life : lives_) Settle(*life);
    if (JournalSize() == 0) return true;
  }
  return false;
}

void ConsumerWorld::SendOne(const std::string& from, const std::string& to) {
  hub::Send send;
  send.chat = DirectChatId(from, to);
  send.author = from;
  send.device = "phone";
  send.received_ms = now_ms;
  send.members = {from, to};
  v1::Message message;
  message.set_chat_id(send.chat);
  message.set_author(from);
  message.set_text("hello");
  send.shared = MessageTemplate(message);
  message.set_device("phone");
  send.own = MessageTemplate(message);
  const auto reply = std::get<hub::SendReply>(hub_.Execute(send));
  if (reply.outcome == hub::SendReply::Outcome::kAccepted) {
    accepted_[send.chat].insert(reply.msg_id);
  }
}

void ConsumerWorld::PutRaw(const std::string& chat, std::string record) {
  // Push settings are journalled as they are handed over, whatever they are.
  hub::PutPush put;
  put.uid = chat;
  put.device = "phone";
  put.journal = std::move(record);
  (void)hub_.Execute(put);
}

size_t ConsumerWorld::JournalSize() {
  size_t size = 0;
  for (const auto& [p, partition] : hub_.state().partitions)
    size += partition.journal.records.size();
  return size;
}

std::string ConsumerWorld::Lost() {
  std::map<std::string, std::set<MsgId>> there;
  for (const auto& [p, partition] : hub_.state().partitions) {
    for (const std::string& bytes : partition.journal.records) {
      v1::JournalRecord record;
      if (record.ParseFromString(bytes) && record.has_message()) {
        there[record.message().chat_id()].insert(record.message().msg_id());
      }
    }
  }
  for (const auto& [chat, ids] : accepted_) {
    const auto page = store_.History({chat, 0, 0, 1'000'000});
    for (const auto& message : page->messages) there[chat].insert(message.msg_id());
    for (const MsgId id : ids) {
      if (!there[chat].contains(id)) return chat + " " + std::to_string(id);
    }
  }
  return "";
}

std::string ConsumerWorld::NotExactlyOnce() {
  for (const auto& [chat, ids] : accepted_) {
    const auto page = store_.History({chat, 0, 0, 1'000'000});
    std::vector<MsgId> stored;
    for (const auto& message : page->messages) stored.push_back(message.msg_id());
    if (stored != std::vector<MsgId>(ids.begin(), ids.end())) {
      return chat + ": " + std::to_string(stored.size()) + " stored of " +
             std::to_string(ids.size());
    }
  }
  return "";
}

}  // namespace nightjar::persist
