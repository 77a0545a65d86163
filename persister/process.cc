#include "persister/process.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/hub/redis/open_hub.h"
#include "common/hub/redis/redis_hub.h"
#include "common/mqtt/client.h"
#include "persister/chat_reader.h"
#include "persister/history_service.h"
#include "persister/journal_worker.h"
#include "persister/rocksdb_store.h"

namespace nightjar::persist {
namespace {

constexpr int64_t kStoreLockWaitMs = 10'000;  // a predecessor may still be closing
constexpr int64_t kStopMs = 8'000;
constexpr int64_t kCountersEveryMs = 60'000;
constexpr uint32_t kReadyPollMs = 20;

// SIGTERM and SIGINT, taken by waiting for them on the main thread.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }
  // True: one of them came within `ms` (or has come before).
  bool Wait(int64_t ms) {
    if (came_) return true;
    const timespec time{ms / 1000, (ms % 1000) * 1'000'000};
    came_ = sigtimedwait(&set_, nullptr, &time) > 0;
    return came_;
  }

 private:
  sigset_t set_;
  bool came_ = false;
};

uint64_t RandomSeed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

void LogSay(const Say& say) {
  switch (say.level) {
    case Say::Level::kInfo:
      return log::Info("journal: {}", say.text);
    case Say::Level::kWarn:
      return log::Warning("journal: {}", say.text);
    case Say::Level::kError:
      return log::Error("journal: {}", say.text);
  }
}

std::unique_ptr<Store> OpenRocksDb(const ProcessOptions& options, Signals& signals) {
  std::error_code error;
  std::filesystem::create_directories(options.store_dir, error);
  if (error) {
    log::Error("store {}: cannot be created: {}", options.store_dir, error.message());
    return nullptr;
  }
  RocksDbStore::Options store;
  store.dir = options.store_dir;
  store.block_cache_bytes = options.store_cache_mib << 20;
  store.write_buffer_bytes = options.store_write_mib << 20;
  const int64_t until = SystemNow().mono_ms + kStoreLockWaitMs;
  for (bool said = false;;) {
    auto opened = RocksDbStore::Open(store);
    if (opened.ok()) return std::move(opened).value();
    const Status status = opened.status();
    if (status.code() != Code::kUnavailable || SystemNow().mono_ms >= until) {
      log::Error("{}", status.message());
      return nullptr;
    }
    if (!said) log::Warning("waiting: {}", status.message());
    said = true;
    if (signals.Wait(100)) return nullptr;
  }
}

std::unique_ptr<Store> OpenHbase(const ProcessOptions& options, Signals& signals) {
  Backoff backoff(250, 5000, RandomSeed());
  for (bool said = false;;) {
    auto opened = HbaseStore::Open(*options.hbase);
    if (opened.ok()) return std::move(opened).value();
    if (opened.status().code() != Code::kUnavailable) {
      log::Error("{}", opened.status().message());
      return nullptr;
    }
    if (!said) log::Warning("waiting: {}", opened.status().message());
    said = true;
    if (signals.Wait(backoff.NextMs())) return nullptr;
  }
}

std::unique_ptr<Store> OpenStore(const ProcessOptions& options, Signals& signals) {
  return options.hbase ? OpenHbase(options, signals) : OpenRocksDb(options, signals);
}

std::string StoreName(const ProcessOptions& options) {
  if (!options.hbase) return options.store_dir;
  std::string name = "hbase";
  for (const auto& server : options.hbase->link.servers) {
    name += fmt::format(":{}:{}", server.host, server.port);
  }
  return name;
}

// Nothing: told to stop, or a server that cannot be a hub.
std::optional<hub::ProbeResult> FindHub(const ProcessOptions& options, Signals& signals) {
  Backoff backoff(100, 2000, RandomSeed());
  for (bool said = false;;) {
    auto probe = hub::Probe(options.redis);
    if (probe.ok()) {
      for (const std::string& warning : probe->warnings) log::Warning("hub: {}", warning);
      return std::move(probe).value();
    }
    if (probe.status().code() != Code::kUnavailable) {
      log::Error("hub: {}", probe.status().message());
      return std::nullopt;
    }
    if (!said) log::Warning("waiting for the hub: {}", probe.status().message());
    said = true;
    if (signals.Wait(backoff.NextMs())) return std::nullopt;
  }
}

std::unique_ptr<mqtt::Client> Connect(const Address& broker, const ProcessOptions& options,
                                      HistoryService& service) {
  // The answer goes out where the question came in; the pointer is set before any message can come.
  auto client = std::make_shared<std::atomic<mqtt::Client*>>(nullptr);
  const std::string name = broker.host + ":" + std::to_string(broker.port);
  mqtt::Client::Options to;
  to.host = broker.host;
  to.port = broker.port;
  to.client_id = std::string(kServiceUser) + ":" + options.id;
  // QoS 0: the broker asks again after a second, and a reader can ask again at any time.
  to.subscriptions = {{"$share/store/svc/store/#", 0}};
  to.credentials = [token = options.token, id = options.id] {
    return ServiceCredentials(token, id);
  };
  to.on_state = [name](bool connected, const std::string& why) {
    if (connected) {
      log::Info("broker {}: connected", name);
    } else {
      log::Warning("broker {}: not connected: {}", name, why);
    }
  };
  to.on_message = [&service, client](std::string_view, std::string_view payload) {
    service.Take(payload, [client](const std::string& topic, const std::string& reply) {
      if (mqtt::Client* c = client->load()) {
        if (const Status s = c->Publish(topic, reply, 0); !s.ok()) {
          log::Debug("an answer could not be sent: {}", s.message());
        }
      }
    });
  };
  auto made = std::make_unique<mqtt::Client>(std::move(to));
  client->store(made.get());
  return made;
}

void LogCounters(const JournalWorker& worker, const HistoryService& service) {
  const auto journal = worker.counters();
  const auto history = service.counters();
  log::Info(
      "counters stored={} rounds={} failures={} dead={} stalled={} fenced={} requests={} "
      "answered={} "
      "failed={} refused={} bad={} too_old={}",
      journal.stored, journal.rounds, journal.failures, journal.dead, journal.stalled,
      journal.fenced, history.taken, history.answered, history.failed, history.refused, history.bad,
      history.too_old);
}

bool TellReady(const ProcessOptions& options) {
  log::Notice("ready");
  if (options.ready_file.empty()) return true;
  std::ofstream file(options.ready_file);
  file << getpid() << "\n";
  file.close();
  if (!file.fail()) return true;
  log::Error("cannot write {}", options.ready_file);
  return false;
}

int Serve(const ProcessOptions& options, const hub::ProbeResult& found, Store& store,
          Signals& signals) {
  auto hub = hub::OpenHub(
      options.redis, found.info.partitions, [](const hub::RedisHub::Status& status) {
        if (status.up) {
          log::Info("hub: connected epoch={}", status.info.epoch);
        } else {
          log::Warning("hub: away: {}", status.reason);
        }
      });

  JournalConsumer::Options journal;
  journal.seed = RandomSeed();
  journal.owner = fmt::format("{}#{:016x}", options.id, journal.seed);
  journal.partitions = found.info.partitions;
  journal.lease_ttl_ms = options.lease_ttl_ms;
  JournalWorker worker(journal, *hub, store, LogSay);
  worker.Start();

  ChatReader::Options reading;
  reading.partitions = found.info.partitions;
  ChatReader reader(reading, *hub, store);
  HistoryService::Options desk;
  desk.threads = options.threads;
  HistoryService service(desk, reader);
  std::vector<std::unique_ptr<mqtt::Client>> clients;
  for (const Address& broker : options.brokers)
    clients.push_back(Connect(broker, options, service));

  bool ready = false;
  int64_t counters_at = SystemNow().mono_ms + kCountersEveryMs;
  while (!signals.Wait(ready ? 1000 : kReadyPollMs)) {
    if (!ready && worker.leased_once()) {
      ready = true;
      for (const auto& client : clients) ready = ready && client->connected();
      if (ready && !TellReady(options)) return 1;
    }
    if (SystemNow().mono_ms >= counters_at) {
      LogCounters(worker, service);
      counters_at = SystemNow().mono_ms + kCountersEveryMs;
    }
  }
  log::Notice("stopping");
  if (!options.ready_file.empty()) std::remove(options.ready_file.c_str());
  service.Stop();
  for (auto& client : clients) client->Stop();
  if (!worker.Stop(kStopMs)) log::Warning("leases not given back; they run out by themselves");
  LogCounters(worker, service);
  hub.reset();
  return 0;
}

}  // namespace

int RunProcess(const ProcessOptions& options) {
  Signals signals;
  log::Notice("starting id={} redis={} store={} brokers={}", options.id, hub::Where(options.redis),
              StoreName(options), options.brokers.size());
  if (!options.brokers.empty()) {
    if (const auto token = ServiceCredentials(options.token, options.id); !token.ok()) {
      log::Error("no service token: {}", token.status().message());
      return 1;
    }
  }
  auto store = OpenStore(options, signals);
  if (!store) return signals.Wait(0) ? 0 : 1;
  const auto found = FindHub(options, signals);
  if (!found) return signals.Wait(0) ? 0 : 1;
  const int code = Serve(options, *found, *store, signals);
  store.reset();
  log::Notice("stopped");
  return code;
}

}  // namespace nightjar::persist
