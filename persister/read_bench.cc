// How long reads take while messages are written: a history page or a list of chats as a persister
// answers it, from hub, journal tail, memory and store, at a fixed rate, while others send at
// another. No broker, no MQTT. Needs a Redis of its own, and fills it.
//   nightjar-read-bench REDIS_HOST:PORT DIR|hbase:HOST:PORT [--option N]...
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/hub/redis/open_hub.h"
#include "common/wire/codec.h"
#include "common/wire/names.h"
#include "persister/bench_store.h"
#include "persister/chat_reader.h"
#include "persister/hot_chats.h"
#include "persister/journal_worker.h"

namespace nightjar::persist {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string store;
  uint32_t people = 1000;
  uint32_t chats = 20;    // of each, with the people next to them
  uint32_t stored = 200;  // messages of a chat that are in the store before anything is measured
  uint32_t sends = 3000;  // a second, to any chat
  uint32_t reads = 200;   // a second
  double hot = 0.9;       // reads that go to a tenth of the chats
  double lists = 0.1;     // reads that ask for a list of chats
  uint32_t page = 50;
  uint32_t threads = 4;  // that answer
  uint32_t seconds = 20;
  uint32_t settle = 5;  // seconds that the filled store has to tidy up
  size_t hot_mib = 32;  // 0: no memory
};

// A chat is a person and one of those that come next.
struct Pair {
  std::string low, high, chat;
};

// How long each of something took, once it counts. Any thread.
class Times {
 public:
  using Start = Clock::time_point;
  void Count() { counts_ = true; }
  void Add(Start since) {
    if (!counts_) return;
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - since).count();
    std::lock_guard lock(mutex_);
    ms_.push_back(ms);
  }
  size_t size() const { return ms_.size(); }
  void Tell(const char* what) {
    if (ms_.empty()) return;
    std::sort(ms_.begin(), ms_.end());
    const auto at = [&](double part) {
      const auto n = static_cast<size_t>(part * static_cast<double>(ms_.size()));
      return ms_[std::min(ms_.size() - 1, n)];
    };
    std::printf("%s n=%zu p50=%.2f p90=%.2f p99=%.2f max=%.2f\n", what, ms_.size(), at(0.5),
                at(0.9), at(0.99), ms_.back());
  }

 private:
  std::atomic<bool> counts_ = false;
  std::mutex mutex_;
  std::vector<double> ms_;
};

// What a reader waits for, measured: the hub's calls and the store's.
class TimedHub : public hub::Hub {
 public:
  explicit TimedHub(hub::Hub& hub) : hub_(hub) {}
  void Submit(hub::Call call, hub::Callback done) override {
    hub_.Submit(std::move(call), [this, since = Clock::now(), done = std::move(done)](auto reply) {
      times.Add(since);
      done(std::move(reply));
    });
  }
  Times times;

 private:
  hub::Hub& hub_;
};

class TimedStore : public Store {
 public:
  explicit TimedStore(Store& store) : store_(store) {}
  Status Put(const std::vector<v1::JournalRecord>& records) override { return store_.Put(records); }
  Result<HistoryPage> History(const HistoryQuery& query) override {
    const auto since = Clock::now();
    auto page = store_.History(query);
    times.Add(since);
    return page;
  }
  MsgId OldestKept() const override { return store_.OldestKept(); }
  Result<std::vector<std::optional<v1::Message>>> Newest(
      const std::vector<NewestOf>& chats) override {
    return store_.Newest(chats);
  }
  Result<std::optional<StoredChat>> ReadChat(const std::string& chat_id) override {
    return store_.ReadChat(chat_id);
  }
  Result<std::vector<std::pair<std::string, MsgId>>> ChatsOf(const std::string& uid) override {
    return store_.ChatsOf(uid);
  }
  Result<UserRecord> ReadUser(const std::string& uid) override { return store_.ReadUser(uid); }
  Result<NamesPage> Names(Named what, const std::string& from, uint32_t limit) override {
    return store_.Names(what, from, limit);
  }
  Times times;

 private:
  Store& store_;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {
    for (uint32_t person = 0; person < options.people; ++person) {
      for (uint32_t next = 1; next <= options.chats / 2; ++next) {
        std::string a = Name(person), b = Name((person + next) % options.people);
        if (b < a) std::swap(a, b);
        std::string chat = DirectChatId(a, b);
        pairs_.push_back({std::move(a), std::move(b), std::move(chat)});
      }
    }
  }

