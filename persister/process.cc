#include "persister/process.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/hub/redis/open_hub.h"
#include "common/hub/redis/redis_hub.h"
#include "common/mqtt/client.h"
#include "persister/chat_reader.h"
#include "persister/commands/backup.h"
#include "persister/history_service.h"
#include "persister/hot_chats.h"
#include "persister/idle_worker.h"
#include "persister/journal_worker.h"
#include "persister/peers.h"
#include "persister/rebuild.h"
#include "persister/startup.h"

namespace nightjar::persist {
namespace {

constexpr int64_t kStopMs = 8'000;
constexpr int64_t kCountersEveryMs = 60'000;
constexpr uint32_t kReadyPollMs = 20;
constexpr int64_t kTellPeersMs = 1000;

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

std::unique_ptr<mqtt::Client> Connect(const Address& broker, const ProcessOptions& options,
                                      HistoryService& service, Peers& peers) {
  // The answer goes out where the question came in; the pointer is set before any message can come.
  auto client = std::make_shared<std::atomic<mqtt::Client*>>(nullptr);
  const std::string name = broker.host + ":" + std::to_string(broker.port);
  mqtt::Client::Options to;
  to.host = broker.host;
  to.port = broker.port;
  to.client_id = std::string(kServiceUser) + ":" + options.id;
  // One of all persisters gets a request, whichever it is, and all of them get what was not
  // answered within a second. QoS 0: a reader can ask again at any time.
  to.subscriptions = {{"$share/store/svc/store/#", 0}, {"svc/again/#", 0}, {kPeersTopic, 0}};
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
  to.on_message = [&service, &peers, client](std::string_view asked_on, std::string_view payload) {
    if (asked_on == kPeersTopic) return peers.Hear(payload, SystemNow().mono_ms);
    const bool repeat = asked_on.starts_with("svc/again/");
    service.Take(payload, repeat, [client](const std::string& topic, const std::string& reply) {
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

void LogCounters(const JournalWorker& worker, const HistoryService& service, const HotChats& hot) {
  const auto journal = worker.counters();
  const auto history = service.counters();
  const auto memory = hot.counters();
  log::Info(
      "counters stored={} rounds={} failures={} dead={} stalled={} fenced={} requests={} "
      "answered={} failed={} refused={} bad={} too_old={} repeated={} memory_hits={} "
      "memory_misses={} memory_elsewhere={} memory_evicted={} memory_chats={} memory_bytes={}",
      journal.stored, journal.rounds, journal.failures, journal.dead, journal.stalled,
      journal.fenced, history.taken, history.answered, history.failed, history.refused, history.bad,
      history.too_old, history.repeated, memory.hits, memory.misses, memory.elsewhere,
      memory.evicted, memory.chats, memory.bytes);
}

void WarnIfLost(hub::Hub& hub, Store& store) {
  const auto lost = LostByHub(hub, store);
  if (!lost.ok())
    return log::Info("whether the hub lacks chats is not known: {}", lost.status().message());
  if (lost->empty()) return;
  log::Warning(
      "the hub does not know chats that the store has, such as {}: it was set up anew; run "
      "nightjar-persister rebuild (docs/storage.md)",
      *lost);
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

// Over one broker, each time another: all persisters hear it at any, and one that hangs costs a
// word now and then. With thousands of brokers it still is a word a second.
void TellPeers(const ProcessOptions& options,
               const std::vector<std::unique_ptr<mqtt::Client>>& clients, size_t turn) {
  for (size_t i = 0; i < clients.size(); ++i) {
    mqtt::Client& client = *clients[(turn + i) % clients.size()];
    if (client.connected()) return (void)client.Publish(kPeersTopic, options.id, 0);
  }
}

int Serve(const ProcessOptions& options, const hub::ProbeResult& found, Store& store,
          Signals& signals) {
  std::atomic<uint64_t> epoch = 0;  // of the hub as it came up last
  HotChats hot({.partitions = found.info.partitions, .bytes = options.hot_mib << 20});
  auto hub = hub::OpenHub(
      options.redis, found.info.partitions, [&epoch, &hot](const hub::RedisHub::Status& status) {
        hot.Clear();  // it may be another hub, with other leases
        if (status.up) {
          epoch = status.info.epoch;
          log::Info("hub: connected epoch={}", status.info.epoch);
        } else {
          log::Warning("hub: away{}: {}", status.partly ? " in part" : "", status.reason);
        }
      });

  JournalConsumer::Options journal;
  journal.seed = RandomSeed();
  journal.owner = fmt::format("{}#{:016x}", options.id, journal.seed);
  journal.partitions = found.info.partitions;
  journal.lease_ttl_ms = options.lease_ttl_ms;
  HotChats* const memory = options.hot_mib == 0 ? nullptr : &hot;
  JournalWorker worker(journal, *hub, store, memory, LogSay);
  worker.Start();

  std::optional<IdleWorker> idle;
  if (options.idle_days > 0) {
    IdleKeeper::Options keeping;
    keeping.partitions = found.info.partitions;
    keeping.idle_ms = static_cast<int64_t>(options.idle_days * static_cast<double>(kDayMs));
    idle.emplace(keeping, *hub, store, [&worker] { return worker.held(); });
  }

  ChatReader::Options reading;
  reading.partitions = found.info.partitions;
  ChatReader reader(reading, *hub, store, memory);
  HistoryService::Options desk;
  desk.threads = options.threads;
  HistoryService service(desk, reader);
  Peers peers({.id = options.id, .partitions = found.info.partitions});
  std::vector<std::unique_ptr<mqtt::Client>> clients;
  for (const Address& broker : options.brokers)
    clients.push_back(Connect(broker, options, service, peers));

  bool ready = false;
  uint64_t looked_at = 0;  // epoch
  int64_t counters_at = SystemNow().mono_ms + kCountersEveryMs;
  int64_t tell_at = 0;
  size_t told = 0;  // so often
  while (!signals.Wait(ready ? 1000 : kReadyPollMs)) {
    if (!ready && worker.leased_once()) {
      ready = true;
      for (const auto& client : clients) ready = ready && client->connected();
      if (ready && !TellReady(options)) return 1;
    }
    // A new epoch may be that of a hub that was set up anew, empty.
    if (ready && looked_at != epoch) {
      looked_at = epoch;
      WarnIfLost(*hub, store);
    }
    const int64_t now = SystemNow().mono_ms;
    if (now >= tell_at) {
      worker.Share(peers.Mine(now));
      // Who cannot hold leases leaves the partitions to those who can.
      if (worker.leasing()) TellPeers(options, clients, told++);
      tell_at = now + kTellPeersMs;
    }
    if (now >= counters_at) {
      LogCounters(worker, service, hot);
      counters_at = now + kCountersEveryMs;
    }
  }
  log::Notice("stopping");
  if (!options.ready_file.empty()) std::remove(options.ready_file.c_str());
  service.Stop();
  if (idle) idle->Stop();
  for (auto& client : clients) client->Stop();
  if (!worker.Stop(kStopMs)) log::Warning("leases not given back; they run out by themselves");
  LogCounters(worker, service, hot);
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
  if (const MsgId oldest = store->OldestKept(); oldest != 0) {
    log::Notice("messages from before {} have expired", IsoTime(MsgIdMs(oldest)));
  }
  std::unique_ptr<StoreDoor> door;
  if (auto* rocksdb = dynamic_cast<RocksDbStore*>(store.get())) {
    door = ServeBackups(options.store_dir, *rocksdb);
  }
  const auto found = FindHub(options, signals);
  if (!found) return signals.Wait(0) ? 0 : 1;
  const int code = Serve(options, *found, *store, signals);
  door.reset();
  store.reset();
  log::Notice("stopped");
  return code;
}

}  // namespace nightjar::persist
