#include "client-sim/swarm/load.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace nightjar::swarm {
namespace {
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kConnectLimit = 60 * kSecond;
constexpr int64_t kIntroduceLimit = 30 * kSecond;
constexpr int64_t kDrainLimit = 10 * kSecond;
constexpr int64_t kHelloEvery = kSecond / 1000;
constexpr int64_t kIdleTurn = kSecond / 20;
constexpr size_t kMostTroubles = 10;
}  // namespace

LoadRun::LoadRun(const LoadOptions& options, std::unique_ptr<Traffic> traffic, uint32_t clients)
    : options_(options),
      traffic_(std::move(traffic)),
      swarm_({.host = options.host, .port = options.port}, clients, traffic_.get()),
      dice_(options.seed) {
  traffic_->Attach(&swarm_, this);
}

LoadRun::~LoadRun() = default;

template <typename F>
bool LoadRun::TurnUntil(int64_t until_ns, F&& done) {
  while (!done()) {
    const int64_t now = NanoNow();
    if (now >= until_ns) return false;
    swarm_.Turn(std::min({until_ns, traffic_->Timers(now), now + kIdleTurn}));
  }
  return true;
}

Status LoadRun::Connect() {
  if (auto started = swarm_.Start(); !started.ok()) return started;
  const bool all = TurnUntil(NanoNow() + kConnectLimit, [&] {
    return traffic_->ready() == swarm_.size() || swarm_.lost() > 0;
  });
  if (all && swarm_.lost() == 0) return Status::Ok();
  const std::string why = troubles_.empty() ? "no answer" : troubles_.front();
  return {Code::kUnavailable, "only " + std::to_string(traffic_->ready()) + " of " +
                                  std::to_string(swarm_.size()) + " clients got in (" + why + ")"};
}

Status LoadRun::Introduce() {
  received_all_ = accepted_all_ = 0;
  // One direction first: the peer learns the chat from the hello it gets.
  for (uint32_t side = 0; side < 2; ++side) {
    for (uint32_t client = side; client < swarm_.size(); client += 2) {
      const int64_t now = NanoNow();
      traffic_->Write(client, now);
      TurnUntil(now + kHelloEvery, [] { return false; });
    }
  }
  const uint64_t want = swarm_.size();
  const bool all = TurnUntil(NanoNow() + kIntroduceLimit,
                             [&] { return received_all_ >= want && accepted_all_ >= want; });
  if (all) return Status::Ok();
  return {Code::kUnavailable, "of " + std::to_string(want) + " first messages " +
                                  std::to_string(accepted_all_) + " were accepted and " +
                                  std::to_string(received_all_) + " received"};
}

LoadRun::Costs LoadRun::CostsNow() const {
  Costs costs;
  for (const auto& process : options_.watched) {
    const auto usage = UsageOf(process.pid);
    costs.cpu_us.push_back(usage.ok() ? usage->cpu_us : 0);
  }
  const auto own = UsageOf(getpid());
  costs.own_us = own.ok() ? own->cpu_us : 0;
  costs.machine_us = MachineBusyUs();
  costs.handled = received_all_;
  costs.bytes = swarm_.bytes_in() + swarm_.bytes_out();
  return costs;
}

void LoadRun::Charge(const Costs& before, const Costs& after, LoadResult& result) const {
  int64_t ours = after.own_us - before.own_us;
  result.own_cpu_us = ours;
  for (size_t i = 0; i < after.cpu_us.size(); ++i) {
    result.cpu_us.push_back(after.cpu_us[i] - before.cpu_us[i]);
    ours += result.cpu_us.back();
  }
  const double all = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN)) * 1e6 * result.seconds;
  const int64_t others = after.machine_us - before.machine_us - ours;
  result.others_share = std::max(0.0, static_cast<double>(others) / all);
  result.handled = after.handled - before.handled;
  result.bytes = after.bytes - before.bytes;
}

LoadResult LoadRun::Measure(int rate) {
  LoadResult result;
  result.rate = rate;
  result.seconds = static_cast<double>(options_.seconds);
  const TrafficCounts before = traffic_->counts();
  const int64_t step = kSecond / rate;
  int64_t next = NanoNow() + step;
  from_ns_ = next + options_.warm_up_s * kSecond;
  until_ns_ = from_ns_ + options_.seconds * kSecond;
  result_ = &result;

  std::optional<Costs> costs;
  while (next < until_ns_) {
    const int64_t now = NanoNow();
    if (!costs && now >= from_ns_) costs = CostsNow();
    for (; next <= now && next < until_ns_; next += step) {
      if (Measured(next)) ++result.intended;
      traffic_->Write(static_cast<uint32_t>(dice_.Below(swarm_.size())), next);
    }
    swarm_.Turn(std::min(traffic_->Timers(now), next));
  }
  if (costs) Charge(*costs, CostsNow(), result);

  TurnUntil(NanoNow() + kDrainLimit, [&] {
    return result.accepted >= result.intended && result.received >= result.intended &&
           result.delivered >= result.intended;
  });
  result_ = nullptr;
  const TrafficCounts after = traffic_->counts();
  result.counts = {after.written - before.written, after.held_back - before.held_back,
                   after.dropped - before.dropped, after.refused - before.refused,
                   after.failed - before.failed,   after.acks - before.acks,
                   after.resends - before.resends, after.open};
  return result;
}

void LoadRun::Sit(int seconds) {
  TurnUntil(NanoNow() + seconds * kSecond, [] { return false; });
}

void LoadRun::Accepted(int64_t intended_ns, int64_t now_ns) {
  ++accepted_all_;
  if (result_ == nullptr || !Measured(intended_ns)) return;
  ++result_->accepted;
  result_->accepted_ns.Record(static_cast<uint64_t>(std::max<int64_t>(now_ns - intended_ns, 0)));
}

void LoadRun::Received(int64_t intended_ns, int64_t now_ns) {
  ++received_all_;
  if (result_ == nullptr || !Measured(intended_ns)) return;
  ++result_->received;
  result_->received_ns.Record(static_cast<uint64_t>(std::max<int64_t>(now_ns - intended_ns, 0)));
}

void LoadRun::Delivered(int64_t intended_ns, int64_t now_ns) {
  if (result_ == nullptr || !Measured(intended_ns)) return;
  ++result_->delivered;
  result_->delivered_ns.Record(static_cast<uint64_t>(std::max<int64_t>(now_ns - intended_ns, 0)));
}

void LoadRun::Trouble(const std::string& what) {
  ++trouble_count_;
  if (troubles_.size() < kMostTroubles) troubles_.push_back(what);
}

}  // namespace nightjar::swarm
