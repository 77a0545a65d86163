// The store that a benchmark is told of.
#pragma once

#include <memory>
#include <string>

#include "common/base/result.h"
#include "persister/store.h"

namespace nightjar {

// `where`: a folder for RocksDB (its parent exists), or hbase:HOST:PORT, with tables of its own.
Result<std::unique_ptr<Store>> OpenForBench(const std::string& where);

}  // namespace nightjar
