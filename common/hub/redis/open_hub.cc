#include "common/hub/redis/open_hub.h"

#include <utility>

#include "common/hub/split/split_hub.h"

namespace nightjar::hub {
namespace {

class ClusterHub final : public Hub {
 public:
  ClusterHub(const RedisOptions& options, uint32_t partitions, RedisHub::StatusCallback on_status,
             RelayHooks relay)
      : servers_(options, std::move(on_status), std::move(relay)), split_(servers_, partitions) {}
  // What is under way comes back through the splitting hub, which goes after it.
  ~ClusterHub() override { servers_.Stop(); }

  void Submit(Call call, Callback done) override {
    split_.Submit(std::move(call), std::move(done));
  }

 private:
  RedisHub servers_;
  SplitHub split_;
};

}  // namespace

std::unique_ptr<Hub> OpenHub(const RedisOptions& options, uint32_t partitions,
                             RedisHub::StatusCallback on_status, RelayHooks relay) {
  if (options.cluster.empty()) {
    return std::make_unique<RedisHub>(options, std::move(on_status), std::move(relay));
  }
  return std::make_unique<ClusterHub>(options, partitions, std::move(on_status), std::move(relay));
}

}  // namespace nightjar::hub