  int Run() {
    hub::RedisOptions redis;
    redis.host = options_.host;
    redis.port = options_.port;
    auto found = hub::Probe(redis);
    if (!found.ok()) return Fail(found.status());
    partitions_ = found->info.partitions;
    auto opened = OpenForBench(options_.store);
    if (!opened.ok()) return Fail(opened.status());
    store_ = std::move(*opened);
    if (Status s = Prefill(); !s.ok()) return Fail(s);
    std::this_thread::sleep_for(std::chrono::seconds(options_.settle));
    std::atomic<bool> up = false;
    // As in a stack: people's broker and persister each have their own connection.
    auto senders = hub::OpenHub(redis, partitions_,
                                [&](const hub::RedisHub::Status& status) { up = status.up; });
    auto own = hub::OpenHub(redis, partitions_);
    while (!up) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    Measure(*senders, *own);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  static std::string Name(uint32_t person) { return "p" + std::to_string(person); }
  static int Fail(const Status& status) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
  }

  // Older than anything that is sent later; the hub learns of the chats by what is sent.
  Status Prefill() {
    MsgId id = MakeMsgId(SystemNow().unix_ms - 86'400'000, 0);
    for (uint32_t round = 0; round < options_.stored; ++round) {
      for (size_t from = 0; from < pairs_.size(); from += 3000) {
        std::vector<v1::JournalRecord> records;
        for (size_t i = from; i < std::min(pairs_.size(), from + 3000); ++i) {
          v1::Message& message = *records.emplace_back().mutable_message();
          message.set_chat_id(pairs_[i].chat);
          message.set_msg_id(++id);
          message.set_author(pairs_[i].low);
          message.set_text(std::string(100, 'x'));
        }
        if (Status s = store_->Put(records); !s.ok()) return s;
      }
    }
    return Status::Ok();
  }

  const Pair& Any(std::mt19937& random) const {
    const size_t tenth = pairs_.size() / 10;
    const bool hot = std::uniform_real_distribution()(random) < options_.hot;
    return pairs_[random() % (hot ? tenth : pairs_.size())];
  }

  void Send(hub::Hub& hub, const Pair& pair) {
    hub::Send send;
    send.chat = pair.chat;
    send.author = pair.low;
    send.device = "phone";
    send.broker = "b1#1";
    send.received_ms = SystemNow().unix_ms;
    send.members = {pair.low, pair.high};
    v1::Message message;
    message.set_chat_id(pair.chat);
    message.set_author(pair.low);
    message.set_text(std::string(100, 'y'));
    send.shared = MessageTemplate(message);
    message.set_device("phone");
    send.own = MessageTemplate(message);
    hub.Submit(std::move(send), [this](hub::Reply reply) {
      const auto* sent = std::get_if<hub::SendReply>(&reply);
      const bool ok = sent != nullptr && sent->outcome == hub::SendReply::Outcome::kAccepted;
      if (!ok && refused_ == 0) {
        const auto* failure = std::get_if<hub::Failure>(&reply);
        std::fprintf(stderr, "a send: %s\n", failure ? failure->message.c_str() : "refused");
      }
      ++(ok ? sent_ : refused_);
    });
  }

