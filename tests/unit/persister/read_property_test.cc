// Store, journal tail and memory as one: whatever consumers, leases, trims and other readers do
// between any two steps of a read, what was accepted before the read is in it, once, and nothing
// within a page is missing.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "common/wire/names.h"
#include "persister/chat_reader.h"
#include "tests/unit/persister/consumer_world.h"

namespace nightjar::persist {
namespace {

const std::vector<std::string> kPeople = {"alice", "bob", "carol"};

// Both ports of a reader; between asking and being answered, and afterwards, others have their
// turn.
class SteppedHub : public hub::Hub {
 public:
  SteppedHub(hub::FakeHub& hub, std::function<void()> others)
      : hub_(hub), others_(std::move(others)) {}
  void Submit(hub::Call call, hub::Callback done) override {
    others_();
    hub::Reply reply = hub_.Execute(call);
    auto* log = std::get_if<hub::ReadLogReply>(&reply);
    if (no_tail && log != nullptr) log->slices.clear();
    others_();
    done(std::move(reply));
  }

  bool no_tail = false;

 private:
  hub::FakeHub& hub_;
  const std::function<void()> others_;
};

// `early`: a page that is given out in place of what there is by now.
class SteppedStore : public fakes::MemoryStore {
 public:
  SteppedStore(Store& store, std::function<void()> others)
      : store_(store), others_(std::move(others)) {}
  Result<HistoryPage> History(const HistoryQuery& query) override {
    others_();
    if (early) return *early;
    auto page = store_.History(query);
    others_();
    return page;
  }
  Result<std::vector<std::optional<v1::Message>>> Newest(
      const std::vector<NewestOf>& chats) override {
    others_();
    auto newest = store_.Newest(chats);
    others_();
    return newest;
  }

  std::optional<HistoryPage> early;

 private:
  Store& store_;
  const std::function<void()> others_;
};

class Reading {
 public:
  explicit Reading(uint32_t seed, Fault fault = Fault::kNone)
      : random_(seed), world_(seed % 4 == 0 ? 2 : 10'000) {  // full with two dead letters, or never
    world_.fault = fault;
    world_.hot_messages = 5 + Below(30);
    world_.Start({.read_count = 1 + Below(8), .seed = seed});
    world_.Start({.read_count = 1 + Below(8), .seed = seed + 1});
  }

  // Empty, or what a read said that it must not.
  std::string Run(int steps) {
    for (int i = 0; i < steps && wrong_.empty(); ++i) {
      Others(1 + Below(6));
      Read();
    }
    return wrong_;
  }
  uint64_t hits() const { return hits_; }

 private:
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  // Whatever is not this reader; one process may stand still meanwhile.
  void Others(uint32_t steps) {
    const uint32_t paused = Below(6);
    for (uint32_t i = 0; i < steps; ++i) {
      const uint32_t what = Below(100);
      auto& lives = world_.lives();
      if (what < 15) {
        const std::string& from = kPeople[Below(3)];
        const std::string& to = kPeople[Below(3)];
        world_.now_ms += Below(2);
        world_.SendOne(std::min(from, to), std::max(from, to));
        if (Below(40) == 0) world_.PutRaw(from, "no record");  // a dead letter
      } else if (what < 92) {
        const size_t who = Below(static_cast<uint32_t>(lives.size()));
        if (who == paused) continue;
        if (!world_.Step(*lives[who]) && !HubStep(*lives[who])) world_.Tick(*lives[who]);
      } else if (what < 96) {
        world_.now_ms += 20 + Below(200);
      } else if (what == 96) {
        if (Below(8) == 0) world_.now_ms += 6000;  // longer than leases
      } else if (what == 97) {
        world_.mood = static_cast<StoreMood>(Below(3));
      } else if (what == 98) {
        world_.mood = StoreMood::kGood;
      } else if (Below(3) == 0) {
        std::vector<bool> mine(kPartitions);
        for (size_t p = 0; p < mine.size(); ++p) mine[p] = Below(2) == 0;
        lives[Below(2)]->consumer->Share(std::move(mine));
      } else if (Below(12) == 0) {
        world_.Kill(Below(2));
        world_.Start({.read_count = 1 + Below(8), .seed = static_cast<uint64_t>(random_())});
      }
    }
  }

