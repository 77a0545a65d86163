#include "common/hub/redis/redis_hub.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/hub/redis/decode.h"
#include "common/hub/redis/encode.h"
#include "common/hub/redis/link.h"
#include "common/hub/redis/pending.h"

namespace nightjar::hub {
namespace {

constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

Failure Unavailable(std::string why) {
  return {Failure::Kind::kUnavailable, std::move(why)};
}

}  // namespace

// Crossing the threads: `incoming` and `refused` under the mutex, and the counters. All else belongs to
// the hub's thread.
struct RedisHub::State {
  State(RedisOptions o, StatusCallback s)
      : options(std::move(o)),
        on_status(std::move(s)),
        link(options),
        backoff(options.backoff_first_ms, options.backoff_cap_ms,
                static_cast<uint64_t>(SystemNow().unix_ms) ^ static_cast<uint64_t>(getpid())),
        wake_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~State() { close(wake_fd); }

  const RedisOptions options;
  const StatusCallback on_status;

  std::mutex mutex;
  std::vector<Pending> incoming;
  std::vector<Callback> refused;
  bool stopping = false;       // under the mutex: no more calls are taken
  bool wake_pending = false;   // under the mutex: the eventfd is set already
  std::once_flag joined;
  std::thread thread;

  std::atomic<size_t> calls = 0, bytes = 0;
  std::atomic<uint64_t> connects = 0, repeated = 0, wakeups = 0, writes = 0, answered = 0;

  Link link;
  std::optional<Encoder> encoder;  // while the link is up
  Backoff backoff;
  const int wake_fd;
  std::deque<Pending> flying;    // written, in the order of their replies
  std::deque<Pending> waiting;   // to be written; what is to be repeated comes first
  size_t late = 0;               // of `flying`, from the front: answered as late, the reply still to come
  std::vector<Pending> drained;
  std::string out;
  int64_t now = 0;
  int64_t next_open = 0;
  int64_t written = std::numeric_limits<int64_t>::min() / 2;  // when calls were last written
  int64_t asked = 0;             // when `flying` last became non-empty
  int64_t stop_deadline = kNever;
  bool told_down = false;

  // From any thread.
  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t size = write(wake_fd, &one, sizeof one);
  }

  void Run();
  int64_t GatherLeft() const;
  int PollTimeout() const;
  void TakeIncoming();
  void Answer(Pending& pending, Reply reply);
  void Pump();
  void OpenIfDue();
  void CheckLink();
  void LinkUp();
  void Break(const std::string& why);
  bool OnReply(const redisReply& raw);
  void Expire();
  void FailAll(const std::string& why);
};

void RedisHub::State::Answer(Pending& pending, Reply reply) {
  if (!pending.done) return;
  Callback done = std::move(pending.done);
  pending.done = nullptr;
  calls.fetch_sub(1, std::memory_order_relaxed);
  bytes.fetch_sub(pending.bytes, std::memory_order_relaxed);
  answered.fetch_add(1, std::memory_order_relaxed);
  done(std::move(reply));
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
  for (Pending& pending : drained) waiting.push_back(std::move(pending));
}

// Everything that waits goes out in one write.
void RedisHub::State::Pump() {
  if (link.state() != Link::State::kUp) return;
  out.clear();
  if (flying.empty()) asked = now;
  while (!waiting.empty()) {
    Pending pending = std::move(waiting.front());
    waiting.pop_front();
    if (std::optional<Reply> local = encoder->Encode(pending.call, out)) {
      Answer(pending, std::move(*local));
      continue;
    }
    if (pending.sent) repeated.fetch_add(1, std::memory_order_relaxed);
    pending.sent = true;
    flying.push_back(std::move(pending));
  }
  const int64_t quiet = now - link.heard_ms();
  if (flying.empty() && quiet >= options.ping_ms) {
    flying.push_back({.call = Info{}, .done = {}, .ping = true});
    out.append(kPing);
  }
  if (out.empty()) return;
  link.Queue(out);
  written = now;
  writes.fetch_add(1, std::memory_order_relaxed);
  if (const ::nightjar::Status status = link.Flush(); !status.ok()) Break(status.message());
}

