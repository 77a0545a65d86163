#include "common/hub/redis/redis_hub.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <limits>
#include <mutex>
#include <thread>

#include "common/base/clock.h"
#include "common/hub/redis/cluster.h"
#include "common/hub/redis/greeting.h"
#include "common/hub/redis/link.h"
#include "common/hub/redis/pending.h"
#include "common/hub/redis/sentinel.h"
#include "common/hub/redis/server.h"

namespace nightjar::hub {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

uint64_t Seed() {
  return static_cast<uint64_t>(SystemNow().unix_ms) ^ static_cast<uint64_t>(getpid());
}

}  // namespace

// Crossing the threads: `incoming` and `refused` under the mutex, and the counters. All else
// belongs to the hub's thread.
struct RedisHub::State final : ServerOwner {
  State(RedisOptions o, StatusCallback s, RelayHooks r)
      : options(WithFailoverTimes(std::move(o))),
        on_status(std::move(s)),
        servers(MakeServers(std::move(r))),
        wake_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~State() override { close(wake_fd); }

  const RedisOptions options;
  const StatusCallback on_status;

  std::mutex mutex;
  std::vector<Pending> incoming;
  std::vector<Callback> refused;
  bool stopping = false;      // under the mutex: no more calls are taken
  bool wake_pending = false;  // under the mutex: the eventfd is set already
  std::once_flag joined;
  std::thread thread;
  Traffic traffic;

  std::unique_ptr<Servers> servers;
  const int wake_fd;
  std::vector<Pending> drained;
  std::vector<pollfd> sockets;
  int64_t now = 0;
  int64_t stop_deadline = kNever;
  bool told_down = false, told_partly = false;
  std::string why_down;

  // From any thread.
  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t size = write(wake_fd, &one, sizeof one);
  }

  std::unique_ptr<Servers> MakeServers(RelayHooks relay);
  void OnUp(const ProbeResult& greeted) override;
  void OnBreak(const std::string& why) override;
  void OnPartly(bool partly) override;

  void Run();
  int PollTimeout() const;
  void TakeIncoming();
};

std::unique_ptr<Servers> RedisHub::State::MakeServers(RelayHooks relay) {
  if (options.cluster.empty()) {
    return std::make_unique<Server>(options, traffic, *this, std::move(relay), Seed());
  }
  return std::make_unique<Cluster>(options, traffic, *this, std::move(relay), Seed());
}

void RedisHub::State::OnUp(const ProbeResult& greeted) {
  told_down = false;
  if (!on_status) return;
  on_status({.up = true,
             .info = greeted.info,
             .reason = {},
             .partly = false,
             .warnings = greeted.warnings});
}

void RedisHub::State::OnBreak(const std::string& why) {
  if (std::exchange(told_down, true) || !on_status) return;
  told_partly = false;
  why_down = why;
  on_status({.up = false, .info = {}, .reason = why, .partly = false, .warnings = {}});
}

void RedisHub::State::OnPartly(bool partly) {
  if (!told_down || !on_status || std::exchange(told_partly, partly) == partly) return;
  on_status({.up = false, .info = {}, .reason = why_down, .partly = partly, .warnings = {}});
}

void RedisHub::State::TakeIncoming() {
  std::vector<Callback> no;
  drained.clear();
  {
    std::lock_guard lock(mutex);
    wake_pending = false;
    drained.swap(incoming);
    no.swap(refused);
    if (stopping && stop_deadline == kNever) stop_deadline = now + options.drain_ms;
  }
  for (Callback& done : no) {
    done(Failure{Failure::Kind::kFull, "the queue towards Redis is at its bound"});
  }
  for (Pending& pending : drained) servers->Add(std::move(pending));
}

