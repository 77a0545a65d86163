// nightjar-persister: brings the journal into the store, and answers reads.
#include <CLI/CLI.hpp>

#include <charconv>
#include <iostream>

#include "common/base/log.h"
#include "common/wire/names.h"
#include "persister/commands/backup.h"
#include "persister/commands/dead_letters.h"
#include "persister/commands/export.h"
#include "persister/commands/rebuild.h"
#include "persister/process.h"

namespace {

using nightjar::persist::Address;
using nightjar::persist::BackupArgs;
using nightjar::persist::DeadLetterArgs;
using nightjar::persist::ExportArgs;
using nightjar::persist::ProcessOptions;
using nightjar::persist::RestoreArgs;

constexpr std::string_view kRocksDb = "rocksdb:";
constexpr std::string_view kHbase = "hbase:";

bool ParseAddress(const std::string& text, Address& address) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  address.host = text.substr(0, colon);
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  return error == std::errc() && rest == end && address.port != 0;
}

// HOST:PORT[,HOST:PORT...]
bool ParseServers(const std::string& text,
                  std::vector<nightjar::hbase::LinkOptions::Server>& servers) {
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    Address address;
    if (!ParseAddress(text.substr(begin, end - begin), address)) return false;
    servers.push_back({address.host, address.port});
    begin = end + 1;
  }
  return true;
}