bool RedisHub::State::OnReply(const redisReply& raw) {
  if (flying.empty()) return true;  // a reply to nothing; nobody can be misled by it
  if (MeansAway(raw)) {
    flying.front().sent = false;  // refused as a whole: it had no effect
    return false;
  }
  Pending pending = std::move(flying.front());
  flying.pop_front();
  if (late > 0) --late;
  if (!pending.ping && pending.done) Answer(pending, Decode(pending.call, raw));
  return true;
}

void RedisHub::State::OpenIfDue() {
  if (link.state() != Link::State::kClosed || now < next_open) return;
  if (const ::nightjar::Status status = link.Open(now); !status.ok()) Break(status.message());
}

void RedisHub::State::LinkUp() {
  const ProbeResult& greeted = link.greeted();
  backoff.Reset();
  encoder.emplace(greeted.info.partitions, greeted.info.epoch, options.journal_max,
                  options.tasks_max);
  connects.fetch_add(1, std::memory_order_relaxed);
  told_down = false;
  if (on_status) {
    on_status({.up = true, .info = greeted.info, .reason = {}, .warnings = greeted.warnings});
  }
}

// The connection is over. What may be repeated goes back to the head of what waits, in its order.
void RedisHub::State::Break(const std::string& why) {
  link.Close();
  encoder.reset();
  late = 0;
  std::deque<Pending> lost;
  lost.swap(flying);
  for (; !lost.empty(); lost.pop_back()) {
    Pending& pending = lost.back();
    if (pending.done && (!pending.sent || MayRepeat(pending.call))) {
      waiting.push_front(std::move(pending));
    } else if (pending.done) {
      flying.push_front(std::move(pending));  // for the moment: to be failed in order, below
    }
  }
  lost.swap(flying);
  next_open = now + backoff.NextMs();
  if (!told_down) {
    told_down = true;
    if (on_status) on_status({.up = false, .info = {}, .reason = why, .warnings = {}});
  }
  for (Pending& pending : lost) Answer(pending, Unavailable(why));
}

void RedisHub::State::CheckLink() {
  switch (link.state()) {
    case Link::State::kClosed:
      return;
    case Link::State::kConnecting:
    case Link::State::kGreeting:
      if (now - link.opened_ms() >= options.connect_timeout_ms) {
        Break("Redis did not answer within " + std::to_string(options.connect_timeout_ms) + " ms");
      }
      return;
    case Link::State::kUp:
      if (!flying.empty() && now - std::max(link.heard_ms(), asked) >= options.silence_ms) {
        Break("Redis has been silent for " + std::to_string(options.silence_ms) + " ms");
      }
      return;
  }
}

// Deadlines come in order in both queues (what is repeated is older than what waits behind it).
void RedisHub::State::Expire() {
  for (; late < flying.size() && (flying[late].ping || flying[late].deadline_ms <= now); ++late) {
    Answer(flying[late], Unavailable("no answer from Redis in time"));
  }
  while (!waiting.empty() && waiting.front().deadline_ms <= now) {
    Pending pending = std::move(waiting.front());
    waiting.pop_front();
    Answer(pending, Unavailable("Redis is away"));
  }
}

void RedisHub::State::FailAll(const std::string& why) {
  TakeIncoming();
  link.Close();
  std::deque<Pending> rest;
  rest.swap(flying);
  for (Pending& pending : waiting) rest.push_back(std::move(pending));
  waiting.clear();
  for (Pending& pending : rest) Answer(pending, Unavailable(why));
}

// How long calls still gather before the next write; 0: they need not.
int64_t RedisHub::State::GatherLeft() const {
  if (link.state() != Link::State::kUp) return 0;
  return std::max<int64_t>(0, written + options.gather_ms - now);
}

