// Which partitions of the journal are this persister's, of all those that live. They tell each
// other that they do over the brokers (`svc/persister`, the payload is the id), and each partition
// goes to the one that weighs most for it, so that few change hands when one comes or goes. Nothing
// depends on it being right: the hub's leases decide, and whoever hears nobody tries for
// everything.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace nightjar::persist {

inline constexpr char kPeersTopic[] = "svc/persister";

class Peers {
 public:
  struct Options {
    std::string id;
    uint32_t partitions = 64;
    int64_t gone_after_ms = 5000;
    size_t most = 1000;  // that are remembered
  };
  explicit Peers(Options options) : options_(std::move(options)) {}

  // From outside: anything.
  void Hear(std::string_view id, int64_t now_ms);
  // By partition.
  std::vector<bool> Mine(int64_t now_ms);

 private:
  const Options options_;
  std::mutex mutex_;
  std::map<std::string, int64_t, std::less<>> heard_ms_;  // of others
};

}  // namespace nightjar::persist