void AddHbaseOptions(CLI::App& app, nightjar::HbaseStore::Options& options) {
  app.add_flag("--hbase-framed", options.link.framed, "the Thrift servers run with -f");
  app.add_flag("--hbase-compact", options.link.compact, "the Thrift servers run with -c");
  app.add_option("--hbase-connections", options.link.connections, "at most, over all servers")
      ->capture_default_str()
      ->check(CLI::Range(2, 256));
  app.add_option("--hbase-timeout-ms", options.link.timeout_ms, "how long one call may take")
      ->capture_default_str()
      ->check(CLI::Range(100, 300'000));
  app.add_option("--hbase-namespace", options.tables.name_space, "made if missing")
      ->capture_default_str();
  app.add_option("--hbase-table-prefix", options.tables.prefix, "before each table's name");
  app.add_option("--hbase-regions", options.tables.regions, "how many a new table is split into")
      ->capture_default_str();
  app.add_option("--hbase-compression", options.tables.compression,
                 "of new tables: auto (the best there is), none, gz, snappy, lz4 or zstd")
      ->capture_default_str();
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw CLI::ValidationError(path, "cannot be read");
  return line;
}

int Fail(const std::string& what) {
  std::cerr << "nightjar-persister: " << what << "\n";
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  ProcessOptions options;
  std::string redis = "127.0.0.1:6379";
  std::string sentinels, cluster, durability = "fsync";
  std::string store;
  std::vector<std::string> brokers;
  std::string level = "info";

  CLI::App app(
      "Brings what chats accept from the journal in Redis into the permanent store, and answers "
      "the\n"
      "brokers' questions about history. Every option may stand in a TOML file as well (--config).",
      "nightjar-persister");
  app.set_config("--config", "", "TOML file with any of these options; the command line wins");
  app.add_option("--id", options.id, "name of this persister, unique among them")
      ->capture_default_str();
  auto* redis_option =
      app.add_option("--redis", redis, "HOST:PORT of Redis, or unix:PATH")->capture_default_str();
  app.add_option("--redis-user", options.redis.user, "ACL user; empty: the default one");
  app.add_option("--redis-password-file", options.redis.password,
                 "file whose first line is the password")
      ->transform(FirstLine);
  auto* sentinel_option = app.add_option("--redis-sentinels", sentinels,
                                         "HOST:PORT[,HOST:PORT...] of Sentinels to ask for Redis");
  sentinel_option->excludes(redis_option);
  app.add_option("--redis-cluster", cluster,
                 "HOST:PORT[,HOST:PORT...] of some nodes of a Redis Cluster")
      ->excludes(redis_option)
      ->excludes(sentinel_option);
  app.add_option("--redis-master", options.redis.master, "the master's name among the Sentinels")
      ->capture_default_str();
  app.add_option("--sentinel-password-file", options.redis.sentinel_password,
                 "file whose first line is the Sentinels' password")
      ->transform(FirstLine);
  app.add_option("--durability", durability,
                 "fsync or replica: what is read counts once replicas have it (the same as the "
                 "brokers')")
      ->capture_default_str();
  app.add_option("--replicas-min", options.redis.replicas_min, "fewest replicas that must have it")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  auto* store_option =
      app.add_option("--store", store,
                     "rocksdb:DIR or hbase:HOST:PORT[,HOST:PORT...] (Thrift2 servers), where "
                     "everything is kept; made if missing");
  app.add_option("--data", options.store_dir, "DIR, short for --store rocksdb:DIR")
      ->excludes(store_option);
  app.add_option("--store-cache-mib", options.store_cache_mib, "memory for reading the store")
      ->capture_default_str()
      ->check(CLI::Range(8, 1 << 20));
  app.add_option("--store-write-mib", options.store_write_mib, "memory for writing the store")
      ->capture_default_str()
      ->check(CLI::Range(8, 1 << 20));
  app.add_option("--hot-mib", options.hot_mib,
                 "memory for the newest messages of chats being read; 0: none")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  app.add_option_function<int64_t>(
         "--keep-days", [&](int64_t days) { options.retention.keep_ms = days * nightjar::kDayMs; },
         "messages older than this expire for good; 0: never. The store remembers it: without this "
         "option it stays as it is (at first: never)")
      ->check(CLI::Range(int64_t{0}, nightjar::kKeepDaysMost));
  nightjar::HbaseStore::Options hbase;
  AddHbaseOptions(app, hbase);
  app.add_option("--broker", brokers, "HOST:PORT of a broker to answer reads for; repeatable");
  auto* key = app.add_option("--key-file", options.token.key_file,
                             "keys (JSON) to sign this process's own service token with");
  app.add_option(
         "--token-file", options.token.token_file,
         "file with a service token, read anew at every connect; its sub must be svc.persister")
      ->excludes(key);
  app.add_option("--threads", options.threads, "threads that answer reads")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--lease-ttl-ms", options.lease_ttl_ms,
                 "how long a dead persister's partitions wait for another one")
      ->capture_default_str()
      ->check(CLI::Range(300, 60'000));
  app.add_option("--idle-days", options.idle_days,
                 "titles, names and old inbox entries of what nobody used for so long are kept in "
                 "the store only; 0: never")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 36'500.0));
  app.add_option("--ready-file", options.ready_file, "written once everything is connected");
  app.add_option("--log-level", level, "debug, info, notice, warning or error")
      ->capture_default_str();
  bool open_only = false;
  CLI::App* rebuild = app.add_subcommand(
      "rebuild", "Fills a hub that has lost its data from the store. No persister may be running.");
  rebuild->fallthrough();
  rebuild
      ->add_option("--partitions", options.redis.partitions,
                   "of a hub that is found empty; as the brokers are configured")
      ->capture_default_str()
      ->check(CLI::Range(1, 16'384));
  rebuild->add_flag("--open", open_only,
                    "only opens what an earlier run has left closed, as it is");
  app.add_subcommand("run", "Serves until told to end, as without a command.")->fallthrough();
  DeadLetterArgs dead_letters;
  CLI::App* letters = nightjar::persist::AddDeadLetters(app, dead_letters);
  ExportArgs exporting;
  CLI::App* exports = nightjar::persist::AddExport(app, exporting);
  BackupArgs backing_up;
  CLI::App* backup = nightjar::persist::AddBackup(app, backing_up);
  RestoreArgs restoring;
  CLI::App* restore = nightjar::persist::AddRestore(app, restoring);
  app.require_subcommand(0, 1);
  CLI11_PARSE(app, argc, argv);

  const auto parsed_level = nightjar::log::ParseLevel(level);
  if (!parsed_level) return Fail("--log-level: not a level: " + level);
  if (!nightjar::ValidDevice(options.id)) {
    return Fail("--id: 1 to 32 of A-Z a-z 0-9 _ -: " + options.id);
  }
  if (redis.starts_with("unix:")) {
    options.redis.unix_path = redis.substr(5);
  } else {
    const auto address = nightjar::hub::ParseRedisAddress(redis);
    if (!address.ok()) return Fail("--redis: " + address.status().message());
    options.redis.host = address->host;
    options.redis.port = address->port;
  }
  if (!sentinels.empty()) {
    auto addresses = nightjar::hub::ParseRedisAddresses(sentinels);
    if (!addresses.ok()) return Fail("--redis-sentinels: " + addresses.status().message());
    options.redis.sentinels = std::move(addresses).value();
  }
  if (!cluster.empty()) {
    auto addresses = nightjar::hub::ParseRedisAddresses(cluster);
    if (!addresses.ok()) return Fail("--redis-cluster: " + addresses.status().message());
    options.redis.cluster = std::move(addresses).value();
  }
  const auto parsed_durability = nightjar::hub::ParseDurability(durability);
  if (!parsed_durability.ok()) return Fail("--durability: " + parsed_durability.status().message());
  options.redis.durability = parsed_durability.value();
  if (const auto status = nightjar::hub::CheckDurability(options.redis); !status.ok()) {
    return Fail("--durability: " + status.message());
  }
  if (!store.empty()) {
    if (store.starts_with(kRocksDb)) {
      options.store_dir = store.substr(kRocksDb.size());
    } else if (store.starts_with(kHbase)) {
      if (!ParseServers(store.substr(kHbase.size()), hbase.link.servers)) {
        return Fail("--store: not hbase:HOST:PORT[,HOST:PORT...]: " + store);
      }
      if (const auto status = nightjar::hbase::CheckTableOptions(hbase.tables); !status.ok()) {
        return Fail("--hbase-...: " + status.message());
      }
      options.hbase = std::move(hbase);
    } else {
      return Fail("--store: rocksdb:DIR or hbase:HOST:PORT[,HOST:PORT...], not " + store);
    }
  }
  const bool stores =
      letters->parsed() ? dead_letters.what == DeadLetterArgs::What::kReplay : !restoring.list;
  if (stores && options.store_dir.empty() && !options.hbase) {
    return Fail("--store rocksdb:DIR or hbase:HOST:PORT is missing (see --help)");
  }
  for (const std::string& broker : brokers) {
    if (!ParseAddress(broker, options.brokers.emplace_back())) {
      return Fail("--broker: not HOST:PORT: " + broker);
    }
  }
  if (!brokers.empty() && options.token.key_file.empty() && options.token.token_file.empty()) {
    return Fail("--broker needs --key-file or --token-file");
  }
  nightjar::log::Start("persister", *parsed_level);
  if (rebuild->parsed()) return nightjar::persist::RunRebuild(options, open_only);
  if (letters->parsed()) return nightjar::persist::RunDeadLetters(options, dead_letters);
  if (exports->parsed()) return nightjar::persist::RunExport(options, exporting);
  if (backup->parsed()) return nightjar::persist::RunBackup(options, backing_up);
  if (restore->parsed()) return nightjar::persist::RunRestore(options, restoring);
  return nightjar::persist::RunProcess(options);
}