  bool HubStep(ConsumerWorld::Life& life) {
    switch (Below(30)) {
      case 0:
        return life.hub->LoseNext();
      case 1:
        return life.hub->RepeatNext();
      case 2:
        return life.hub->FailNext();
      default:
        return life.hub->RunOne();
    }
  }

  void Read() {
    const auto others = [this] {
      if (depth_ > 2 || Below(2) == 0) return;
      Others(Below(25));
      if (Below(4) == 0) Read();  // somebody else, within this one
    };
    ++depth_;
    const std::shared_ptr<HotChats> hot = world_.lives()[Below(2)]->hot;
    SteppedHub hub(world_.hub(), others);
    hub.no_tail = world_.fault == Fault::kReadsNoTail;
    SteppedStore store(world_.store(), others);
    ChatReader reader({.partitions = kPartitions}, hub, store, hot.get());
    const uint64_t hits = hot->counters().hits;
    const std::string wrong = Below(5) == 0 ? ReadList(reader) : ReadPage(reader, store, *hot);
    if (wrong_.empty()) wrong_ = wrong;
    hits_ += hot->counters().hits - hits;
    --depth_;
  }

  std::string ReadPage(ChatReader& reader, SteppedStore& store, HotChats& hot) {
    const std::string& from = kPeople[Below(3)];
    const std::string& to = kPeople[Below(3)];
    const std::string chat = DirectChatId(from, to);
    const std::set<MsgId> before_asking = IdsOf(chat);
    v1::Request request;
    v1::GetHistory& ask = *request.mutable_history();
    ask.set_chat_id(chat);
    ask.set_limit(1 + Below(Below(2) ? 6 : 40));
    if (Below(3) == 0) ask.set_before_msg_id(Somewhere(before_asking));
    if (Below(3) == 0) ask.set_after_msg_id(Somewhere(before_asking));
    const HistoryQuery query{chat, ask.before_msg_id(), ask.after_msg_id(), ask.limit()};
    if (world_.fault == Fault::kReadsStoreFirst) store.early = *world_.store().History(query);
    if (world_.fault == Fault::kFillsLate) FillLate(query, hot);
    const v1::Response response = reader.Answer(from, request);
    if (!response.has_history()) return response.ShortDebugString();
    const std::string wrong = Check(ask, response.history(), before_asking, IdsOf(chat));
    return wrong.empty() ? "" : wrong + ": " + ask.ShortDebugString();
  }

  void FillLate(const HistoryQuery& query, HotChats& hot) {
    if (query.before != 0 || query.after != 0) return;
    const HistoryPage page = *world_.store().History(query);
    Others(Below(25));
    const auto ticket = hot.Begin(PartitionOf(query.chat_id, kPartitions), query.chat_id);
    if (ticket) hot.Fill(*ticket, page);
  }