int RedisHub::State::PollTimeout() const {
  const int64_t next = std::min(stop_deadline, servers->DueMs(now));
  return static_cast<int>(std::clamp<int64_t>(next - now, 0, 60'000));
}

void RedisHub::State::Run() {
  // hiredis writes without MSG_NOSIGNAL: a Redis that has just died is an error here, not a signal.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  while (true) {
    now = SystemNow().mono_ms;
    // While calls gather they stay in `incoming`, and the eventfd, set by the first, is not looked
    // at: the others cost their submitters no system call, and this thread sleeps.
    const int64_t gather = servers->GatherLeft(now);
    if (gather == 0) TakeIncoming();
    servers->Work(now, gather == 0);
    if (stop_deadline != kNever && (servers->idle() || now >= stop_deadline)) break;
    const bool gathering = servers->GatherLeft(now) > 0;
    sockets.clear();
    sockets.push_back({gathering ? -1 : wake_fd, POLLIN, 0});
    servers->AppendSockets(sockets);
    poll(sockets.data(), sockets.size(),
         gathering ? static_cast<int>(servers->GatherLeft(now)) : PollTimeout());
    now = SystemNow().mono_ms;
    if ((sockets[0].revents & POLLIN) != 0) {
      uint64_t value = 0;
      [[maybe_unused]] const ssize_t got = read(wake_fd, &value, sizeof value);
      traffic.wakeups.fetch_add(1, std::memory_order_relaxed);
    }
    servers->OnSockets(sockets.data() + 1, now);
  }
  TakeIncoming();
  servers->Stop("the hub is being stopped");
}

RedisHub::RedisHub(RedisOptions options, StatusCallback on_status, RelayHooks relay)
    : state_(std::make_unique<State>(std::move(options), std::move(on_status), std::move(relay))) {
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
}

RedisHub::~RedisHub() { Stop(); }

void RedisHub::Submit(Call call, Callback done) {
  State& s = *state_;
  Pending pending{.call = std::move(call), .done = std::move(done)};
  pending.deadline_ms = SystemNow().mono_ms + s.options.call_timeout_ms;
  pending.bytes = PayloadBytes(pending.call);
  bool wake = false;
  {
    std::unique_lock lock(s.mutex);
    if (s.stopping) {
      lock.unlock();
      pending.done(Unavailable("the hub is stopped"));
      return;
    }
    if (s.traffic.calls.load(std::memory_order_relaxed) >= s.options.max_calls ||
        s.traffic.bytes.load(std::memory_order_relaxed) + pending.bytes > s.options.max_bytes) {
      s.refused.push_back(std::move(pending.done));
    } else {
      s.traffic.calls.fetch_add(1, std::memory_order_relaxed);
      s.traffic.bytes.fetch_add(pending.bytes, std::memory_order_relaxed);
      s.incoming.push_back(std::move(pending));
    }
    wake = !std::exchange(s.wake_pending, true);
  }
  if (wake) s.Wake();
}

void RedisHub::Stop() {
  State& s = *state_;
  assert(std::this_thread::get_id() != s.thread.get_id());
  {
    std::lock_guard lock(s.mutex);
    s.stopping = true;
  }
  s.Wake();
  std::call_once(s.joined, [&s] { s.thread.join(); });
}

RedisHub::Stats RedisHub::stats() const {
  const State& s = *state_;
  const Traffic& t = s.traffic;
  const RelayLink::Counts relay = s.servers->relay_counts();
  return {.calls = t.calls,
          .bytes = t.bytes,
          .connects = t.connects,
          .repeated = t.repeated,
          .wakeups = t.wakeups,
          .writes = t.writes,
          .answered = t.answered,
          .relay_ups = relay.ups,
          .relayed = relay.relayed,
          .relay_bad = relay.bad};
}

namespace {

// Opens the link and speaks until its opening is done.
::nightjar::Status Speak(Link& link, const RedisAddress& to, int64_t timeout_ms, Opening& opening) {
  ::nightjar::Status status = link.Open(SystemNow().mono_ms, to, timeout_ms, opening);
  while (status.ok() && link.state() != Link::State::kUp) {
    const int64_t now = SystemNow().mono_ms;
    if (now >= link.deadline_ms()) return link.TooLate();
    pollfd fd{link.fd(), link.events(), 0};
    poll(&fd, 1, static_cast<int>(link.deadline_ms() - now));
    status = link.OnEvents(fd.revents, now, [](const redisReply&) { return true; });
  }
  return status;
}

Result<ProbeResult> ProbeAt(const RedisOptions& options, const RedisAddress& to,
                            const std::vector<uint32_t>& served = {}) {
  Link link;
  Greeting greeting(options, {}, Text(to), served);
  const ::nightjar::Status status = Speak(link, to, options.connect_timeout_ms, greeting);
  if (!status.ok()) return status;
  return greeting.result();
}

// The server of the first partition, which says how many there are, then the others.
Result<ProbeResult> ProbeAll(const RedisOptions& options, const SlotMap& map) {
  const auto first = map.ShardOf(SlotOfPartition(0));
  if (!first) return ::nightjar::Status(Code::kUnavailable, "a slot of the Cluster is not served");
  auto result = ProbeAt(options, map.shards()[*first].master.address, {0});
  if (!result.ok()) return result;
  std::vector<std::vector<uint32_t>> served(map.shards().size());
  for (uint32_t p = 0; p < result.value().info.partitions; ++p) {
    if (const auto shard = map.ShardOf(SlotOfPartition(p))) served[*shard].push_back(p);
  }
  for (size_t i = 0; i < served.size(); ++i) {
    if (i == *first || served[i].empty()) continue;
    const auto other = ProbeAt(options, map.shards()[i].master.address, served[i]);
    if (!other.ok()) return other;
    for (const std::string& warning : other.value().warnings) {
      result.value().warnings.push_back(Text(map.shards()[i].master.address) + ": " + warning);
    }
  }
  return result;
}

Result<ProbeResult> ProbeCluster(const RedisOptions& options) {
  Result<ProbeResult> result(::nightjar::Status(Code::kUnavailable, "no nodes"));
  for (const RedisAddress& address : options.cluster) {
    Link link;
    AskSlots ask(options, address);
    const ::nightjar::Status status = Speak(link, address, options.sentinel_timeout_ms, ask);
    result = status.ok() ? ProbeAll(options, ask.map()) : Result<ProbeResult>(status);
    if (result.ok() || result.status().code() != Code::kUnavailable) break;
  }
  return result;
}

}  // namespace

Result<ProbeResult> Probe(const RedisOptions& options) {
  if (::nightjar::Status status = CheckDurability(options); !status.ok()) return status;
  if (!options.cluster.empty()) return ProbeCluster(options);
  if (options.sentinels.empty()) return ProbeAt(options, AddressOf(options));
  Result<ProbeResult> result(::nightjar::Status(Code::kUnavailable, "no Sentinels"));
  for (const RedisAddress& address : options.sentinels) {
    Link link;
    AskSentinel sentinel(options);
    const ::nightjar::Status status = Speak(link, address, options.sentinel_timeout_ms, sentinel);
    result = status.ok() ? ProbeAt(options, sentinel.master()) : Result<ProbeResult>(status);
    if (result.ok() || result.status().code() != Code::kUnavailable) break;
  }
  return result;
}

}  // namespace nightjar::hub
