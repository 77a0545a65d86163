#include "persister/bench_store.h"

#include <cstdlib>
#include <utility>

#include "persister/hbase_store.h"
#include "persister/rocksdb_store.h"

namespace nightjar {
namespace {

template <typename S>
Result<std::unique_ptr<Store>> As(Result<std::unique_ptr<S>> store) {
  if (!store.ok()) return store.status();
  return Result<std::unique_ptr<Store>>(std::move(store).value());
}

}  // namespace

Result<std::unique_ptr<Store>> OpenForBench(const std::string& where) {
  if (!where.starts_with("hbase:")) {
    RocksDbStore::Options options;
    options.dir = where;
    return As(RocksDbStore::Open(options));
  }
  const size_t colon = where.rfind(':');
  HbaseStore::Options options;
  options.link.servers.push_back(
      {where.substr(6, colon - 6), static_cast<uint16_t>(std::atoi(where.c_str() + colon + 1))});
  options.tables.prefix = "bench_";
  options.tables.regions = 4;
  return As(HbaseStore::Open(options));
}

}  // namespace nightjar