  static std::string Check(const v1::GetHistory& ask, const v1::History& answer,
                           const std::set<MsgId>& before_asking, const std::set<MsgId>& by_now) {
    const MsgId below = ask.before_msg_id() == 0 ? UINT64_MAX : ask.before_msg_id();
    const bool oldest_first = ask.after_msg_id() != 0 && ask.before_msg_id() == 0;
    const auto within = [&](const std::set<MsgId>& all) {
      std::vector<MsgId> ids;
      for (const MsgId id : all) {
        if (id > ask.after_msg_id() && id < below) ids.push_back(id);
      }
      return ids;
    };
    std::vector<MsgId> got;
    for (const auto& message : answer.messages()) got.push_back(message.msg_id());
    if (got.size() > ask.limit()) return "more than asked for";
    const std::vector<MsgId> must = within(before_asking), may = within(by_now);
    if (got.empty()) {
      if (!must.empty()) return "nothing, but there is " + std::to_string(must.front());
      return answer.more() ? "nothing, and more of it" : "";
    }
    // A run of what there is, without gap or double.
    const auto begin = std::find(may.begin(), may.end(), got.front());
    if (begin == may.end()) return std::to_string(got.front()) + " was never accepted";
    if (got.size() > static_cast<size_t>(may.end() - begin) ||
        !std::equal(got.begin(), got.end(), begin)) {
      return "a gap or a double";
    }
    // Which reaches the end that it starts from, and says truly whether it reaches the other.
    if (!must.empty() && (oldest_first ? got.front() > must.front() : got.back() < must.back())) {
      return "missing at its beginning";
    }
    const bool more_then =
        !must.empty() && (oldest_first ? must.back() > got.back() : must.front() < got.front());
    const bool more_now = oldest_first ? may.back() > got.back() : may.front() < got.front();
    if (!answer.more() && more_then) return "there is more";
    if (answer.more() && !more_now) return "there is no more";
    return "";
  }

  std::string ReadList(ChatReader& reader) {
    const std::string& uid = kPeople[Below(3)];
    std::map<std::string, std::set<MsgId>> before_asking;
    for (const auto& [chat, ids] : world_.accepted()) {
      const auto name = ParseChatId(chat);
      if (name->low == uid || name->high == uid) before_asking[chat] = ids;
    }
    v1::Request request;
    request.mutable_list_chats();
    const v1::Response response = reader.Answer(uid, request);
    if (!response.has_chats()) return response.ShortDebugString();
    std::map<std::string, MsgId> newest;
    for (const auto& summary : response.chats().chats()) {
      const std::string& chat = summary.chat().chat_id();
      if (!newest.emplace(chat, summary.last_message().msg_id()).second) return chat + " twice";
    }
    for (const auto& [chat, ids] : before_asking) {
      if (!newest.contains(chat)) return "not in the list: " + chat;
      if (newest[chat] < *ids.rbegin()) return "older than the newest: " + chat;
      if (!IdsOf(chat).contains(newest[chat])) return "never accepted: " + chat;
    }
    return "";
  }

  std::set<MsgId> IdsOf(const std::string& chat) const {
    const auto it = world_.accepted().find(chat);
    return it == world_.accepted().end() ? std::set<MsgId>() : it->second;
  }
  // An id of these, or one beside it.
  MsgId Somewhere(const std::set<MsgId>& ids) {
    if (ids.empty()) return 1 + Below(5);
    auto it = ids.begin();
    std::advance(it, Below(static_cast<uint32_t>(ids.size())));
    return *it + Below(3) - 1;
  }

  std::mt19937 random_;
  ConsumerWorld world_;
  int depth_ = 0;
  uint64_t hits_ = 0;
  std::string wrong_;
};

TEST(ReadProperty, NoGapAndNoDoubleAtAnyMoment) {
  uint64_t hits = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    Reading reading(seed);
    ASSERT_EQ(reading.Run(150), "") << "seed " << seed;
    hits += reading.hits();
  }
  EXPECT_GT(hits, 1000u) << "memory has hardly been tried";
}

// The test of the test.
TEST(ReadProperty, PlantedFaultsAreFound) {
  for (auto fault = Fault::kRemembersLate; fault != Fault::kCount;
       fault = static_cast<Fault>(static_cast<int>(fault) + 1)) {
    std::string wrong;
    uint32_t seed = 0;
    while (wrong.empty() && seed < 60) wrong = Reading(++seed, fault).Run(150);
    EXPECT_NE(wrong, "") << "fault " << static_cast<int>(fault) << " was not found";
  }
}

}  // namespace
}  // namespace nightjar::persist
