#include "persister/startup.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <filesystem>
#include <random>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/log.h"

namespace nightjar::persist {

uint64_t RandomSeed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

namespace {

constexpr int64_t kStoreLockWaitMs = 10'000;  // a predecessor may still be closing
constexpr int kReadTries = 20;                // files come and go while they are opened

std::unique_ptr<Store> OpenHbase(const ProcessOptions& options, Signals& signals) {
  HbaseStore::Options hbase = *options.hbase;
  hbase.retention = options.retention;
  Backoff backoff(250, 5000, RandomSeed());
  for (bool said = false;;) {
    auto opened = HbaseStore::Open(hbase);
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

}  // namespace

std::unique_ptr<RocksDbStore> OpenRocksDb(const ProcessOptions& options, Signals& signals) {
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
  store.retention = options.retention;
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

std::unique_ptr<Store> OpenStore(const ProcessOptions& options, Signals& signals) {
  if (options.hbase) return OpenHbase(options, signals);
  return OpenRocksDb(options, signals);
}

std::unique_ptr<Store> OpenStoreToRead(const ProcessOptions& options, Signals& signals) {
  if (options.hbase) {
    HbaseStore::Options hbase = *options.hbase;
    hbase.read_only = true;
    auto opened = HbaseStore::Open(hbase);
    if (opened.ok()) return std::move(opened).value();
    log::Error("{}", opened.status().message());
    return nullptr;
  }
  RocksDbStore::Options store;
  store.dir = options.store_dir;
  store.block_cache_bytes = options.store_cache_mib << 20;
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {  // it takes every file of the store
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  for (int tries = 1;; ++tries) {
    auto opened = RocksDbStore::OpenToRead(store);
    if (opened.ok()) return std::move(opened).value();
    const Status status = opened.status();
    if (status.code() != Code::kUnavailable || tries == kReadTries || signals.Wait(100)) {
      log::Error("{}", status.message());
      return nullptr;
    }
  }
}

std::string IsoTime(int64_t unix_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(unix_ms / 1000), unix_ms % 1000);
}

std::string StoreName(const ProcessOptions& options) {
  if (!options.hbase) return options.store_dir;
  std::string name = "hbase";
  for (const auto& server : options.hbase->link.servers) {
    name += fmt::format(":{}:{}", server.host, server.port);
  }
  return name;
}

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

}  // namespace nightjar::persist