  // Calls `act` at a fixed rate, whatever the calls take, until `until`.
  template <typename Act>
  static void AtRate(double per_s, Clock::time_point until, Act act) {
    const auto start = Clock::now();
    for (uint64_t n = 0;; ++n) {
      const auto due = start + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(static_cast<double>(n) / per_s));
      if (due >= until) return;
      std::this_thread::sleep_until(due);
      act(n, due);
    }
  }

  void Measure(hub::Hub& senders, hub::Hub& own) {
    HotChats hot({.partitions = partitions_, .bytes = options_.hot_mib << 20});
    HotChats* const memory = options_.hot_mib == 0 ? nullptr : &hot;
    JournalConsumer::Options journal;
    journal.owner = "bench";
    journal.partitions = partitions_;
    JournalWorker worker(journal, own, *store_, memory,
                         [](const Say& say) { std::fprintf(stderr, "%s\n", say.text.c_str()); });
    worker.Start();
    // Every chat is known to the hub before anybody reads it.
    for (size_t i = 0; i < pairs_.size(); ++i) {
      Send(senders, pairs_[i]);
      while (i > sent_ + refused_ + 1000) std::this_thread::yield();
    }
    while (sent_ + refused_ < pairs_.size()) std::this_thread::yield();

    TimedHub hub(own);
    TimedStore store(*store_);
    ChatReader reader({.partitions = partitions_}, hub, store, memory);
    const auto warm = Clock::now() + std::chrono::seconds(options_.seconds / 4);
    const auto end = warm + std::chrono::seconds(options_.seconds);
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
      std::mt19937 random(1);
      AtRate(options_.sends, end, [&](uint64_t, Clock::time_point) { Send(senders, Any(random)); });
    });
    for (uint32_t t = 0; t < options_.threads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(100 + t);
        // Those of one thread are between those of the others.
        std::this_thread::sleep_for(std::chrono::microseconds(1'000'000 * t / options_.reads));
        AtRate(double{1.0} * options_.reads / options_.threads, end,
               [&](uint64_t, Clock::time_point due) { Read(reader, random, due); });
      });
    }
    std::this_thread::sleep_until(warm);
    for (Times* times : {&pages_, &lists_, &hub.times, &store.times}) times->Count();
    const HotChats::Counters before = hot.counters();
    const uint64_t sent = sent_, stored = worker.counters().stored;
    for (std::thread& thread : threads) thread.join();
    const HotChats::Counters after = hot.counters();
    std::printf(
        "sends_per_s=%.0f refused=%llu stored_per_s=%.0f reads=%zu failed=%llu hot_mib=%zu\n",
        static_cast<double>(sent_ - sent) / options_.seconds,
        static_cast<unsigned long long>(refused_.load()),
        static_cast<double>(worker.counters().stored - stored) / options_.seconds,
        pages_.size() + lists_.size(), static_cast<unsigned long long>(failed_.load()),
        options_.hot_mib);
    const auto hits = static_cast<double>(after.hits - before.hits);
    const auto all = hits + static_cast<double>(after.misses - before.misses) +
                     static_cast<double>(after.elsewhere - before.elsewhere);
    std::printf("memory_hits=%.0f of=%.0f share=%.3f evicted=%llu chats=%zu bytes=%zu\n", hits, all,
                all > 0 ? hits / all : 0, static_cast<unsigned long long>(after.evicted),
                after.chats, after.bytes);
    pages_.Tell("history_ms");
    lists_.Tell("list_chats_ms");
    hub.times.Tell("of_these_one_hub_call_ms");
    store.times.Tell("of_these_one_page_of_the_store_ms");
    worker.Stop(5000);
  }

  void Read(ChatReader& reader, std::mt19937& random, Clock::time_point due) {
    const Pair& pair = Any(random);
    const bool list = std::uniform_real_distribution()(random) < options_.lists;
    v1::Request request;
    if (list) {
      request.mutable_list_chats();
    } else {
      request.mutable_history()->set_chat_id(pair.chat);
      request.mutable_history()->set_limit(options_.page);
    }
    const v1::Response response = reader.Answer(pair.low, request);
    (list ? lists_ : pages_).Add(due);
    const bool whole = list ? response.chats().chats_size() > 0
                            : response.history().messages_size() ==
                                  static_cast<int>(std::min(options_.page, options_.stored));
    if (!whole && failed_++ == 0) {
      std::fprintf(stderr, "a read: %s\n", response.ShortDebugString().c_str());
    }
  }

  const Options options_;
  std::vector<Pair> pairs_;
  uint32_t partitions_ = 0;
  std::unique_ptr<Store> store_;
  std::atomic<uint64_t> sent_ = 0, refused_ = 0;
  std::atomic<uint64_t> failed_ = 0;
  Times pages_, lists_;
};

}  // namespace
}  // namespace nightjar::persist

int main(int argc, char** argv) {
  nightjar::persist::Options options;
  std::string redis;
  CLI::App app("How long reads take while messages are written");
  app.add_option("redis", redis, "HOST:PORT of an empty Redis")->required();
  app.add_option("store", options.store, "DIR or hbase:HOST:PORT, empty")->required();
  app.add_option("--people", options.people)->capture_default_str();
  app.add_option("--chats", options.chats, "of each")->capture_default_str();
  app.add_option("--stored", options.stored, "messages of a chat")->capture_default_str();
  app.add_option("--sends", options.sends, "a second")->capture_default_str();
  app.add_option("--reads", options.reads, "a second")->capture_default_str();
  app.add_option("--hot", options.hot, "share of all that concerns a tenth of the chats")
      ->capture_default_str();
  app.add_option("--lists", options.lists, "share of reads")->capture_default_str();
  app.add_option("--page", options.page)->capture_default_str();
  app.add_option("--threads", options.threads, "that answer")->capture_default_str();
  app.add_option("--seconds", options.seconds)->capture_default_str();
  app.add_option("--settle", options.settle, "seconds between filling and measuring")
      ->capture_default_str();
  app.add_option("--hot-mib", options.hot_mib, "0: no memory of hot chats")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const size_t colon = redis.rfind(':');
  if (colon == std::string::npos) return app.exit(CLI::ValidationError("redis", "is no HOST:PORT"));
  options.host = redis.substr(0, colon);
  options.port = std::atoi(redis.c_str() + colon + 1);
  return nightjar::persist::Bench(options).Run();
}
