// A history that is being read back as a whole, page by page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client-sim/judge/book.h"

namespace nightjar::client::judge {

struct HistoryRead {
  explicit HistoryRead(const Chain& chain) : reader(chain) {}
  ChainReader reader;
  uint64_t last = 0;
  std::vector<std::string> lacks, wrong;
};

}  // namespace nightjar::client::judge