int RedisHub::State::PollTimeout() const {
  int64_t next = std::min(now + options.ping_ms, stop_deadline);
  if (late < flying.size()) next = std::min(next, flying[late].deadline_ms);
  if (!waiting.empty()) next = std::min(next, waiting.front().deadline_ms);
  switch (link.state()) {
    case Link::State::kClosed:
      next = std::min(next, next_open);
      break;
    case Link::State::kConnecting:
    case Link::State::kGreeting:
      next = std::min(next, link.opened_ms() + options.connect_timeout_ms);
      break;
    case Link::State::kUp:
      next = std::min(next, flying.empty()
                                ? link.heard_ms() + options.ping_ms
                                : std::max(link.heard_ms(), asked) + options.silence_ms);
      break;
  }
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
    // While calls gather they stay in `incoming`, and the eventfd, set by the first, is not looked at:
    // the others cost their submitters no system call, and this thread sleeps.
    const int64_t gather = GatherLeft();
    if (gather == 0) TakeIncoming();
    Expire();
    if (stop_deadline != kNever) {
      const bool idle = flying.empty() && waiting.empty();
      if (idle || now >= stop_deadline) break;
    }
    CheckLink();
    OpenIfDue();
    if (gather == 0) Pump();
    const bool gathering = GatherLeft() > 0;
    pollfd fds[2] = {{gathering ? -1 : wake_fd, POLLIN, 0}, {link.fd(), link.events(), 0}};
    const nfds_t count = link.fd() >= 0 ? 2 : 1;
    poll(fds, count, gathering ? static_cast<int>(GatherLeft()) : PollTimeout());
    now = SystemNow().mono_ms;
    if ((fds[0].revents & POLLIN) != 0) {
      uint64_t value = 0;
      [[maybe_unused]] const ssize_t got = read(wake_fd, &value, sizeof value);
      wakeups.fetch_add(1, std::memory_order_relaxed);
    }
    if (count == 2 && fds[1].revents != 0) {
      const bool was_up = link.state() == Link::State::kUp;
      const ::nightjar::Status status = link.OnEvents(
          fds[1].revents, now, [this](const redisReply& raw) { return OnReply(raw); });
      if (!status.ok()) {
        Break(status.message());
      } else if (!was_up && link.state() == Link::State::kUp) {
        LinkUp();
      }
    }
  }
  FailAll("the hub is being stopped");
}

RedisHub::RedisHub(RedisOptions options, StatusCallback on_status)
    : state_(std::make_unique<State>(std::move(options), std::move(on_status))) {
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
    if (s.calls.load(std::memory_order_relaxed) >= s.options.max_calls ||
        s.bytes.load(std::memory_order_relaxed) + pending.bytes > s.options.max_bytes) {
      s.refused.push_back(std::move(pending.done));
    } else {
      s.calls.fetch_add(1, std::memory_order_relaxed);
      s.bytes.fetch_add(pending.bytes, std::memory_order_relaxed);
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
  return {.calls = s.calls, .bytes = s.bytes, .connects = s.connects, .repeated = s.repeated,
          .wakeups = s.wakeups, .writes = s.writes, .answered = s.answered};
}

Result<ProbeResult> Probe(const RedisOptions& options) {
  Link link(options);
  const int64_t until = SystemNow().mono_ms + options.connect_timeout_ms;
  ::nightjar::Status status = link.Open(SystemNow().mono_ms);
  while (status.ok() && link.state() != Link::State::kUp) {
    const int64_t now = SystemNow().mono_ms;
    if (now >= until) {
      return ::nightjar::Status(Code::kUnavailable,
                    "Redis did not answer within " + std::to_string(options.connect_timeout_ms) +
                        " ms");
    }
    pollfd fd{link.fd(), link.events(), 0};
    poll(&fd, 1, static_cast<int>(until - now));
    status = link.OnEvents(fd.revents, now, [](const redisReply&) { return true; });
  }
  if (!status.ok()) return status;
  return link.greeted();
}

}  // namespace nightjar::hub
